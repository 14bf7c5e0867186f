//! Reading ranges of partitions to their end: the newest event, dead letters, the check of a topic.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::driver::{Consumer, Got, ReadError};
use super::message;
use super::seek::batch_messages;
use crate::limits::LOG_TIMEOUT;
use crate::model::{Epoch, LoggedEvent};

/// How long one poll waits, so that a time-out is noticed.
const POLL: Duration = Duration::from_millis(50);
/// How many batches back the newest event of a history is looked for at the most: late ones of other histories may
/// lie behind it, but not many.
const BATCHES_BACK: i64 = 4;

/// A key and the value.
pub(super) type Entry = (Box<[u8]>, Box<[u8]>);

/// Calls `each` with the key and value of every message in these ranges, in order within a partition. Fails when
/// nothing comes for [`LOG_TIMEOUT`].
pub(super) fn read(
    consumer: &mut dyn Consumer,
    topic: &str,
    ranges: &[Range<i64>],
    each: impl FnMut(Entry),
) -> Result<(), ReadError> {
    let numbered = || (0..).zip(ranges).filter(|(_, range)| !range.is_empty());
    let from: Vec<(u32, i64)> = numbered().map(|(partition, range)| (partition, range.start)).collect();
    let wanted: Vec<u32> = from.iter().map(|(partition, _)| *partition).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    consumer.start(topic, &from)?;
    let read = read_to_end(consumer, topic, ranges, wanted, each);
    // A consumer that is kept for the next question does not go on fetching.
    read.and_then(|()| consumer.start(topic, &[]))
}

fn read_to_end(
    consumer: &mut dyn Consumer,
    topic: &str,
    ranges: &[Range<i64>],
    mut wanted: Vec<u32>,
    mut each: impl FnMut(Entry),
) -> Result<(), ReadError> {
    let (mut got, mut heard) = (Vec::new(), Instant::now());
    while !wanted.is_empty() {
        consumer.poll(&wanted, POLL, &mut got)?;
        if !got.is_empty() {
            heard = Instant::now();
        } else if heard.elapsed() > LOG_TIMEOUT {
            return Err(ReadError::Unavailable(format!("reading {topic}: no answer in time")));
        }
        for got in got.drain(..) {
            let (partition, ended) = match got {
                // The last offset of a compacted partition may have no message.
                Got::End { partition } => (partition, true),
                Got::Message { partition, offset, key, value } => {
                    let end = ranges[partition as usize].end;
                    if offset < end && wanted.contains(&partition) {
                        each((key, value));
                    }
                    (partition, offset + 1 >= end)
                }
            };
            if ended {
                wanted.retain(|&wanted| wanted != partition);
            }
        }
    }
    Ok(())
}

/// The last `messages` of each partition.
pub(super) fn last(bounds: &[Range<i64>], messages: i64) -> Vec<Range<i64>> {
    bounds.iter().map(|kept| kept.end.saturating_sub(messages).max(kept.start)..kept.end).collect()
}

/// The event of `epoch` with the highest number. It may lie anywhere in the last batch: one that was published again
/// may have come only in part.
pub(super) fn newest(
    consumer: &mut dyn Consumer,
    topic: &str,
    partitions: u32,
    epoch: Epoch,
) -> Result<Option<LoggedEvent>, ReadError> {
    let bounds = consumer.bounds(topic, partitions)?;
    for batches in [1, BATCHES_BACK] {
        let mut newest: Option<LoggedEvent> = None;
        read(consumer, topic, &last(&bounds, batches * batch_messages(partitions)), |(_, value)| {
            let event = message::decode(&value).filter(|event| event.epoch == epoch);
            if let Some(event) = event
                && newest.as_ref().is_none_or(|newest| newest.position < event.position)
            {
                newest = Some(event);
            }
        })?;
        if newest.is_some() {
            return Ok(newest);
        }
    }
    Ok(None)
}

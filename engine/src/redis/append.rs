//! Appends to one Redis: blind, in bounded pipelines, their replies checked.
//!
//! `APPEND` alone costs half of what a script costs that looks first whether there is a window. It replies the new
//! length, so what it did is known afterwards: a length equal to the segment's means that there was no window, and
//! the segment made a string without a fill. `PEXPIRE key 0 NX` removes that: at once, and only if it has no time to
//! live, which every fill has; so a fill that came in between stays.

use redis::{Cmd, Pipeline, Value};

use super::error::NodeError;
use super::node::RedisNode;
use crate::limits::{PIPELINE_BYTES, PIPELINE_COMMANDS, REDIS_APPEND_TIMEOUT, WINDOW_STRING_BYTES};
use crate::model::UserId;

/// Pipelines in flight for one server. All segments of a reader take one lane, and a lane's pipelines are sent one
/// after another: that keeps their order. While one is answered, others are written and read.
pub(super) const LANES: usize = 3;

/// The lane of a reader. Other bits than those of the slot, so that every lane has its share.
pub(super) fn lane(reader: UserId) -> usize {
    (reader.spread() >> 40) as usize % LANES
}

impl RedisNode {
    /// Appends the segments of one lane.
    ///
    /// # Errors
    /// The first that the server said. What came after a failed pipeline is left out: the server would not do better.
    pub async fn append(&self, mut segments: &[(UserId, &[u8])]) -> Result<(), NodeError> {
        let (mut drops, mut refused) = (Vec::new(), None);
        while !segments.is_empty() || !drops.is_empty() {
            let (now, later) = segments.split_at(pipeline_length(segments));
            segments = later;
            let mut pipeline = Pipeline::with_capacity(drops.len() + now.len());
            // One reader's error must not hide the others' replies.
            pipeline.ignore_errors();
            let dropped = drops.len();
            drops.drain(..).for_each(|drop| drop_string(self, drop, &mut pipeline));
            let mut key = Vec::new();
            for &(reader, segment) in now {
                self.keys.write_window(reader, &mut key);
                let mut append = Cmd::with_capacity(3, "APPEND".len() + key.len() + segment.len());
                append.arg("APPEND").arg(key.as_slice()).arg(segment);
                pipeline.add_command(append);
            }
            let replies: Vec<Value> = self.ask(&self.appends, &pipeline, REDIS_APPEND_TIMEOUT).await?;
            for (&(reader, segment), reply) in now.iter().zip(replies.into_iter().skip(dropped)) {
                match reply {
                    Value::Int(length) if length == segment.len() as i64 => drops.push((reader, Why::NoFill)),
                    Value::Int(length) if length > WINDOW_STRING_BYTES as i64 => drops.push((reader, Why::TooLong)),
                    Value::ServerError(error) => {
                        refused.get_or_insert_with(|| NodeError::from(redis::RedisError::from(error)));
                    }
                    _ => {}
                }
            }
        }
        refused.map_or(Ok(()), Err)
    }
}

/// Why a string is dropped.
#[derive(Clone, Copy)]
enum Why {
    NoFill,
    /// Nobody has read (and so folded) it for long.
    TooLong,
}

fn drop_string(node: &RedisNode, (reader, why): (UserId, Why), pipeline: &mut Pipeline) {
    let key = node.keys.window(reader);
    match why {
        Why::NoFill => pipeline.cmd("PEXPIRE").arg(key).arg(0).arg("NX"),
        // Should a new fill have come in between, it is lost: work, no more.
        Why::TooLong => pipeline.cmd("UNLINK").arg(key),
    };
}

/// How many of the segments the next pipeline takes: at least one, if there is one.
fn pipeline_length(segments: &[(UserId, &[u8])]) -> usize {
    let mut bytes = 0;
    let fits = |(_, segment): &&(UserId, &[u8])| {
        let before = bytes;
        bytes += segment.len();
        before == 0 || bytes <= PIPELINE_BYTES
    };
    segments.iter().take(PIPELINE_COMMANDS).take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipelines_are_bounded_and_every_segment_gets_into_one() {
        let (small, large) = (vec![0; 10], vec![0; PIPELINE_BYTES + 1]);
        let lengths = |segments: &[&[u8]]| {
            let segments: Vec<(UserId, &[u8])> = segments.iter().map(|&segment| (UserId(1), segment)).collect();
            let (mut rest, mut lengths) = (&segments[..], Vec::new());
            while !rest.is_empty() {
                lengths.push(pipeline_length(rest));
                rest = &rest[lengths[lengths.len() - 1]..];
            }
            lengths
        };
        assert_eq!(lengths(&[]), [0; 0]);
        assert_eq!(lengths(&[&small, &large, &large, &small]), [1, 1, 1, 1]);
        assert_eq!(lengths(&vec![&small[..]; 2 * PIPELINE_COMMANDS + 1]), [PIPELINE_COMMANDS, PIPELINE_COMMANDS, 1]);
        assert_eq!(lengths(&[&[][..]; 5]), [5]);
    }

    #[test]
    fn lanes_are_used_evenly_whatever_the_slot() {
        let mut counts = [[0_u32; LANES]; 2];
        for id in 0..60_000 {
            let reader = UserId(id << 12);
            counts[usize::from(reader.slot() % 2)][lane(reader)] += 1;
        }
        assert!(counts.iter().flatten().all(|count| (9_000..11_000).contains(count)), "{counts:?}");
    }
}

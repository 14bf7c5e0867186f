//! Where a reader begins in each partition: behind no message that it needs, and not far before.
//!
//! A partition holds rising numbers, but for batches that were published again and for older histories. So
//! the search jumps back from the end by as many messages as the numbers say, until it finds a number that is not
//! wanted any more, or another history. One such witness is not enough: a relay that was held up may have published
//! a batch late, behind much newer ones. Two that lie further apart than a batch is long cannot both be of one batch.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::driver::{Consumer, Got, ReadError};
use super::message;
use crate::limits::{EVENTS_BATCH, LOG_TIMEOUT};
use crate::model::{Epoch, Position};
use crate::ports::LogError;

/// How long one poll waits, so that a time-out is noticed.
const POLL: Duration = Duration::from_millis(50);

/// Messages of one published batch in one partition at the most.
pub(super) fn batch_messages(partitions: u32) -> i64 {
    message::share(EVENTS_BATCH as u64, partitions)
}

/// What a look at an offset showed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Seen {
    /// An event of the epoch that is looked for.
    Number(u64),
    /// An event of another epoch.
    OtherEpoch,
    /// A message that is not ours, or none.
    Nothing,
}

/// What to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// Look at this offset.
    Look(i64),
    /// Begin here.
    Begin(i64),
    /// Events after the one sought are no longer kept: those after this number are.
    Trimmed(u64),
}

/// The search in one partition, without its input and output.
struct Search {
    kept: Range<i64>,
    after: u64,
    /// The first number above `after` that belongs into this partition.
    first: u64,
    partitions: u32,
    batch: i64,
    at: i64,
    /// Witnesses so far that everything needed comes later.
    witnesses: u32,
    /// How far to go back where nothing is seen: further each time.
    blind: i64,
}

impl Search {
    fn new(kept: Range<i64>, after: Position, partition: u32, partitions: u32) -> Self {
        let first = message::first_above(after.0, partition, partitions);
        let batch = batch_messages(partitions);
        Self { at: kept.end, kept, after: after.0, first, partitions, batch, witnesses: 0, blind: batch }
    }

    fn begin(&mut self) -> Step {
        self.back(self.batch)
    }

    fn back(&mut self, messages: i64) -> Step {
        if self.at <= self.kept.start {
            return Step::Begin(self.kept.start);
        }
        self.at = self.at.saturating_sub(messages).max(self.kept.start);
        Step::Look(self.at)
    }

    /// The message at the offset that was to be looked at.
    fn see(&mut self, seen: Seen) -> Step {
        let at_start = self.at == self.kept.start;
        match seen {
            // At offset 0 nothing was trimmed: the log never had what is before.
            Seen::Number(number) if at_start && number > self.first && self.kept.start > 0 => {
                Step::Trimmed(message::before(number, self.partitions))
            }
            Seen::Number(number) if number > self.after => {
                self.witnesses = 0;
                let behind = message::share(number - self.after, self.partitions);
                self.back(behind.saturating_add(self.batch))
            }
            Seen::Number(_) | Seen::OtherEpoch => {
                self.witnesses += 1;
                if self.witnesses == 2 { Step::Begin(self.at) } else { self.back(self.batch) }
            }
            Seen::Nothing => {
                self.blind = self.blind.saturating_mul(2);
                self.back(self.blind)
            }
        }
    }
}

/// For each partition the offset from which a reader of everything of `epoch` after `after` must read.
pub(super) fn begin(
    consumer: &mut dyn Consumer,
    topic: &str,
    partitions: u32,
    epoch: Epoch,
    after: Position,
) -> Result<Vec<(u32, i64)>, LogError> {
    let bounds = consumer.bounds(topic, partitions)?;
    let mut searches: Vec<(Search, Step)> = Vec::with_capacity(bounds.len());
    for (partition, kept) in (0..).zip(bounds) {
        let mut search = Search::new(kept, after, partition, partitions);
        let step = search.begin();
        searches.push((search, step));
    }
    loop {
        let looks: Vec<(u32, i64)> = (0..)
            .zip(&searches)
            .filter_map(|(partition, (_, step))| match step {
                Step::Look(offset) => Some((partition, *offset)),
                _ => None,
            })
            .collect();
        if looks.is_empty() {
            break;
        }
        for (partition, seen) in look(consumer, topic, epoch, &looks)? {
            let (search, step) = &mut searches[partition as usize];
            *step = search.see(seen);
        }
    }
    let trimmed =
        searches.iter().filter_map(|(_, step)| if let Step::Trimmed(number) = step { Some(*number) } else { None });
    if let Some(oldest) = trimmed.max() {
        return Err(LogError::Trimmed { oldest: Position(oldest) });
    }
    let begin = |step: &Step| if let Step::Begin(offset) = step { *offset } else { 0 };
    Ok((0..).zip(searches.iter().map(|(_, step)| begin(step))).collect())
}

/// The message at each of these offsets.
fn look(
    consumer: &mut dyn Consumer,
    topic: &str,
    epoch: Epoch,
    looks: &[(u32, i64)],
) -> Result<Vec<(u32, Seen)>, ReadError> {
    consumer.start(topic, looks)?;
    let mut wanted: Vec<u32> = looks.iter().map(|(partition, _)| *partition).collect();
    let (mut seen, mut got) = (Vec::with_capacity(looks.len()), Vec::new());
    let begun = Instant::now();
    while !wanted.is_empty() {
        if begun.elapsed() > LOG_TIMEOUT {
            return Err(ReadError::Unavailable(format!("reading {topic}: no answer in time")));
        }
        consumer.poll(&wanted, POLL, &mut got)?;
        for got in got.drain(..) {
            let (partition, found) = match got {
                Got::End { partition } => (partition, Seen::Nothing),
                Got::Message { partition, value, .. } => match message::decode(&value) {
                    Some(event) if event.epoch == epoch => (partition, Seen::Number(event.position.0)),
                    Some(_) => (partition, Seen::OtherEpoch),
                    None => (partition, Seen::Nothing),
                },
            };
            if let Some(at) = wanted.iter().position(|&wanted| wanted == partition) {
                wanted.swap_remove(at);
                seen.push((partition, found));
            }
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// Searches in a partition whose messages are these, of which the first `trimmed` are gone.
    fn search(log: &[Seen], trimmed: usize, after: u64, partition: u32, partitions: u32) -> (Step, u32) {
        let kept = trimmed as i64..log.len() as i64;
        let mut search = Search::new(kept, Position(after), partition, partitions);
        let (mut step, mut looks) = (search.begin(), 0);
        while let Step::Look(offset) = step {
            looks += 1;
            step = search.see(log[offset as usize]);
        }
        (step, looks)
    }

    proptest! {
        /// An older history, then this one with batches that were published again, and late ones of before.
        #[test]
        fn a_reader_begins_before_everything_it_needs_and_not_far_before(
            partitions in 1..5u32,
            partition in 0..5u32,
            older in 0..9_000usize,
            count in 0..20_000u64,
            again in prop::collection::vec((0..20_000u64, 1..4_096u64), 0..4),
            late in proptest::option::of((0..20_000u64, 0..20_000u64)),
            after in 0..21_000u64,
            trimmed in 0..3_000usize,
        ) {
            let partition = partition % partitions;
            let batch = EVENTS_BATCH as u64;
            let mine = |numbers: Range<u64>| {
                numbers.filter(move |&n| message::partition(n, partitions) == partition).map(Seen::Number)
            };
            let mut log = vec![Seen::OtherEpoch; older];
            let mut published = 1;
            let mut again = again;
            again.sort_unstable();
            for (at, length) in again {
                let end = at.min(count) + 1;
                if end > published {
                    log.extend(mine(published..end));
                    published = end;
                }
                // A relay that failed begins with what it had not marked: the last of what was published.
                log.extend(mine(published.saturating_sub(length).max(1)..published));
            }
            if let Some((at, from)) = late {
                let end = at.min(count) + 1;
                if end > published {
                    log.extend(mine(published..end));
                    published = end;
                }
                let from = from.min(published.saturating_sub(1)).max(1);
                log.extend(mine(from..(from + batch).min(published)));
            }
            log.extend(mine(published..count + 1));
            let trimmed = trimmed.min(log.len());

            let (step, looks) = search(&log, trimmed, after, partition, partitions);
            prop_assert!(looks < 40, "{looks} looks");
            match step {
                Step::Begin(offset) => {
                    let numbers = |from: usize| -> HashSet<u64> {
                        let number = |seen: &Seen| if let Seen::Number(number) = seen { Some(*number) } else { None };
                        log[from..].iter().filter_map(number).collect()
                    };
                    let (read, kept) = (numbers(offset as usize), numbers(trimmed));
                    let skipped = mine(after + 1..count + 1).find(|seen| {
                        matches!(seen, Seen::Number(number) if kept.contains(number) && !read.contains(number))
                    });
                    prop_assert_eq!(skipped, None);
                }
                Step::Trimmed(oldest) => {
                    prop_assert!(trimmed > 0 && oldest > after);
                    prop_assert!(log[trimmed] == Seen::Number(message::first_above(oldest, partition, partitions)));
                }
                Step::Look(_) => unreachable!(),
            }
        }
    }

    /// A log of so many messages in the last of three partitions.
    fn long(messages: usize) -> Vec<Seen> {
        (1..).filter(|&number| message::partition(number, 3) == 2).map(Seen::Number).take(messages).collect()
    }

    #[test]
    fn a_long_log_takes_few_looks_and_little_reading() {
        let log = long(1_000_000);
        for after in [0, 1, 1_000, 1_500_000, 2_999_000, 3_000_000] {
            let (step, looks) = search(&log, 0, after, 2, 3);
            let Step::Begin(offset) = step else { panic!("{step:?}") };
            assert!(looks <= 4, "{looks} looks for {after}");
            assert!((after / 3) as i64 - offset <= 3 * batch_messages(3), "{after}: {offset}");
        }
    }

    #[test]
    fn what_is_no_longer_kept_is_told() {
        let log = long(100);
        // The first 64 are numbers 128 to 191; then come 320 and more.
        assert_eq!(log[64], Seen::Number(320));
        assert_eq!(search(&log, 10, 100, 2, 3).0, Step::Trimmed(137));
        assert_eq!(search(&log, 10, 137, 2, 3).0, Step::Begin(10));
        assert_eq!(search(&log, 64, 190, 2, 3).0, Step::Trimmed(191));
        for after in [191, 250, 319, 320, 5_000] {
            assert_eq!(search(&log, 64, after, 2, 3).0, Step::Begin(64));
        }
        // Nothing was trimmed: the log never had what is missing.
        assert_eq!(search(&log[10..], 0, 5, 2, 3).0, Step::Begin(0));
    }
}

//! Puts the partitions back into one order: keeps what came early, hands over what comes next.
//!
//! A number that is missing while later ones are there may still come: its partition is a little behind, or the relay
//! publishes it again. After [`LOG_GAP_WAIT`] it is given up, and the caller sees the gap: the log does not have it,
//! the store may.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::message;
use crate::limits::{EVENTS_BATCH, LOG_GAP_WAIT, LOG_WAIT};
use crate::model::{Epoch, LoggedEvent, Position};

/// Early events of a partition at the most, beside what one poll brings: no more of it is wanted until the others
/// have come as far. So catching up is never taken for a gap, however unevenly partitions come.
const EARLY_MAX: usize = EVENTS_BATCH;

/// The events of one epoch on their way into order.
pub(super) struct Order {
    epoch: Epoch,
    /// Everything up to here was handed over, or given up.
    position: u64,
    early: BTreeMap<u64, (Instant, Box<[u8]>)>,
    partitions: Vec<Partition>,
}

#[derive(Clone, Default)]
struct Partition {
    early: usize,
    /// Nothing came since it was read to its end.
    at_end: bool,
}

impl Order {
    /// What comes after `after`.
    pub fn new(epoch: Epoch, after: Position, partitions: u32) -> Self {
        let partitions = vec![Partition::default(); partitions as usize];
        Self { epoch, position: after.0, early: BTreeMap::new(), partitions }
    }

    /// Everything up to here was handed over.
    pub fn position(&self) -> Position {
        Position(self.position)
    }

    fn partition(&mut self, number: u64) -> &mut Partition {
        let partition = message::partition(number, self.partitions.len() as u32);
        &mut self.partitions[partition as usize]
    }

    /// Takes in an event that came `now`. What was handed over already and what is of another history is nothing new.
    pub fn put(&mut self, event: LoggedEvent, now: Instant) {
        let number = event.position.0;
        if event.epoch != self.epoch || number <= self.position {
            return;
        }
        let new = self.early.insert(number, (now, event.bytes)).is_none();
        let partition = self.partition(number);
        partition.early += usize::from(new);
        partition.at_end = false;
    }

    /// A partition was read to its end.
    pub fn end(&mut self, partition: u32) {
        if let Some(partition) = self.partitions.get_mut(partition as usize) {
            partition.at_end = true;
        }
    }

    /// The partitions to read: that of the next number first.
    pub fn wanted(&self) -> Vec<u32> {
        let count = self.partitions.len() as u32;
        let numbers = (0..u64::from(count)).map(|n| self.position + 1 + n * message::STRIPE);
        let in_need = numbers.map(|number| message::partition(number, count));
        in_need.filter(|&partition| self.partitions[partition as usize].early < EARLY_MAX).collect()
    }

    /// The next events, at most [`EVENTS_BATCH`], in a run without a gap; none when they have not come. `now` must not
    /// be later than the last reading: a number that waits there unread is not missing.
    pub fn run(&mut self, now: Instant) -> Vec<LoggedEvent> {
        let Some((&first, &(came, _))) = self.early.first_key_value() else { return Vec::new() };
        if first != self.position + 1 && now.saturating_duration_since(came) < self.patience() {
            return Vec::new();
        }
        self.position = first - 1;
        let mut run = Vec::new();
        while run.len() < EVENTS_BATCH
            && let Some(next) = self.early.first_entry()
            && *next.key() == self.position + 1
        {
            self.position += 1;
            let (_, bytes) = next.remove();
            self.partition(self.position).early -= 1;
            run.push(LoggedEvent { epoch: self.epoch, position: Position(self.position), bytes });
        }
        run
    }

    /// How long the next number may be missing: longer where its partition has not been read to its end, nor beyond
    /// the number. It may be there; a broker may be slow to give it, but not for ever.
    fn patience(&mut self) -> Duration {
        let partition = self.partition(self.position + 1);
        if partition.at_end || partition.early > 0 { LOG_GAP_WAIT } else { LOG_WAIT }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testkit::fuzz;

    const EPOCH: Epoch = Epoch(3);

    fn event(number: u64) -> LoggedEvent {
        LoggedEvent { epoch: EPOCH, position: Position(number), bytes: number.to_le_bytes().into() }
    }

    fn numbers(events: &[LoggedEvent]) -> Vec<u64> {
        events.iter().map(|event| event.position.0).collect()
    }

    proptest! {
        /// Partitions are read unevenly, repeat what they gave, and carry another history; one number never comes.
        #[test]
        fn any_interleaving_of_partitions_comes_out_in_order(
            partitions in 1..7u32,
            after in 0..30u64,
            count in 2..200u64,
            missing in proptest::option::of(0..200u64),
            steps in prop::collection::vec((0..7u32, 1..20usize, any::<bool>()), 0..200),
        ) {
            let begun = Instant::now();
            let last = after + count;
            let missing = missing.map(|n| after + 1 + n % count).filter(|&n| n < last);
            let mut left: Vec<Vec<u64>> = (0..partitions)
                .map(|p| (1..=last).filter(|&n| message::partition(n, partitions) == p && Some(n) != missing).collect())
                .collect();
            let mut order = Order::new(EPOCH, Position(after), partitions);
            let mut out = Vec::new();
            let everything = (0..partitions).map(|partition| (partition, usize::MAX, false));
            for (partition, some, again) in steps.into_iter().chain(everything) {
                let queue = &mut left[(partition % partitions) as usize];
                let taken: Vec<u64> = queue.drain(..some.min(queue.len())).collect();
                for &number in taken.iter().chain(taken.iter().filter(|_| again)) {
                    order.put(event(number), begun);
                    order.put(LoggedEvent { epoch: Epoch(9), ..event(number + 1) }, begun);
                }
                out.extend(order.run(begun));
            }
            // Up to the missing number at once; the rest after the wait, and never before.
            let expected: Vec<u64> = (after + 1..=last).filter(|&n| Some(n) != missing).collect();
            let at_once = expected.iter().take_while(|&&n| missing.is_none_or(|missing| n < missing)).count();
            prop_assert_eq!(numbers(&out), &expected[..at_once]);
            (0..partitions).for_each(|partition| order.end(partition));
            out.extend(order.run(begun + LOG_GAP_WAIT - Duration::from_millis(1)));
            prop_assert_eq!(out.len(), at_once);
            out.extend(order.run(begun + LOG_GAP_WAIT));
            prop_assert_eq!(numbers(&out), expected);
            prop_assert!(out.iter().all(|got| *got == event(got.position.0)));
            prop_assert_eq!(order.position(), Position(last));
            prop_assert!(order.early.is_empty() && order.partitions.iter().all(|partition| partition.early == 0));
        }
    }

    /// The input: pieces of nine bytes, each what happens and a number.
    #[test]
    fn whatever_messages_come_each_is_handed_over_once_and_in_order() {
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/order");
        let piece = |what: u8, number: u64| [&[what][..], &number.to_le_bytes()].concat();
        let seeds = vec![
            (1..100).chain(1..5).flat_map(|number| piece(0, number)).collect(),
            [piece(0, 70), piece(0, 5), piece(2, 1), piece(3, 1), piece(0, 1), piece(0, 71), piece(3, 12)].concat(),
            [piece(0, i64::MAX as u64), piece(1, 1), piece(3, 30), piece(0, u64::MAX), piece(3, 30)].concat(),
        ];
        fuzz(kept, seeds, |input| {
            let (mut order, mut now) = (Order::new(EPOCH, Position(3), 3), Instant::now());
            let mut wanted = BTreeMap::new();
            let hand_over = |order: &mut Order, wanted: &mut BTreeMap<u64, _>, now| {
                let mut before = None;
                for event in order.run(now) {
                    let number = event.position.0;
                    assert!(before.is_none_or(|before| before + 1 == number), "no gap within a run: {number}");
                    assert_eq!(wanted.pop_first(), Some((number, event)));
                    before = Some(number);
                }
                before.is_some()
            };
            let (pieces, rest) = input.as_chunks::<9>();
            for piece in pieces.iter().take(2_000) {
                let [what, number @ ..] = *piece;
                let number = u64::from_le_bytes(number);
                match what % 4 {
                    0 | 1 => {
                        let epoch = if what % 4 == 0 { EPOCH } else { Epoch(9) };
                        let sent = message::encode(&LoggedEvent { epoch, ..event(number) });
                        let Some(got) = message::decode(&sent) else { continue };
                        if epoch == EPOCH && number > order.position().0 {
                            wanted.insert(number, got.clone());
                        }
                        order.put(got, now);
                    }
                    2 => order.end(number as u32),
                    _ => {
                        now += Duration::from_secs(number % 32);
                        hand_over(&mut order, &mut wanted, now);
                    }
                }
                let mut in_need = order.wanted();
                in_need.sort_unstable();
                in_need.dedup();
                assert!(in_need.iter().all(|&partition| partition < 3) && in_need.len() == order.wanted().len());
            }
            while hand_over(&mut order, &mut wanted, now + 2 * LOG_WAIT) {}
            assert!(wanted.is_empty() && order.early.is_empty(), "{wanted:?}");
            assert!(order.partitions.iter().all(|partition| partition.early == 0));
            rest.is_empty()
        });
    }

    #[test]
    fn a_partition_that_is_far_ahead_is_not_wanted_until_the_others_have_come() {
        let mut order = Order::new(EPOCH, Position(0), 3);
        let now = Instant::now();
        assert_eq!(order.wanted(), [0, 1, 2]);
        let second = (64..).filter(|&number| message::partition(number, 3) == 1).take(EARLY_MAX);
        second.for_each(|number| order.put(event(number), now));
        assert_eq!(order.wanted(), [0, 2]);
        (1..64).for_each(|number| order.put(event(number), now));
        assert_eq!(numbers(&order.run(now)), (1..128).collect::<Vec<_>>());
        assert_eq!(order.wanted(), [2, 0, 1]);
    }

    #[test]
    fn a_number_whose_partition_was_not_read_to_its_end_is_waited_for_longer() {
        let mut order = Order::new(EPOCH, Position(63), 3);
        let now = Instant::now();
        order.put(event(130), now);
        assert_eq!(order.run(now + LOG_GAP_WAIT), []);
        assert_eq!(numbers(&order.run(now + LOG_WAIT)), [130]);
    }

    #[test]
    fn several_numbers_that_are_missing_are_waited_for_together() {
        let mut order = Order::new(EPOCH, Position(0), 1);
        let now = Instant::now();
        [2, 4, 6].into_iter().for_each(|number| order.put(event(number), now));
        let late = now + LOG_GAP_WAIT;
        order.end(0);
        let runs: Vec<u64> = (0..4).flat_map(|_| numbers(&order.run(late))).collect();
        assert_eq!(runs, [2, 4, 6]);
    }
}

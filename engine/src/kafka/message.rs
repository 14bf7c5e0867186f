//! How an event is a message: version byte, epoch and number (8 bytes each, little-endian), then the event's bytes.
//! No key: the partition is chosen by number, and nothing is compacted.

use crate::model::{Epoch, LoggedEvent, Position};

/// Not a byte that text or JSON begins with.
const VERSION: u8 = 0xE1;
const HEADER_BYTES: usize = 1 + 8 + 8;
/// The highest number that a store can give. What is reckoned with numbers does not overflow up to here.
const NUMBER_MAX: u64 = i64::MAX as u64;

/// So many consecutive numbers go to one partition, before the next gets as many. One by one would spread them as
/// well, but a client library sends a request for each partition that it has something for: a relay's batch of ten
/// events was ten requests, and a reader heard of them in as many answers.
pub(super) const STRIPE: u64 = 64;

/// The partition of event `number`: so the next number tells where it will be.
pub(super) fn partition(number: u64, partitions: u32) -> u32 {
    (number / STRIPE % u64::from(partitions)) as u32
}

/// The first number above `after` in a partition.
pub(super) fn first_above(after: u64, of: u32, partitions: u32) -> u64 {
    let lowest = after + 1;
    let stripes = (of + partitions - partition(lowest, partitions)) % partitions;
    if stripes == 0 { lowest } else { (lowest / STRIPE + u64::from(stripes)) * STRIPE }
}

/// The number before this one in its partition; 0 when it is the first.
pub(super) fn before(number: u64, partitions: u32) -> u64 {
    let back = if number.is_multiple_of(STRIPE) { STRIPE * u64::from(partitions - 1) + 1 } else { 1 };
    number.saturating_sub(back)
}

/// Messages in one partition, at the most, of so many consecutive numbers.
pub(super) fn share(numbers: u64, partitions: u32) -> i64 {
    i64::try_from((numbers / (STRIPE * u64::from(partitions)) + 1) * STRIPE).unwrap_or(i64::MAX)
}

/// The value of an event's message.
pub(super) fn encode(event: &LoggedEvent) -> Box<[u8]> {
    let mut value = Vec::with_capacity(HEADER_BYTES + event.bytes.len());
    value.push(VERSION);
    value.extend(event.epoch.0.to_le_bytes());
    value.extend(event.position.0.to_le_bytes());
    value.extend_from_slice(&event.bytes);
    value.into()
}

/// The event of a message; none when the message is not ours, or under a number that no history comes to. Whether the
/// event's own bytes make sense is not asked.
pub(super) fn decode(value: &[u8]) -> Option<LoggedEvent> {
    let (version, rest) = value.split_first()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let (number, bytes) = rest.split_first_chunk()?;
    let number = u64::from_le_bytes(*number);
    (*version == VERSION && number <= NUMBER_MAX).then(|| LoggedEvent {
        epoch: Epoch(u64::from_le_bytes(*epoch)),
        position: Position(number),
        bytes: bytes.into(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testkit::fuzz;

    #[test]
    fn a_message_is_not_ours_or_exactly_these_bytes() {
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/message");
        let ours = |bytes: &[u8]| LoggedEvent { epoch: Epoch(1), position: Position(NUMBER_MAX), bytes: bytes.into() };
        fuzz(kept, vec![encode(&ours(b"")).into(), encode(&ours(&[7; 26])).into()], |input| {
            let decoded = decode(input);
            assert!(decoded.as_ref().is_none_or(|event| *encode(event) == *input));
            decoded.is_some()
        });
    }

    proptest! {
        #[test]
        fn every_event_survives_its_message(epoch: u64, number in 0..=NUMBER_MAX, bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let event = LoggedEvent { epoch: Epoch(epoch), position: Position(number), bytes: bytes.into() };
            prop_assert_eq!(decode(&encode(&event)), Some(event));
        }
    }

    proptest! {
        #[test]
        fn numbers_of_a_partition_follow_each_other(after in 0..2_000u64, partitions in 1..6u32, of in 0..6u32) {
            let of = of % partitions;
            let here = |number: &u64| partition(*number, partitions) == of;
            let first = (after + 1..).find(here).unwrap();
            prop_assert_eq!(first_above(after, of, partitions), first);
            prop_assert_eq!(before(first, partitions), (1..first).rev().find(here).unwrap_or(0));
            for numbers in [1, 63, 64, 65, 500] {
                let most = (after..after + numbers).filter(here).count() as i64;
                prop_assert!(most <= share(numbers, partitions));
            }
        }
    }

    #[test]
    fn what_is_short_or_begins_otherwise_is_not_ours() {
        let ours = encode(&LoggedEvent { epoch: Epoch(1), position: Position(2), bytes: [].into() });
        assert_eq!(decode(&ours[..16]), None);
        assert_eq!(decode(b"{\"a\": \"a message of some other service\"}"), None);
        assert_eq!(decode(&[]), None);
    }
}

//! How an event is a message: version byte, epoch and number (8 bytes each, little-endian), then the event's bytes.
//! No key: the partition is chosen by number, and nothing is compacted.

use crate::model::{Epoch, LoggedEvent, Position};

/// Not a byte that text or JSON begins with.
const VERSION: u8 = 0xE1;
const HEADER_BYTES: usize = 1 + 8 + 8;

/// The partition of event `number`. So each holds numbers that are P apart, and the next number tells where it will
/// be.
pub(super) fn partition(number: u64, partitions: u32) -> u32 {
    (number % u64::from(partitions)) as u32
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

/// The event of a message; none when the message is not ours. Whether the event's own bytes make sense is not asked.
pub(super) fn decode(value: &[u8]) -> Option<LoggedEvent> {
    let (version, rest) = value.split_first()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let (number, bytes) = rest.split_first_chunk()?;
    (*version == VERSION).then(|| LoggedEvent {
        epoch: Epoch(u64::from_le_bytes(*epoch)),
        position: Position(u64::from_le_bytes(*number)),
        bytes: bytes.into(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_event_survives_its_message(epoch: u64, number: u64, bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let event = LoggedEvent { epoch: Epoch(epoch), position: Position(number), bytes: bytes.into() };
            prop_assert_eq!(decode(&encode(&event)), Some(event));
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

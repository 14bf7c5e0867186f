//! Dead letters: a compacted topic of one partition, whose keys are epoch and number. Keeping one again replaces it;
//! a tombstone forgets it.

use std::collections::BTreeMap;

use super::driver::{Consumer, ReadError, Record};
use super::tail;
use crate::model::{DeadLetter, Epoch, LoggedEvent, Position};

/// Big-endian, so that keys sort as epochs and numbers do.
type Key = [u8; 16];

fn key(epoch: Epoch, position: Position) -> Key {
    (u128::from(epoch.0) << 64 | u128::from(position.0)).to_be_bytes()
}

/// The message that keeps a letter: the reason's length (4 bytes, little-endian), the reason, the event's bytes.
pub(super) fn bury(DeadLetter { event, reason }: &DeadLetter) -> Record {
    let mut value = Vec::with_capacity(4 + reason.len() + event.bytes.len());
    value.extend((reason.len() as u32).to_le_bytes());
    value.extend_from_slice(reason.as_bytes());
    value.extend_from_slice(&event.bytes);
    record(event.epoch, event.position, Some(value.into()))
}

/// The message that forgets a letter.
pub(super) fn forget(epoch: Epoch, position: Position) -> Record {
    record(epoch, position, None)
}

fn record(epoch: Epoch, position: Position, value: Option<Box<[u8]>>) -> Record {
    Record { partition: 0, key: Some(key(epoch, position).into()), value }
}

/// A message of the log's topic that is not ours, to be kept: under epoch 0, which no history has, and a number that
/// names its place.
pub(super) fn foreign(partition: u32, offset: i64, value: Box<[u8]>) -> DeadLetter {
    let position = Position(u64::from(partition) << 48 | offset.unsigned_abs());
    let reason = format!("not an event: the message at offset {offset} of partition {partition}");
    DeadLetter { event: LoggedEvent { epoch: Epoch(0), position, bytes: value }, reason: reason.into() }
}

fn decode(key: Key, value: &[u8]) -> Option<DeadLetter> {
    let (length, rest) = value.split_first_chunk()?;
    let (reason, bytes) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let key = u128::from_be_bytes(key);
    let event = LoggedEvent { epoch: Epoch((key >> 64) as u64), position: Position(key as u64), bytes: bytes.into() };
    Some(DeadLetter { event, reason: str::from_utf8(reason).ok()?.into() })
}

/// The letters that are kept, by rising epoch and number.
pub(super) fn read(consumer: &mut dyn Consumer, topic: &str) -> Result<Vec<DeadLetter>, ReadError> {
    let bounds = consumer.bounds(topic, 1)?;
    let mut kept: BTreeMap<Key, DeadLetter> = BTreeMap::new();
    tail::read(consumer, topic, &bounds, |(name, value)| {
        let Ok(name) = Key::try_from(&*name) else {
            return tracing::warn!(topic, "a message is no dead letter");
        };
        if value.is_empty() {
            kept.remove(&name);
        } else if let Some(letter) = decode(name, &value) {
            kept.insert(name, letter);
        } else {
            tracing::warn!(topic, "a message is no dead letter");
        }
    })?;
    Ok(kept.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::fuzz;

    /// The input: a key, then a value.
    #[test]
    fn a_letters_message_is_none_or_exactly_these_bytes() {
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/letter");
        let letter = |reason: &str, bytes: &[u8]| {
            let event = LoggedEvent { epoch: Epoch(3), position: Position(u64::MAX), bytes: bytes.into() };
            let Record { key, value, .. } = bury(&DeadLetter { event, reason: reason.into() });
            [key.unwrap(), value.unwrap()].concat()
        };
        let seeds = vec![letter("", b""), letter("größer", &[7; 26]), letter("not an event", b"{}")];
        fuzz(kept, seeds, |input| {
            let Some((key, value)) = input.split_first_chunk() else { return false };
            let Some(letter) = decode(*key, value) else { return false };
            let again = bury(&letter);
            assert_eq!((again.key.as_deref(), again.value.as_deref()), (Some(&key[..]), Some(value)), "{letter:?}");
            true
        });
    }

    #[test]
    fn a_letter_survives_its_message() {
        for (reason, bytes) in [("", &[][..]), ("too short", &[1, 2, 3]), ("größer", &[0; 40])] {
            let event = LoggedEvent { epoch: Epoch(u64::MAX - 1), position: Position(77), bytes: bytes.into() };
            let letter = DeadLetter { event, reason: reason.into() };
            let Record { key, value, .. } = bury(&letter);
            let key = Key::try_from(&*key.unwrap()).unwrap();
            assert_eq!(decode(key, &value.unwrap()), Some(letter));
        }
    }

    #[test]
    fn what_is_cut_off_is_no_letter() {
        let letter = foreign(3, 12, Box::new([1, 2]));
        let Record { value, .. } = bury(&letter);
        let value = value.unwrap();
        assert_eq!(decode([0; 16], &value[..3]), None);
        assert_eq!(decode([0; 16], &value[..20]), None);
    }

    #[test]
    fn keys_sort_as_epochs_and_numbers_do() {
        let letters = [(0, 5), (1, 2), (1, 300), (256, 1)];
        assert!(letters.map(|(epoch, number)| key(Epoch(epoch), Position(number))).is_sorted());
    }
}

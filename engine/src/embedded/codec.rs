//! Rows as bytes: fixed little-endian fields, then text. Outcomes and tunings are JSON, for they are read rarely and
//! change with the model.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fault::Fault;
use crate::model::{Channel, Handle, Heat, Millis, Outcome, PostId, Stamp, User, UserCard, UserId};

/// A user with everything that its commands need in one read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct UserRow {
    pub(super) handle: Handle,
    pub(super) name: Box<str>,
    pub(super) followers: u64,
    pub(super) following: u64,
    pub(super) heat: Heat,
    /// The user's newest post id ever, removed or not: the next one must exceed it.
    pub(super) last_post: PostId,
    /// When the user's timeline last grew backwards in time.
    pub(super) widened: Stamp,
}

impl UserRow {
    /// A user just made.
    pub(super) fn new(handle: Handle, name: &str) -> Self {
        Self {
            handle,
            name: name.into(),
            followers: 0,
            following: 0,
            heat: Heat::default(),
            last_post: PostId::MIN,
            widened: Stamp::default(),
        }
    }

    pub(super) fn card(&self, id: UserId) -> UserCard {
        UserCard { id, handle: self.handle.clone(), name: self.name.clone() }
    }

    pub(super) fn user(&self, id: UserId) -> User {
        User { card: self.card(id), followers: self.followers, following: self.following }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let pin = match self.heat.pin {
            None => 0,
            Some(Channel::Push) => 2,
            Some(Channel::Pull) => 4,
        };
        let handle = self.handle.as_str().as_bytes();
        let mut row = Vec::with_capacity(34 + handle.len() + self.name.len());
        row.push(u8::from(self.heat.hot) | pin);
        for field in [self.followers, self.following, self.last_post.0, self.widened.0] {
            row.extend(field.to_le_bytes());
        }
        row.push(u8::try_from(handle.len()).expect("a handle has at most 30 bytes"));
        row.extend(handle);
        row.extend(self.name.as_bytes());
        row
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, Fault> {
        const WHAT: Fault = Fault::Malformed("a user's row is malformed");
        let (&flags, row) = row.split_first().ok_or(WHAT)?;
        let (words, row) = row.split_at_checked(32).ok_or(WHAT)?;
        let word = |n: usize| u64::from_le_bytes(words.as_chunks::<8>().0[n]);
        let (&length, row) = row.split_first().ok_or(WHAT)?;
        let (handle, name) = row.split_at_checked(usize::from(length)).ok_or(WHAT)?;
        let pin = match flags & !1 {
            0 => None,
            2 => Some(Channel::Push),
            4 => Some(Channel::Pull),
            _ => return Err(WHAT),
        };
        Ok(Self {
            handle: str::from_utf8(handle).ok().and_then(|text| text.parse().ok()).ok_or(WHAT)?,
            name: str::from_utf8(name).map_err(|_| WHAT)?.into(),
            followers: word(0),
            following: word(1),
            heat: Heat { hot: flags & 1 == 1, pin },
            last_post: PostId(word(2)),
            widened: Stamp(word(3)),
        })
    }
}

/// A post without its counter and without its author's names.
pub(super) struct PostRow<'a> {
    pub(super) author: UserId,
    pub(super) channel: Channel,
    pub(super) text: &'a str,
}

impl<'a> PostRow<'a> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(9 + self.text.len());
        row.push(u8::from(self.channel == Channel::Pull));
        row.extend(self.author.0.to_le_bytes());
        row.extend(self.text.as_bytes());
        row
    }

    pub(super) fn decode(row: &'a [u8]) -> Result<Self, Fault> {
        const WHAT: Fault = Fault::Malformed("a post's row is malformed");
        let (&channel, row) = row.split_first().ok_or(WHAT)?;
        let (author, text) = row.split_first_chunk().ok_or(WHAT)?;
        Ok(Self {
            author: UserId(u64::from_le_bytes(*author)),
            channel: if channel == 0 { Channel::Push } else { Channel::Pull },
            text: str::from_utf8(text).map_err(|_| WHAT)?,
        })
    }
}

/// What a key came to.
pub(super) struct KeyRow {
    pub(super) fingerprint: [u8; 16],
    pub(super) made_at: Millis,
    pub(super) outcome: Outcome,
}

impl KeyRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(64);
        row.extend(self.fingerprint);
        row.extend(self.made_at.0.to_le_bytes());
        row.extend(to_json(&self.outcome));
        row
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, Fault> {
        const WHAT: Fault = Fault::Malformed("an idempotency record is malformed");
        let (fingerprint, row) = row.split_first_chunk().ok_or(WHAT)?;
        let (made_at, outcome) = row.split_first_chunk().ok_or(WHAT)?;
        Ok(Self {
            fingerprint: *fingerprint,
            made_at: Millis(u64::from_le_bytes(*made_at)),
            outcome: from_json(outcome)?,
        })
    }
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("the model's types have no map keys or floats that JSON lacks")
}

pub(super) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|_| Fault::Malformed("a row in JSON is malformed"))
}

/// Appends a LEB128 number: 7 bits a byte, lowest first.
pub(super) fn put_number(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a LEB128 number off the front; none where it is not below 2^64.
pub(super) fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if shift == 63 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_users_row_survives_its_encoding(
            numbers in any::<[u64; 4]>(), hot in any::<bool>(), pin in 0..3u8, name in ".{0,20}", handle in "[a-z0-9_]{1,30}",
        ) {
            let row = UserRow {
                handle: handle.parse().expect("the pattern is that of handles"),
                name: name.into(),
                followers: numbers[0],
                following: numbers[1],
                heat: Heat { hot, pin: [None, Some(Channel::Push), Some(Channel::Pull)][usize::from(pin)] },
                last_post: PostId(numbers[2]),
                widened: Stamp(numbers[3]),
            };
            prop_assert_eq!(UserRow::decode(&row.encode()).unwrap(), row);
        }

        #[test]
        fn arbitrary_bytes_are_a_row_or_malformed_but_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = UserRow::decode(&bytes);
            let _ = PostRow::decode(&bytes);
            let _ = KeyRow::decode(&bytes);
            let _ = take_number(&mut bytes.as_slice());
        }

        #[test]
        fn numbers_survive_their_encoding(value in any::<u64>()) {
            let mut bytes = Vec::new();
            put_number(value, &mut bytes);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(take_number(&mut rest), Some(value));
            prop_assert!(rest.is_empty());
        }
    }
}

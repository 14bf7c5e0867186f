//! Events: what a commit changed, as every node and worker hears of it through the log.
//!
//! Encoding: a version byte, a kind byte, then fixed-width little-endian fields. A reader refuses versions,
//! kinds and lengths it does not know: such an event is a hole in the log, never a guess.

use thiserror::Error;

use super::channel::Channel;
use super::id::{PostId, UserId};
use super::log::{Epoch, Position};

const VERSION: u8 = 1;
/// Bytes of an encoded event at the most: version, kind and three fields.
const ENCODED_BYTES_MAX: usize = 2 + 3 * 8;

/// One committed change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A post was written. `audience`: the author's followers then, an estimate of what a flush will deliver.
    Posted { post: PostId, author: UserId, channel: Channel, audience: u32 },
    /// A post was removed by its author.
    Removed { post: PostId, author: UserId },
    /// `follower` follows `followee` from now on.
    Followed { follower: UserId, followee: UserId },
    /// `follower` follows `followee` no longer.
    Unfollowed { follower: UserId, followee: UserId },
    /// `user` mutes `target`.
    Muted { user: UserId, target: UserId },
    /// `user` mutes `target` no longer.
    Unmuted { user: UserId, target: UserId },
    /// `user` blocks `target`; follows between them have ended.
    Blocked { user: UserId, target: UserId },
    /// `user` blocks `target` no longer.
    Unblocked { user: UserId, target: UserId },
    /// `user` likes `post`, which has `likes` likes now.
    Liked { user: UserId, post: PostId, likes: u64 },
    /// `user` likes `post` no longer; it has `likes` likes now.
    Unliked { user: UserId, post: PostId, likes: u64 },
    /// The tuning has this version now.
    Tuned { version: u64 },
    /// An author's pin was changed.
    Pinned { author: UserId },
}

/// An event with its number in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NumberedEvent {
    /// Its number.
    pub position: Position,
    /// What happened.
    pub event: Event,
}

/// An event as it is kept and published: in its encoded form, which whoever only passes it on need not understand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoggedEvent {
    /// The history that gave it its number. Numbers of different histories have nothing to do with each other.
    pub epoch: Epoch,
    /// Its number.
    pub position: Position,
    /// What happened, [encoded](Event::encode): perhaps by another version.
    pub bytes: Box<[u8]>,
}

impl LoggedEvent {
    /// `event` under this number.
    pub fn new(epoch: Epoch, NumberedEvent { position, event }: NumberedEvent) -> Self {
        let mut bytes = Vec::with_capacity(ENCODED_BYTES_MAX);
        event.encode(&mut bytes);
        Self { epoch, position, bytes: bytes.into() }
    }

    /// The event that the bytes say.
    ///
    /// # Errors
    /// When they are not exactly one event of this version.
    pub fn decode(&self) -> Result<NumberedEvent, DecodeError> {
        Ok(NumberedEvent { position: self.position, event: Event::decode(&self.bytes)? })
    }
}

/// An event that could not be applied, as it is kept for operators.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetter {
    /// The event as it was logged.
    pub event: LoggedEvent,
    /// Why it could not be applied.
    pub reason: Box<str>,
}

/// Bytes that are no event this version knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum DecodeError {
    /// Written by another version of the format.
    #[error("event version {0} is unknown")]
    Version(u8),
    /// A kind of event this version does not have.
    #[error("event kind {0} is unknown")]
    Kind(u8),
    /// Too few or too many bytes for the kind, or a field out of its range.
    #[error("the event's fields are malformed")]
    Fields,
}

impl Event {
    /// Appends the encoded event to `out`: 10 to 26 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (kind, fields): (u8, [Option<u64>; 3]) = match *self {
            Self::Posted { post, author, channel, audience } => {
                let channel = u64::from(channel == Channel::Pull);
                (1, [Some(post.0), Some(author.0), Some(u64::from(audience) << 1 | channel)])
            }
            Self::Removed { post, author } => (2, [Some(post.0), Some(author.0), None]),
            Self::Followed { follower, followee } => (3, [Some(follower.0), Some(followee.0), None]),
            Self::Unfollowed { follower, followee } => (4, [Some(follower.0), Some(followee.0), None]),
            Self::Muted { user, target } => (5, [Some(user.0), Some(target.0), None]),
            Self::Unmuted { user, target } => (6, [Some(user.0), Some(target.0), None]),
            Self::Blocked { user, target } => (7, [Some(user.0), Some(target.0), None]),
            Self::Unblocked { user, target } => (8, [Some(user.0), Some(target.0), None]),
            Self::Liked { user, post, likes } => (9, [Some(user.0), Some(post.0), Some(likes)]),
            Self::Unliked { user, post, likes } => (10, [Some(user.0), Some(post.0), Some(likes)]),
            Self::Tuned { version } => (11, [Some(version), None, None]),
            Self::Pinned { author } => (12, [Some(author.0), None, None]),
        };
        out.extend([VERSION, kind]);
        for field in fields.into_iter().flatten() {
            out.extend(field.to_le_bytes());
        }
    }

    /// # Errors
    /// When the bytes are not exactly one event of this version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let [version, kind, fields @ ..] = bytes else { return Err(DecodeError::Fields) };
        if *version != VERSION {
            return Err(DecodeError::Version(*version));
        }
        let count = match kind {
            1 | 9 | 10 => 3,
            2..=8 => 2,
            11 | 12 => 1,
            unknown => return Err(DecodeError::Kind(*unknown)),
        };
        let (words, rest) = fields.as_chunks::<8>();
        if words.len() != count || !rest.is_empty() {
            return Err(DecodeError::Fields);
        }
        let word = |n: usize| u64::from_le_bytes(words[n]);
        // The first two fields are ids, but for the version of a tuning.
        if *kind != 11 && (0..count.min(2)).any(|n| word(n) > PostId::MAX.0) {
            return Err(DecodeError::Fields);
        }
        let user = |n: usize| UserId(word(n));
        Ok(match kind {
            1 => Self::Posted {
                post: PostId(word(0)),
                author: user(1),
                channel: if word(2) & 1 == 1 { Channel::Pull } else { Channel::Push },
                audience: u32::try_from(word(2) >> 1).map_err(|_| DecodeError::Fields)?,
            },
            2 => Self::Removed { post: PostId(word(0)), author: user(1) },
            3 => Self::Followed { follower: user(0), followee: user(1) },
            4 => Self::Unfollowed { follower: user(0), followee: user(1) },
            5 => Self::Muted { user: user(0), target: user(1) },
            6 => Self::Unmuted { user: user(0), target: user(1) },
            7 => Self::Blocked { user: user(0), target: user(1) },
            8 => Self::Unblocked { user: user(0), target: user(1) },
            9 => Self::Liked { user: user(0), post: PostId(word(1)), likes: word(2) },
            10 => Self::Unliked { user: user(0), post: PostId(word(1)), likes: word(2) },
            11 => Self::Tuned { version: word(0) },
            _ => Self::Pinned { author: user(0) },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_event() -> impl Strategy<Value = Event> {
        let id = 0..=PostId::MAX.0;
        (0..12u8, id.clone(), id, any::<u64>(), any::<u32>(), any::<bool>()).prop_map(
            |(kind, a, b, likes, audience, pull)| {
                let (user, target, post) = (UserId(a), UserId(b), PostId(b));
                let channel = if pull { Channel::Pull } else { Channel::Push };
                match kind {
                    0 => Event::Posted { post, author: user, channel, audience },
                    1 => Event::Removed { post, author: user },
                    2 => Event::Followed { follower: user, followee: target },
                    3 => Event::Unfollowed { follower: user, followee: target },
                    4 => Event::Muted { user, target },
                    5 => Event::Unmuted { user, target },
                    6 => Event::Blocked { user, target },
                    7 => Event::Unblocked { user, target },
                    8 => Event::Liked { user, post, likes },
                    9 => Event::Unliked { user, post, likes },
                    10 => Event::Tuned { version: a },
                    _ => Event::Pinned { author: user },
                }
            },
        )
    }

    proptest! {
        #[test]
        fn every_event_survives_its_encoding(event in any_event()) {
            let mut bytes = Vec::new();
            event.encode(&mut bytes);
            prop_assert_eq!(Event::decode(&bytes), Ok(event));
        }

        #[test]
        fn arbitrary_bytes_are_refused_or_one_event(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(event) = Event::decode(&bytes) {
                let mut again = Vec::new();
                event.encode(&mut again);
                prop_assert_eq!(again, bytes);
            }
        }
    }
}

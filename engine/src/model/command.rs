//! Commands: what users and operators ask to change, and how that can end.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::channel::Channel;
use super::id::{PostId, UserId};
use super::records::{AuthorState, Post};
use super::tuning::{ChangedBy, Tuning, TuningSettings};

/// A change that is committed whole or not at all. The actor is in the [`Request`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Writes a post. The text was validated at the edge.
    Publish { text: Box<str> },
    /// Removes one of the actor's own posts.
    Remove { post: PostId },
    /// Likes a post; repeatable.
    Like { post: PostId },
    /// Takes a like back, whether or not it was there.
    Unlike { post: PostId },
    /// Follows a user; repeatable (a repeated follow keeps its stamp). `limit`: follows at the most, 0 for none.
    Follow { user: UserId, limit: u64 },
    /// Ends a follow, whether or not it was there.
    Unfollow { user: UserId },
    /// Hides a user's posts from the actor's feed; repeatable.
    Mute { user: UserId },
    /// Ends a mute, whether or not it was there.
    Unmute { user: UserId },
    /// Blocks a user and ends both follows; repeatable.
    Block { user: UserId },
    /// Ends a block, whether or not it was there. Follows do not come back.
    Unblock { user: UserId },
    /// Makes the next version of the tuning, if `expected` is still the present one.
    Tune { expected: Option<u64>, settings: TuningSettings, by: ChangedBy },
    /// Pins an author's channel, or (`None`) lets the engine choose again.
    Pin { author: UserId, pin: Option<Channel> },
}

/// The name of a request, unique within its actor: a client's idempotency key, or one made for it,
/// so that the outcome of an interrupted commit can always be looked up.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CommandKey {
    /// The key: up to 255 bytes from a client; those made by a node begin with a byte that no client can send.
    pub key: Box<[u8]>,
    /// A digest of the request. The same key with another digest is a mistake of the client.
    pub fingerprint: [u8; 16],
}

/// A command by somebody under a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Who asks.
    pub actor: UserId,
    /// Under which key.
    pub key: CommandKey,
    /// For what.
    pub command: Command,
}

/// What a committed command came to. Stored with its key, so that a retry gets the same answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// It is so now (whether or not something had to change).
    Done,
    /// The post was written.
    Posted { post: Post, channel: Channel },
    /// The tuning has this new version.
    Tuned(Tuning),
    /// The author's pin is set.
    Pinned(AuthorState),
}

/// An outcome that is durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committed {
    /// What the command came to.
    pub outcome: Outcome,
    /// Whether an earlier request under the same key had already committed it.
    pub replayed: bool,
}

/// Why the store refused a valid command. Nothing was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Rejection {
    /// No such user, or one that has blocked the actor: the two must not be told apart.
    #[error("no such user")]
    UnknownUser,
    /// No such post, a removed one, or one hidden by a block.
    #[error("no such post")]
    UnknownPost,
    /// Only its author may remove a post.
    #[error("the post is another author's")]
    NotAuthor,
    /// Nobody follows, mutes or blocks themselves.
    #[error("one cannot do this to oneself")]
    Oneself,
    /// The actor has blocked this user.
    #[error("the user is blocked: end the block first")]
    Blocked,
    /// The actor follows as many as allowed.
    #[error("too many follows")]
    TooManyFollows,
    /// The tuning has moved on since `expected`.
    #[error("the tuning has changed since")]
    VersionMismatch,
    /// The key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// A request with this key is being worked on.
    #[error("a request with this idempotency key is in flight")]
    KeyInFlight,
}

//! What the store keeps of users and posts, as a reader sees it.

use serde::{Deserialize, Serialize};

use super::channel::{Channel, Heat};
use super::id::{Handle, PostId, UserId};

/// The part of an author that every post carries.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UserCard {
    /// The author's id.
    pub id: UserId,
    /// The author's unique handle.
    pub handle: Handle,
    /// The author's display name.
    pub name: Box<str>,
}

/// A user with its counters, which may trail by a second.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct User {
    /// Id, handle and name.
    pub card: UserCard,
    /// How many follow this user.
    pub followers: u64,
    /// How many this user follows.
    pub following: u64,
}

/// Whom a sign-in provider vouches for: one of its users.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Identity {
    /// The provider's name in the configuration.
    pub provider: Box<str>,
    /// The provider's name of the user, which never changes and is never given to another; at most
    /// [`SUBJECT_BYTES`](crate::limits::SUBJECT_BYTES).
    pub subject: Box<str>,
}

/// A post that exists (a removed one does not). Its time is in its id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Post {
    /// The post's id.
    pub id: PostId,
    /// Who wrote it.
    pub author: UserCard,
    /// What it says.
    pub text: Box<str>,
    /// How many like it; may trail by a second.
    pub likes: u64,
}

/// An author as operators see it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AuthorState {
    /// Id, handle and name.
    pub card: UserCard,
    /// How many follow the author.
    pub followers: u64,
    /// What decides the channel of the author's next post.
    pub heat: Heat,
}

impl AuthorState {
    /// The channel of the author's next post.
    pub fn channel(&self) -> Channel {
        self.heat.channel()
    }
}

//! The follow view: whom a reader follows, mutes and blocks, as of one stamp. Immutable.

use super::id::UserId;
use super::log::Stamp;

/// One follow of a reader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Following {
    /// Who is followed.
    pub followee: UserId,
    /// When the follow was made, in the store's logical time. Refollowing makes a new one.
    pub stamp: Stamp,
}

/// Everything that decides which authors a reader sees, read in one snapshot.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FollowView {
    /// Whom the reader follows, by rising id.
    pub follows: Box<[Following]>,
    /// Whom the reader mutes, by rising id.
    pub mutes: Box<[UserId]>,
    /// Whom the reader blocks, by rising id.
    pub blocks: Box<[UserId]>,
    /// Who blocks the reader, by rising id.
    pub blocked_by: Box<[UserId]>,
    /// A change made at or after this stamp may be missing here.
    pub stamp: Stamp,
    /// When the reader's timeline last grew backwards in time: the newest follow, unmute or unblock
    /// (of either side).
    pub widened: Stamp,
}

impl FollowView {
    /// Whether the reader follows `author`.
    pub fn follows(&self, author: UserId) -> bool {
        self.follows.binary_search_by_key(&author, |f| f.followee).is_ok()
    }

    /// Whether neither has blocked the other.
    pub fn unblocked(&self, other: UserId) -> bool {
        self.blocks.binary_search(&other).is_err() && self.blocked_by.binary_search(&other).is_err()
    }

    /// Whether posts of `author` are kept from the reader wherever they stand: muted, or blocked either way.
    pub fn hides(&self, author: UserId) -> bool {
        self.mutes.binary_search(&author).is_ok() || !self.unblocked(author)
    }

    /// Whether posts of `author` belong into the home timeline of `reader`, whose view this is.
    pub fn shows(&self, reader: UserId, author: UserId) -> bool {
        (author == reader || self.follows(author)) && !self.hides(author)
    }
}

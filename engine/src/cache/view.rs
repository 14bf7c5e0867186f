//! A reader's follow view and recent likes, as a node keeps them. Immutable.

use crate::limits::RECENT_LIKES;
use crate::model::{FollowView, PostId, Stamp, UserId};
use crate::recent::AuthorSet;

/// A follow view with what reads make of it.
#[derive(Debug)]
pub struct View {
    /// Whom the reader follows, mutes and blocks.
    pub follow: FollowView,
    /// The followees and the reader, as the ring's merge wants them.
    pub authors: AuthorSet,
    newest_follow: Stamp,
}

impl View {
    /// The view of `reader`.
    pub fn new(reader: UserId, follow: FollowView) -> Self {
        let authors = AuthorSet::of(reader, &follow);
        let newest_follow = follow.follows.iter().map(|f| f.stamp).max().unwrap_or_default();
        Self { follow, authors, newest_follow }
    }

    /// Late followees for a statement of `stamp`: their follows are not older, so it may lack their posts.
    pub fn late(&self, stamp: Stamp) -> Vec<UserId> {
        if self.newest_follow < stamp {
            return Vec::new();
        }
        self.follow.follows.iter().filter(|f| f.stamp >= stamp).map(|f| f.followee).collect()
    }

    /// Bytes it takes in memory.
    pub fn weight(&self) -> usize {
        let FollowView { follows, mutes, blocks, blocked_by, .. } = &self.follow;
        let users = mutes.len() + blocks.len() + blocked_by.len();
        size_of::<Self>() + size_of_val(&follows[..]) + users * size_of::<UserId>() + self.authors.weight()
    }
}

/// The newest posts a reader likes.
#[derive(Debug)]
pub struct RecentLikes {
    /// Newest first.
    posts: Box<[PostId]>,
}

impl RecentLikes {
    /// From the store's answer for [`RECENT_LIKES`] of them.
    pub fn new(posts: Vec<PostId>) -> Self {
        Self { posts: posts.into() }
    }

    /// Whether the reader likes `post`; none where it lies below what is known here.
    pub fn likes(&self, post: PostId) -> Option<bool> {
        let known = self.posts.len() < RECENT_LIKES || self.posts.last().is_some_and(|lowest| post >= *lowest);
        known.then(|| self.posts.binary_search_by(|other| post.cmp(other)).is_ok())
    }

    /// Bytes it takes in memory.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.posts.len() * size_of::<PostId>()
    }
}

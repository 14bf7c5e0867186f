//! Own effects: posts that this node has acknowledged and that have not come back through the log yet.
//!
//! They are shown to their author at once. Nothing is lost with them: a node that starts numbers what is committed
//! and warms its ring from the store, so they are in the ring then. Their number is bounded by what the follower has
//! not applied yet.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

use crate::model::{PostId, UserId};
use crate::recent::SharedRing;

/// An author's newest posts to look among, when asking whether one has come back already.
const NEWEST_OF_AUTHOR: usize = 256;

/// Acknowledged posts that are not in the ring, by author.
#[derive(Debug, Default)]
pub struct Unlogged {
    count: AtomicUsize,
    posts: Mutex<FxHashMap<UserId, Vec<PostId>>>,
}

impl Unlogged {
    /// `post` of `author` was acknowledged here, perhaps not for the first time. It may be in the ring by now.
    pub fn acknowledged(&self, author: UserId, post: PostId, replayed: bool, ring: &SharedRing) {
        // The follower appends to the ring first and removes from here afterwards; so either it is seen there now,
        // or the follower will come by.
        let mut posts = self.posts();
        let newest = loop {
            let snapshot = ring.snapshot();
            if let Ok(recent) = snapshot.of_author(author.into(), ring.floor_position(), NEWEST_OF_AUTHOR) {
                break recent;
            }
        };
        // A replay may acknowledge a post of long ago, which the ring no longer has.
        let left = replayed && ring.oldest().is_some_and(|oldest| post < oldest);
        let logged = left || newest.ids.contains(&post);
        if !logged {
            posts.entry(author).or_default().push(post);
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The post is in the ring now.
    pub fn logged(&self, author: UserId, post: PostId) {
        let mut posts = self.posts();
        if let Some(own) = posts.get_mut(&author) {
            let before = own.len();
            own.retain(|id| *id != post);
            self.count.fetch_sub(before - own.len(), Ordering::Relaxed);
            if own.is_empty() {
                posts.remove(&author);
            }
        }
    }

    /// All of them.
    pub fn all(&self) -> Vec<(UserId, PostId)> {
        self.posts().iter().flat_map(|(&author, posts)| posts.iter().map(move |&post| (author, post))).collect()
    }

    /// The author's posts of this kind, newest first.
    pub fn of(&self, author: UserId) -> Vec<PostId> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        let mut own = self.posts().get(&author).cloned().unwrap_or_default();
        own.sort_unstable_by(|a, b| b.cmp(a));
        own
    }

    fn posts(&self) -> MutexGuard<'_, FxHashMap<UserId, Vec<PostId>>> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

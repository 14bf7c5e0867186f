//! Each author's newest pull post (law 3): hot authors, and former ones as long as that post lies above a floor.

use std::sync::{PoisonError, RwLock};

use rustc_hash::FxHashMap;

use super::view::View;
use crate::model::{PostId, UserId};

/// Authors that have ever posted on pull: a few by followers, by cost all who post often. Bounded by the number of users,
/// at 16 bytes each.
#[derive(Debug, Default)]
pub struct PullAuthors(RwLock<FxHashMap<UserId, PostId>>);

impl PullAuthors {
    /// `author` has a post `post` on pull.
    pub fn note(&self, author: UserId, post: PostId) {
        let mut authors = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let newest = authors.entry(author).or_default();
        *newest = post.max(*newest);
    }

    /// Those whom the view of `reader` follows (and the reader) with a pull post above `floor`.
    pub fn followed(&self, reader: UserId, view: &View, floor: PostId) -> Vec<UserId> {
        let authors = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let hot = |author: &UserId| authors.get(author).is_some_and(|newest| *newest > floor);
        if authors.len() < view.follow.follows.len() {
            let followed = |author: &UserId| *author == reader || view.follow.follows(*author);
            return authors.iter().filter(|(a, newest)| **newest > floor && followed(a)).map(|(a, _)| *a).collect();
        }
        view.follow.follows.iter().map(|f| f.followee).chain([reader]).filter(hot).collect()
    }
}

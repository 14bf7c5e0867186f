//! A reader's first page, remembered by where its posts lie. Most of a page is the page that the reader saw before; to
//! look twenty posts up in moka costs more than everything else that a page needs.
//!
//! The cache of posts stays the owner, and what it drops is sooner or later not found here. What would make a remembered
//! post untrue before that is told by [`Marks`]: that it was removed, that the cache forgot everything, that its likes
//! changed when the cache did not have it, that the cache has loaded it anew and changes that one. So what was
//! invalidated is not shown (law 5).

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustc_hash::FxBuildHasher;

use super::RenderedPost;
use crate::model::PostId;

/// Posts that are remembered of a page: one more than most clients ask for.
const POSTS: usize = 24;
/// One in so many pages asks the cache nevertheless, which so learns what is still read.
const ASKED_ONE_IN: u32 = 16;
/// A power of two.
const MARKS: usize = 1 << 16;

/// How often something about a post made what was known of it untrue. Posts may share a mark: then one is looked up
/// for nothing.
pub struct Marks(Box<[AtomicU32]>);

impl Default for Marks {
    fn default() -> Self {
        Self((0..MARKS).map(|_| AtomicU32::new(0)).collect())
    }
}

impl Marks {
    fn slot(&self, post: PostId) -> &AtomicU32 {
        &self.0[FxBuildHasher.hash_one(post) as usize % MARKS]
    }

    /// The mark of a post. What is read of the post afterwards is true as long as it stays.
    pub fn of(&self, post: PostId) -> u32 {
        self.slot(post).load(Ordering::SeqCst)
    }

    /// What was known of the post is untrue. Whoever asks the cache must be told so already.
    pub fn raise(&self, post: PostId) {
        self.slot(post).fetch_add(1, Ordering::SeqCst);
    }

    /// Nothing that was known of any post is to be relied on.
    pub fn raise_all(&self) {
        self.0.iter().for_each(|mark| _ = mark.fetch_add(1, Ordering::SeqCst));
    }
}

/// A post, if there is one, and its mark from before it was looked up.
#[derive(Clone, Debug)]
pub struct Marked {
    /// The mark.
    pub mark: u32,
    /// The post.
    pub post: Option<Arc<RenderedPost>>,
}

struct Held {
    id: PostId,
    mark: u32,
    post: Weak<RenderedPost>,
}

/// Where the posts of a page lie.
#[derive(Default)]
pub struct RememberedPage(Mutex<Arc<[Held]>>);

impl RememberedPage {
    /// Bytes that it takes in memory when it is full.
    pub const BYTES: usize = POSTS * size_of::<Held>() + 64;

    /// The posts with these ids, newest first, as far as they are remembered and nothing was said of them since. Each
    /// with its mark, read before the post, so that what happens to the post meanwhile is not passed over.
    pub fn recall(&self, ids: &[PostId], marks: &Marks) -> Vec<Marked> {
        let page = self.page().clone();
        let ask = fastrand::u32(..ASKED_ONE_IN) == 0;
        let mut held = page.iter().peekable();
        let mut recalled = Vec::with_capacity(ids.len());
        for &id in ids {
            let mark = marks.of(id);
            while held.next_if(|held| held.id > id).is_some() {}
            let found = held.next_if(|held| held.id == id).filter(|held| held.mark == mark && !ask);
            recalled.push(Marked { mark, post: found.and_then(|held| held.post.upgrade()) });
        }
        recalled
    }

    /// Remembers a page, newest post first.
    pub fn remember(&self, page: &[Marked]) {
        let held = |Marked { mark, post }: &Marked| {
            post.as_ref().map(|post| Held { id: post.id(), mark: *mark, post: Arc::downgrade(post) })
        };
        let page = page.iter().filter_map(held).take(POSTS).collect();
        *self.page() = page;
    }

    fn page(&self) -> MutexGuard<'_, Arc<[Held]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for RememberedPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.page().iter().map(|held| held.id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Millis, Position, Post, UserCard, UserId};

    fn post(n: u16) -> Arc<RenderedPost> {
        let at = Millis(1_763_000_000_000);
        let author = UserCard { id: UserId::new(at, 1, 0), handle: "ann".parse().unwrap(), name: "Ann".into() };
        let post = Post { id: PostId::new(at, 1, n), author, text: "x".into(), likes: 0 };
        Arc::new(RenderedPost::new(&post, Position::ZERO))
    }

    fn marked(posts: &[Arc<RenderedPost>], marks: &Marks) -> Vec<Marked> {
        posts.iter().map(|post| Marked { mark: marks.of(post.id()), post: Some(post.clone()) }).collect()
    }

    /// Which of `ids` are found by one who does not happen to ask the cache.
    fn found(page: &RememberedPage, ids: &[PostId], marks: &Marks) -> Vec<bool> {
        let tries = (0..1_000).map(|_| {
            let recalled = page.recall(ids, marks);
            assert!(
                recalled.iter().zip(ids).all(|(found, id)| found.post.as_ref().is_none_or(|post| post.id() == *id))
            );
            recalled.iter().map(|found| found.post.is_some()).collect::<Vec<_>>()
        });
        tries.max_by_key(|found| found.iter().filter(|found| **found).count()).unwrap()
    }

    #[test]
    fn what_was_on_the_page_is_found_until_it_is_marked_or_dropped() {
        let (marks, page) = (Marks::default(), RememberedPage::default());
        let mut posts: Vec<_> = (0..6).rev().map(post).collect();
        let ids: Vec<PostId> = posts.iter().map(|post| post.id()).collect();
        assert_eq!(found(&page, &ids, &marks), [false; 6]);
        page.remember(&marked(&posts[1..5], &marks));
        assert_eq!(found(&page, &ids, &marks), [false, true, true, true, true, false]);
        marks.raise(ids[2]);
        posts.remove(3);
        assert_eq!(found(&page, &ids, &marks), [false, true, false, false, true, false]);
        marks.raise_all();
        assert_eq!(found(&page, &ids, &marks), [false; 6]);
    }

    #[test]
    fn a_page_is_bounded_and_the_cache_is_asked_now_and_then() {
        let (marks, page) = (Marks::default(), RememberedPage::default());
        let posts: Vec<_> = (0..100).rev().map(post).collect();
        let ids: Vec<PostId> = posts.iter().map(|post| post.id()).collect();
        page.remember(&marked(&posts, &marks));
        assert_eq!(found(&page, &ids, &marks).iter().filter(|found| **found).count(), POSTS);
        assert!((0..1_000).any(|_| page.recall(&ids, &marks).iter().all(|found| found.post.is_none())));
    }
}

//! What a reader's slot remembers of other caches: where its view, its likes and the posts of its first page lie. Most of
//! a page is the page that the reader saw before; to look twenty posts up in moka costs more than everything else that a
//! page needs.
//!
//! The caches stay the owners, and what they drop is sooner or later not found here. What would make a remembered value
//! untrue before that is told by the cache's [`Marks`]: that it was invalidated or replaced, that it changed when the
//! cache did not have it, that the cache has loaded it anew and changes that one. So what was invalidated is not shown
//! (law 5).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::{Marks, RenderedPost, View};
use crate::model::PostId;

/// Posts that are remembered of a page: one more than most clients ask for.
const POSTS: usize = 24;
/// One in so many times the cache is asked nevertheless, which so learns what is still read.
const ASKED_ONE_IN: u32 = 32;

/// Whether the cache is asked this time, whatever is remembered.
fn asks() -> bool {
    fastrand::u32(..ASKED_ONE_IN) == 0
}

/// Where the value of one key lies, and the key's mark from before it was looked up.
pub struct Remembered<T>(Mutex<(u32, Weak<T>)>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::new((0, Weak::new())))
    }
}

impl<T> Remembered<T> {
    /// The value, if it is remembered, and its key's mark is still `mark`.
    pub fn recall(&self, mark: u32) -> Option<Arc<T>> {
        let held = self.held();
        (held.0 == mark && !asks()).then(|| held.1.upgrade()).flatten()
    }

    /// Remembers a value that was looked up after its key had this mark.
    pub fn remember(&self, mark: u32, value: &Arc<T>) {
        *self.held() = (mark, Arc::downgrade(value));
    }

    fn held(&self) -> MutexGuard<'_, (u32, Weak<T>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A post, if there is one to be shown, and its mark from before it was looked up.
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

/// Where the posts of a page lie, and the view that shows them.
struct Page {
    /// While this is held no other view has its address.
    view: Weak<View>,
    posts: Arc<[Held]>,
}

/// The first page that a reader was last given.
pub struct RememberedPage(Mutex<Page>);

impl Default for RememberedPage {
    fn default() -> Self {
        Self(Mutex::new(Page { view: Weak::new(), posts: Arc::new([]) }))
    }
}

impl RememberedPage {
    /// Bytes that it takes in memory when it is full.
    pub const BYTES: usize = POSTS * size_of::<Held>() + 64;

    /// The posts with these ids, newest first, that are remembered, shown by this very view, and of which nothing was
    /// said since. Each with its mark, read before the post, so that what happens to the post meanwhile is not passed
    /// over.
    pub fn recall(&self, view: &Arc<View>, ids: &[PostId], marks: &Marks<PostId>) -> Vec<Marked> {
        let posts = {
            let page = self.page();
            let known = std::ptr::eq(page.view.as_ptr(), Arc::as_ptr(view)) && !asks();
            if known { page.posts.clone() } else { Arc::new([]) }
        };
        let mut held = posts.iter().peekable();
        let mut recalled = Vec::with_capacity(ids.len());
        for &id in ids {
            let mark = marks.of(id);
            while held.next_if(|held| held.id > id).is_some() {}
            let found = held.next_if(|held| held.id == id).filter(|held| held.mark == mark);
            recalled.push(Marked { mark, post: found.and_then(|held| held.post.upgrade()) });
        }
        recalled
    }

    /// Remembers a page of posts that `view` shows, newest first.
    pub fn remember(&self, view: &Arc<View>, page: &[Marked]) {
        let held = |Marked { mark, post }: &Marked| {
            post.as_ref().map(|post| Held { id: post.id(), mark: *mark, post: Arc::downgrade(post) })
        };
        let posts = page.iter().filter_map(held).take(POSTS).collect();
        *self.page() = Page { view: Arc::downgrade(view), posts };
    }

    fn page(&self) -> MutexGuard<'_, Page> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for RememberedPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.page().posts.iter().map(|held| held.id)).finish()
    }
}

impl<T> std::fmt::Debug for Remembered<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Remembered").field(&self.held().0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FollowView, Millis, Position, Post, UserCard, UserId};

    fn view() -> Arc<View> {
        Arc::new(View::new(UserId(1), FollowView::default()))
    }

    fn post(n: u16) -> Arc<RenderedPost> {
        let at = Millis(1_763_000_000_000);
        let author = UserCard { id: UserId::new(at, 1, 0), handle: "ann".parse().unwrap(), name: "Ann".into() };
        let post = Post { id: PostId::new(at, 1, n), author, text: "x".into(), likes: 0 };
        Arc::new(RenderedPost::new(&post, Position::ZERO))
    }

    fn marked(posts: &[Arc<RenderedPost>], marks: &Marks<PostId>) -> Vec<Marked> {
        posts.iter().map(|post| Marked { mark: marks.of(post.id()), post: Some(post.clone()) }).collect()
    }

    /// Which of `ids` are found by one who does not happen to ask the cache.
    fn found(page: &RememberedPage, view: &Arc<View>, ids: &[PostId], marks: &Marks<PostId>) -> Vec<bool> {
        let tries = (0..1_000).map(|_| {
            let recalled = page.recall(view, ids, marks);
            assert!(
                recalled.iter().zip(ids).all(|(found, id)| found.post.as_ref().is_none_or(|post| post.id() == *id))
            );
            recalled.iter().map(|found| found.post.is_some()).collect::<Vec<_>>()
        });
        tries.max_by_key(|found| found.iter().filter(|found| **found).count()).unwrap()
    }

    #[test]
    fn what_was_on_the_page_is_found_until_it_is_marked_or_dropped() {
        let (marks, page, view) = (Marks::default(), RememberedPage::default(), view());
        let mut posts: Vec<_> = (0..6).rev().map(post).collect();
        let ids: Vec<PostId> = posts.iter().map(|post| post.id()).collect();
        assert_eq!(found(&page, &view, &ids, &marks), [false; 6]);
        page.remember(&view, &marked(&posts[1..5], &marks));
        assert_eq!(found(&page, &view, &ids, &marks), [false, true, true, true, true, false]);
        assert_eq!(found(&page, &self::view(), &ids, &marks), [false; 6], "another view may show others");
        marks.raise(ids[2]);
        posts.remove(3);
        assert_eq!(found(&page, &view, &ids, &marks), [false, true, false, false, true, false]);
        marks.raise_all();
        assert_eq!(found(&page, &view, &ids, &marks), [false; 6]);
    }

    #[test]
    fn a_page_is_bounded_and_the_cache_is_asked_now_and_then() {
        let (marks, page, view) = (Marks::default(), RememberedPage::default(), view());
        let posts: Vec<_> = (0..100).rev().map(post).collect();
        let ids: Vec<PostId> = posts.iter().map(|post| post.id()).collect();
        page.remember(&view, &marked(&posts, &marks));
        assert_eq!(found(&page, &view, &ids, &marks).iter().filter(|found| **found).count(), POSTS);
        assert!((0..1_000).any(|_| page.recall(&view, &ids, &marks).iter().all(|found| found.post.is_none())));
    }

    #[test]
    fn a_value_is_found_until_its_mark_changes_or_its_owner_drops_it() {
        let (marks, remembered) = (Marks::default(), Remembered::default());
        let recalled = |remembered: &Remembered<u8>| (0..1_000).any(|_| remembered.recall(marks.of(7)).is_some());
        assert!(!recalled(&remembered));
        let value = Arc::new(1);
        remembered.remember(marks.of(7), &value);
        assert!(recalled(&remembered));
        assert!((0..1_000).any(|_| remembered.recall(marks.of(7)).is_none()), "the cache is asked now and then");
        marks.raise(7);
        assert!(!recalled(&remembered));
        remembered.remember(marks.of(7), &value);
        drop(value);
        assert!(!recalled(&remembered));
    }
}

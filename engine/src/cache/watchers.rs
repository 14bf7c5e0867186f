//! Watchers: who is woken when there may be news for them. An index from authors to those who watch them, so that a
//! post costs those nothing whom it does not concern, however many they are.
//!
//! Being woken says nothing. What is told is read from the ring, so a wake-up for nothing is harmless. None is missed:
//! a watcher registers first and looks at the ring afterwards, the follower writes the ring first and wakes afterwards,
//! and both take the lock in between.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use crate::model::UserId;
use crate::recent::{AuthorSet, Tag};

/// Authors that are registered under one hold of the lock: the follower waits for it.
const AUTHORS_AT_ONCE: usize = 1_024;

/// Everybody who waits for news on this node.
#[derive(Debug, Default)]
pub struct Watchers {
    index: Mutex<Index>,
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct Index {
    /// By author, as the ring knows them.
    authors: FxHashMap<Tag, Vec<Arc<Notify>>>,
    /// By the reader whose timeline is watched.
    readers: FxHashMap<UserId, Vec<Arc<Notify>>>,
}

/// One who waits for news of a reader's timeline.
#[derive(Debug)]
pub struct Watch {
    watchers: Arc<Watchers>,
    reader: UserId,
    /// Whom it is registered for, rising.
    authors: Box<[Tag]>,
    wake: Arc<Notify>,
}

impl Watchers {
    /// Somebody who waits for news of the reader's timeline, for no author yet.
    pub fn watch(self: &Arc<Self>, reader: UserId) -> Watch {
        let wake = Arc::new(Notify::new());
        self.index().readers.entry(reader).or_default().push(wake.clone());
        Watch { watchers: self.clone(), reader, authors: Box::default(), wake }
    }

    /// There is something new of `author`.
    pub fn wake_followers(&self, author: UserId) {
        wake(self.index().authors.get(&author.into()));
    }

    /// The reader's timeline may have changed as a whole, or has an own post that is not in the log yet.
    pub fn wake_reader(&self, reader: UserId) {
        wake(self.index().readers.get(&reader));
    }

    /// There may be news for everybody.
    pub fn wake_all(&self) {
        self.index().readers.values().for_each(|watches| wake(Some(watches)));
    }

    /// There will be no more news: the node has been retired.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake_all();
    }

    /// Whether there will be no more news.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(watches: Option<&Vec<Arc<Notify>>>) {
    watches.into_iter().flatten().for_each(|watch| watch.notify_one());
}

impl Watch {
    /// Waits until there may be news. What came since the last time counts.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// From now on it is woken for these authors. Whether it was for just them before; else what they have posted
    /// meanwhile has to be looked for.
    pub fn set(&mut self, authors: &AuthorSet) -> bool {
        let now = authors.tags();
        if *self.authors == *now {
            return true;
        }
        self.unregister(|tag| now.binary_search(tag).is_err());
        let new = |tag: &&Tag| self.authors.binary_search(tag).is_err();
        let new: Vec<Tag> = now.iter().filter(new).copied().collect();
        for some in new.chunks(AUTHORS_AT_ONCE) {
            let mut index = self.watchers.index();
            for tag in some {
                index.authors.entry(*tag).or_default().push(self.wake.clone());
            }
        }
        self.authors = now.into();
        false
    }

    /// Takes itself out of the lists of those authors that are `gone`.
    fn unregister(&self, gone: impl Fn(&Tag) -> bool) {
        let gone: Vec<&Tag> = self.authors.iter().filter(|tag| gone(tag)).collect();
        for some in gone.chunks(AUTHORS_AT_ONCE) {
            let mut index = self.watchers.index();
            for tag in some {
                remove(&mut index.authors, tag, &self.wake);
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.unregister(|_| true);
        remove(&mut self.watchers.index().readers, &self.reader, &self.wake);
    }
}

fn remove<K: std::hash::Hash + Eq>(lists: &mut FxHashMap<K, Vec<Arc<Notify>>>, key: &K, wake: &Arc<Notify>) {
    if let Some(list) = lists.get_mut(key) {
        // Whoever came last is often the first to go.
        if let Some(place) = list.iter().rposition(|other| Arc::ptr_eq(other, wake)) {
            list.swap_remove(place);
        }
        if list.is_empty() {
            lists.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn woken(watch: &Watch) -> bool {
        watch.woken().now_or_never().is_some()
    }

    #[test]
    fn only_those_are_woken_whom_it_concerns_and_only_while_they_watch() {
        let watchers: Arc<Watchers> = Arc::default();
        let (mut ann, mut ben) = (watchers.watch(UserId(1)), watchers.watch(UserId(2)));
        assert!(!ann.set(&AuthorSet::new([UserId(7), UserId(8)])));
        assert!(ann.set(&AuthorSet::new([UserId(8), UserId(7)])), "the same as before");
        ben.set(&AuthorSet::new([UserId(8)]));
        watchers.wake_followers(UserId(7));
        assert_eq!((woken(&ann), woken(&ben)), (true, false));
        watchers.wake_followers(UserId(8));
        watchers.wake_followers(UserId(8));
        assert_eq!((woken(&ann), woken(&ben)), (true, true));
        assert!(!woken(&ann), "once");
        ann.set(&AuthorSet::new([UserId(7), UserId(9)]));
        watchers.wake_followers(UserId(8));
        assert_eq!((woken(&ann), woken(&ben)), (false, true));
        watchers.wake_followers(UserId(9));
        watchers.wake_reader(UserId(2));
        assert_eq!((woken(&ann), woken(&ben)), (true, true));
        watchers.close();
        assert_eq!((woken(&ann), woken(&ben)), (true, true));
        drop((ann, ben));
        let index = watchers.index();
        assert!(watchers.is_closed() && index.authors.is_empty() && index.readers.is_empty());
    }
}

//! Loading views, likes, streams and who posts on pull; streams are brought forward through the ring.

use std::sync::{Arc, Mutex};

use super::tier::{HomeSlot, Tier, lock};
use super::{RecentLikes, View};
use crate::limits::{EVENTS_BATCH, RECENT_LIKES, STREAM_ENTRIES};
use crate::model::{Epoch, Position, PostId, Stamp, UserId};
use crate::ports::StoreError;
use crate::timeline::{Run, Window};

/// An author's newest posts: all above the floor.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Newest first.
    pub ids: Vec<PostId>,
    /// Nothing is said about this id and below.
    pub floor: PostId,
}

impl Tier {
    /// The reader's follow view.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn view(&self, reader: UserId) -> Result<Arc<View>, StoreError> {
        self.view_beside(reader, None).await
    }

    /// The reader's follow view for somebody who knows of one with the stamp `known`, of this history: not an older one,
    /// which a node has that has not heard of a change yet. The store's stamps do not fall, so one reading is enough.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn view_not_before(&self, reader: UserId, known: Stamp) -> Result<Arc<View>, StoreError> {
        let view = self.view(reader).await?;
        if view.follow.stamp >= known {
            return Ok(view);
        }
        self.views.invalidate(reader);
        self.view(reader).await
    }

    /// The reader's follow view, where `slot` may remember it.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn view_beside(&self, reader: UserId, slot: Option<&HomeSlot>) -> Result<Arc<View>, StoreError> {
        let store = self.store.clone();
        let load = || async move { Ok(Arc::new(View::new(reader, store.view(reader).await?))) };
        self.views.get_remembered_or_load(reader, slot.map(|slot| &slot.view), load).await
    }

    /// The reader's recent likes, where `slot` may remember them.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn likes_beside(&self, reader: UserId, slot: Option<&HomeSlot>) -> Result<Arc<RecentLikes>, StoreError> {
        let store = self.store.clone();
        let load = || async move { Ok(Arc::new(RecentLikes::new(store.likes(reader, RECENT_LIKES).await?))) };
        self.likes.get_remembered_or_load(reader, slot.map(|slot| &slot.likes), load).await
    }

    /// Learns each author's newest pull post from the store.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn load_pulls(&self) -> Result<(), StoreError> {
        let mut after = UserId(0);
        loop {
            let authors = self.store.pull_authors(after, EVENTS_BATCH).await?;
            for &(author, post) in &authors {
                self.pulls.note(author, post);
            }
            match authors.last() {
                Some(&(last, _)) if authors.len() == EVENTS_BATCH => after = last,
                _ => return Ok(()),
            }
        }
    }

    /// The posts of `author` above `floor`, complete up to the ring's position of this moment or a later one.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn stream(&self, author: UserId, floor: PostId) -> Result<Stream, StoreError> {
        loop {
            let (store, ring) = (self.store.clone(), self.ring.clone());
            let load = || async move {
                // The position first: whatever was logged up to it was committed before the read.
                let position = ring.position();
                let posts = store.posts_by(&[author], PostId::MAX, STREAM_ENTRIES).await?;
                Ok(Arc::new(Mutex::new(loaded(posts.into_iter().next().unwrap_or_default(), position))))
            };
            let shared = self.streams.get_or_load(author, load).await?;
            let forwarded = {
                let mut run = lock(&shared);
                let snapshot = self.ring.snapshot();
                snapshot.of_author(author.into(), run.position(), STREAM_ENTRIES).map(|recent| {
                    let position = run.position().max(snapshot.position);
                    let grown = run.advance(&recent.ids, recent.floor, position, Stamp::default());
                    let floor = run.floor().max(floor);
                    (grown, Stream { ids: run.entries().take_while(|id| *id > floor).collect(), floor: run.floor() })
                })
            };
            match forwarded {
                Ok((grown, stream)) => {
                    if grown {
                        self.streams.insert(author, shared);
                    }
                    return Ok(stream);
                }
                Err(_lapped) => self.streams.invalidate(author),
            }
        }
    }
}

/// The run that the store's answer for [`STREAM_ENTRIES`] posts says.
fn loaded(entries: Vec<PostId>, position: Position) -> Run {
    let floor = floor_of(&entries, STREAM_ENTRIES);
    Run::new(&Window { epoch: Epoch::default(), floor, position, stamp: Stamp::default(), entries })
}

/// The floor of an answer of the store for `limit` posts: where it is full, there may be more below its last.
pub(crate) fn floor_of(entries: &[PostId], limit: usize) -> PostId {
    match entries.last() {
        Some(last) if entries.len() >= limit => PostId(last.0 - 1),
        _ => PostId::MIN,
    }
}

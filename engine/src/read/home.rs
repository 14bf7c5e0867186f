//! A page of the home timeline: L1 and own effects above the floor, the store below it, without a cliff (laws 1, 5).

use std::sync::Arc;

use super::forward::Present;
use super::{Feed, FeedItem, PageRequest, ReadError, Reads, Source};
use crate::cache::{Filled, HomeSlot, RenderedPost, View};
use crate::model::{Position, PostId, UserId};
use crate::ports::StoreError;
use crate::timeline::ListId;

/// Where a page begins: below an id, at a position of the log.
struct From {
    position: Position,
    before: PostId,
}

impl Reads {
    /// A page of the reader's home timeline.
    ///
    /// # Errors
    /// [`ReadError::BadCursor`], or [`ReadError::Unavailable`] where the store is gone and the caches do not have it.
    pub async fn home(&self, reader: UserId, page: &PageRequest) -> Result<Feed, ReadError> {
        let from = self.home_cursor(reader, page)?;
        if !self.tier.reached(from.position).await {
            return self.home_behind(reader, from, page.limit).await;
        }
        let slot = self.slot(reader).await?;
        let view = self.tier.view_beside(reader, Some(&slot)).await?;
        // Before the ring is asked: what comes back through the log meanwhile is then in the ring's answer.
        let own = self.tier.unlogged.of(reader);
        let present = self.present(reader, slot, &view).await?;
        let (position, slot) = (present.position, present.slot.clone());
        // One more than a page holds tells whether there is another.
        let items = self.collect(reader, &view, (present, own), from.before, page.limit + 1).await?;
        Ok(self.present_page(reader, (&view, Some(&slot)), position, items, page.limit).await?)
    }

    fn home_cursor(&self, reader: UserId, page: &PageRequest) -> Result<From, ReadError> {
        let Some(cursor) = &page.cursor else {
            return Ok(From { position: Position::ZERO, before: PostId::MAX });
        };
        let opened = self.signer.open(ListId::Home(reader), cursor);
        let [epoch, position, before] = opened.ok_or(ReadError::BadCursor)?;
        // The ids of another epoch still name the same posts; its positions mean nothing here.
        let position = if epoch == self.tier.epoch.0 { Position(position) } else { Position::ZERO };
        Ok(From { position, before: PostId(before) })
    }

    /// Up to `count` visible posts below `before`, newest first.
    async fn collect(
        &self,
        reader: UserId,
        view: &Arc<View>,
        (present, own): (Present, Vec<PostId>),
        before: PostId,
        count: usize,
    ) -> Result<Vec<FeedItem>, StoreError> {
        let filled = present.slot.take_filled();
        let source = filled.as_ref().map_or(Source::L1, |filled| filled.from);
        metrics::counter!("feed_source_total", "source" => source.name()).increment(1);
        let mut items = Vec::with_capacity(count);
        let mut below = before;
        loop {
            let (ids, floor) = skeleton(&present, &own, below, count - items.len());
            let Some(&lowest) = ids.last() else {
                below = below.min(PostId(floor.0.saturating_add(1)));
                if floor == PostId::MIN {
                    return Ok(items);
                }
                break;
            };
            let posts = match below {
                PostId::MAX => self.visible_first(reader, view, &present.slot, &ids).await?,
                _ => self.visible(reader, view, &ids).await?,
            };
            for post in posts {
                let from = source_of(post.id(), &present, filled.as_ref(), &own);
                items.push(FeedItem { post, from });
            }
            if items.len() >= count {
                return Ok(items);
            }
            below = lowest;
        }
        self.collect_from_store(reader, view, below, count, &mut items).await?;
        Ok(items)
    }

    /// Goes on below every cache until `count` items are there or the timeline ends.
    async fn collect_from_store(
        &self,
        reader: UserId,
        view: &View,
        mut below: PostId,
        count: usize,
        items: &mut Vec<FeedItem>,
    ) -> Result<(), StoreError> {
        while items.len() < count {
            let wanted = count - items.len();
            let ids = self.tier.store.home_page(reader, below, wanted).await?;
            let posts = self.visible(reader, view, &ids).await?;
            items.extend(posts.into_iter().map(|post| FeedItem { post, from: Source::Store }));
            match ids.last() {
                Some(&lowest) if ids.len() == wanted => below = lowest,
                _ => break,
            }
        }
        Ok(())
    }

    /// This node has not seen what the cursor's node had: the store has.
    async fn home_behind(&self, reader: UserId, from: From, limit: usize) -> Result<Feed, ReadError> {
        let view = self.tier.view(reader).await?;
        metrics::counter!("feed_source_total", "source" => Source::Store.name()).increment(1);
        let mut items = Vec::new();
        self.collect_from_store(reader, &view, from.before, limit + 1, &mut items).await?;
        Ok(self.present_page(reader, (&view, None), from.position, items, limit).await?)
    }

    /// The page of at most `limit` of the items, with what the reader likes, the cursor and the fresh token.
    async fn present_page(
        &self,
        reader: UserId,
        (view, slot): (&View, Option<&HomeSlot>),
        position: Position,
        mut items: Vec<FeedItem>,
        limit: usize,
    ) -> Result<Feed, StoreError> {
        let more = items.len() > limit;
        items.truncate(limit);
        let epoch = self.tier.epoch.0;
        let next = items
            .last()
            .filter(|_| more)
            .map(|last| self.signer.seal(ListId::Home(reader), [epoch, position.0, last.post.id().0]));
        let liked = self.liked(reader, slot, items.iter().map(|item| item.post.id())).await?;
        let fresh = self.fresh(reader, view, position);
        Ok(Feed { items, liked, next, fresh, era: self.era(view, position), gap: false })
    }

    pub(super) fn fresh(&self, reader: UserId, view: &View, position: Position) -> String {
        self.signer.seal(ListId::Fresh(reader), [self.tier.epoch.0, position.0, view.follow.stamp.0])
    }

    /// One post, if the caller may see it.
    ///
    /// # Errors
    /// [`ReadError::UnknownPost`] where there is none, or a block either way hides it.
    pub async fn post(&self, caller: UserId, id: PostId) -> Result<Arc<RenderedPost>, ReadError> {
        // Not through the cache of posts: an id that names nothing yet must not be remembered as removed.
        let view = self.view_before_asking(caller).await?;
        let position = self.tier.ring.position();
        let post = self.tier.store.posts(&[id]).await?.pop().flatten();
        let shown = post.filter(|post| view.follow.unblocked(post.author.id)).ok_or(ReadError::UnknownPost)?;
        Ok(Arc::new(RenderedPost::new(&shown, position)))
    }
}

/// The newest `count` ids below `below` of the window and of the reader's own posts, and the window's floor.
fn skeleton(present: &Present, own: &[PostId], below: PostId, count: usize) -> (Vec<PostId>, PostId) {
    let run = present.slot.run();
    let floor = run.floor();
    let mut ids: Vec<PostId> = run.entries().skip_while(|id| *id >= below).take(count).collect();
    drop(run);
    let lowest = if ids.len() == count { ids[count - 1] } else { floor };
    let before = ids.len();
    ids.extend(own.iter().filter(|id| **id < below && **id > lowest));
    if ids.len() > before {
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.dedup();
        ids.truncate(count);
    }
    (ids, floor)
}

fn source_of(id: PostId, present: &Present, filled: Option<&Filled>, own: &[PostId]) -> Source {
    let rest = filled.map_or(Source::L1, |filled| filled.from);
    let ring = |ids: &[PostId]| ids.binary_search_by(|other| id.cmp(other)).is_ok();
    if ring(&present.ring) || filled.is_some_and(|filled| ring(&filled.ring)) {
        Source::Ring
    } else if own.contains(&id)
        || present.streams.contains(&id)
        || filled.is_some_and(|filled| filled.streams.contains(&id))
    {
        Source::Stream
    } else {
        rest
    }
}

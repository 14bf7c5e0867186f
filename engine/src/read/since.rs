//! What was logged since a page was made: from the ring, by log position, so also posts with lower ids.

use super::{Feed, FeedItem, PageRequest, ReadError, Reads, Source};
use crate::cache::{Tier, View};
use crate::limits::ERA_EVENTS;
use crate::model::{Position, PostId, Stamp, UserId};
use crate::ports::StoreError;
use crate::timeline::ListId;

/// Events `(after, upto]`, of which the ids at and above `before` have been told.
struct Span {
    after: Position,
    upto: Position,
    before: PostId,
    stamp: Stamp,
}

impl Reads {
    /// A page of what was logged since the page that gave `fresh`, newest first. Where that cannot be told, an
    /// ordinary first page with `gap`.
    ///
    /// # Errors
    /// [`ReadError::BadCursor`] for tokens that are not ours; as [`home`](Self::home) else.
    pub async fn home_since(&self, reader: UserId, fresh: &str, page: &PageRequest) -> Result<Feed, ReadError> {
        let [epoch, after, stamp] = self.signer.open(ListId::Fresh(reader), fresh).ok_or(ReadError::BadCursor)?;
        // A token of another history says nothing of this one's stamps.
        let known = if epoch == self.tier.epoch.0 { Stamp(stamp) } else { Stamp::default() };
        let view = self.tier.view_not_before(reader, known).await?;
        // Before the ring is asked, as in `home`.
        let own = self.tier.unlogged.of(reader);
        let ring = &self.tier.ring;
        let span = match &page.cursor {
            None => {
                // A node behind the token's may not have what came before it either.
                let reached = epoch == self.tier.epoch.0 && self.tier.reached(Position(after)).await;
                let upto = if reached { ring.position() } else { Position(after) };
                Span { after: Position(after), upto, before: PostId::MAX, stamp: Stamp(stamp) }
            }
            Some(cursor) => {
                let opened = self.signer.open(ListId::Since(reader), cursor);
                let [of_epoch, of_after, upto, before] = opened.ok_or(ReadError::BadCursor)?;
                if (of_epoch, of_after) != (epoch, after) {
                    return Err(ReadError::BadCursor);
                }
                self.tier.reached(Position(upto)).await;
                Span { after: Position(after), upto: Position(upto), before: PostId(before), stamp: Stamp(stamp) }
            }
        };
        // A wider view lets older posts in, which no position tells of.
        let told = epoch == self.tier.epoch.0 && view.follow.widened < span.stamp && span.upto <= ring.position();
        let recent = ring.snapshot().upto(span.upto);
        let recent = recent.and_then(|snapshot| snapshot.newest(&view.authors, span.after, ring.capacity()));
        let (true, Ok(recent)) = (told, recent) else {
            let first = PageRequest { limit: page.limit, cursor: None };
            return Ok(Feed { gap: true, ..self.home(reader, &first).await? });
        };

        let mut ids = recent.ids;
        if page.cursor.is_none() {
            ids.extend(own);
            ids.sort_unstable_by(|a, b| b.cmp(a));
            ids.dedup();
        }
        ids.retain(|id| *id < span.before);
        let mut items = Vec::new();
        for some in ids.chunks(page.limit + 1) {
            let posts = self.visible(reader, &view, some).await?;
            items.extend(posts.into_iter().map(|post| FeedItem { post, from: Source::Ring }));
            if items.len() > page.limit {
                break;
            }
        }
        Ok(self.page_since(reader, &view, &span, items, page.limit).await?)
    }

    /// What a token of a page at `position` needs to be told what came since: the history, no wider view, and that ring
    /// and removals reach back to it. How far they do is rounded, so that it is the same for many events. A store whose
    /// stamps trail may say of a view that it is as wide as its own stamp: a token of it tells nothing, a later one does.
    pub(super) fn era(&self, view: &View, position: Position) -> [u64; 4] {
        let Tier { epoch, ring, removals, .. } = &*self.tier;
        let (widened, stamp) = (view.follow.widened, view.follow.stamp);
        let coarse = Position(position.0 - position.0 % ERA_EVENTS);
        let known = coarse.max(ring.floor_position()).max(removals.floor());
        [epoch.0, widened.0, u64::from(widened >= stamp), known.0]
    }

    async fn page_since(
        &self,
        reader: UserId,
        view: &View,
        span: &Span,
        mut items: Vec<FeedItem>,
        limit: usize,
    ) -> Result<Feed, StoreError> {
        let more = items.len() > limit;
        items.truncate(limit);
        let epoch = self.tier.epoch.0;
        let next = items.last().filter(|_| more).map(|last| {
            let numbers = [epoch, span.after.0, span.upto.0, last.post.id().0];
            self.signer.seal(ListId::Since(reader), numbers)
        });
        let liked = self.liked(reader, None, items.iter().map(|item| item.post.id())).await?;
        // The stamp stays that of the first page: what widened since then is still to be told.
        let fresh = self.signer.seal(ListId::Fresh(reader), [epoch, span.upto.0, span.stamp.0]);
        Ok(Feed { items, liked, next, fresh, era: self.era(view, span.upto), gap: false })
    }
}

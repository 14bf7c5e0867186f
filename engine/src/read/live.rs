//! A live stream: what comes to a reader's home timeline, and what is removed from it, in the order of the log.
//!
//! Rests on laws 4 and 5. What is told comes from the ring, the newest removals and the view, by the rules of
//! [`home_since`](Reads::home_since); being woken only says when to look. A stream keeps no events: one that is not
//! read falls behind in the log, and costs nothing but its position. What cannot be told by position is a gap, after
//! which the reader's first page has to be loaded again.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::FxHasher;

use super::{ReadError, Reads};
use crate::cache::{RenderedPost, View, Watch};
use crate::limits::LIVE_BATCH;
use crate::model::{Epoch, Position, PostId, Stamp, UserId};
use crate::ports::StoreError;
use crate::timeline::ListId;

/// What a stream tells.
#[derive(Clone, Debug)]
pub enum News {
    /// A post came to the timeline.
    Post(Arc<RenderedPost>),
    /// A post was removed by its author. It may never have been told.
    Removed(PostId),
    /// Something that cannot be told: the first page has to be loaded again. The stream goes on from the present.
    Gap,
}

/// One thing that a stream tells.
#[derive(Clone, Debug)]
pub struct LiveEvent {
    /// What.
    pub news: News,
    /// With it everything up to this position has been told.
    position: Position,
    /// A post of the reader's own that is not in the log yet.
    own: bool,
}

/// A live stream of a reader's home timeline.
pub struct Live {
    reads: Reads,
    reader: UserId,
    watch: Watch,
    /// The history that the client knows.
    epoch: Epoch,
    /// Everything up to here has been told.
    told: Position,
    /// The view that the reader's client knows of has every change made before this.
    stamp: Stamp,
    /// The view, as a digest, as of which the client was last told to begin; none where it is not known.
    begun: Option<u64>,
    /// Own posts that were told and are on their way through the log.
    own: Vec<PostId>,
}

/// What there is at one moment.
struct Moment {
    own: Vec<PostId>,
    position: Position,
    view: Arc<View>,
}

/// What was logged up to a position: posts, and removals (true).
struct Span {
    found: Vec<(Position, PostId, bool)>,
    upto: Position,
}

impl Span {
    /// Whether this post is among them.
    fn has(&self, id: PostId) -> bool {
        self.found.iter().any(|(_, post, removed)| *post == id && !removed)
    }
}

impl Reads {
    /// A live stream of the reader's home timeline: from the page or event that gave the token `since`, else from now.
    ///
    /// # Errors
    /// [`ReadError::BadCursor`] for tokens that are not ours, [`ReadError::Unavailable`].
    pub async fn live(&self, reader: UserId, since: Option<&str>) -> Result<Live, ReadError> {
        let token = since.map(|token| self.signer.open(ListId::Fresh(reader), token).ok_or(ReadError::BadCursor));
        let told = self.tier.ring.position();
        let view = self.tier.view(reader).await?;
        let watch = self.tier.watchers.watch(reader);
        let (stamp, begun) = (view.follow.stamp, Some(digest(&view)));
        let mut live =
            Live { reads: self.clone(), reader, watch, epoch: self.tier.epoch, told, stamp, begun, own: Vec::new() };
        if let Some([epoch, position, stamp]) = token.transpose()? {
            (live.epoch, live.told, live.stamp) = (Epoch(epoch), Position(position), Stamp(stamp));
            live.begun = None;
        }
        Ok(live)
    }
}

impl Live {
    /// Waits until there may be news. May be dropped at any time.
    pub async fn woken(&self) {
        self.watch.woken().await;
    }

    /// Whether there will be no more news, because the node has another history by now. Whoever comes back is told.
    pub fn is_over(&self) -> bool {
        self.reads.tier.watchers.is_closed()
    }

    /// The token that goes on after what has been told.
    pub fn token(&self) -> String {
        let numbers = [self.epoch.0, self.told.0, self.stamp.0];
        self.reads.signer.seal(ListId::Fresh(self.reader), numbers)
    }

    /// This is told now, the next of what [`look`](Self::look) has returned; the token that goes on after it.
    pub fn tell(&mut self, event: &LiveEvent) -> String {
        self.told = event.position;
        if let News::Post(post) = &event.news
            && event.own
        {
            self.own.push(post.id());
        }
        self.token()
    }

    /// What is next to be told, some of it; nothing: everything has been told. Until then it has to be called again
    /// without waiting. May be dropped at any time. What it has returned and nobody was told, it returns again, unless
    /// that is hidden or removed by then; but a gap has to be told.
    ///
    /// # Errors
    /// When the store does not answer. The next call tries again.
    pub async fn look(&mut self) -> Result<Vec<LiveEvent>, StoreError> {
        loop {
            let now = self.moment().await?;
            let Some(span) = self.span(&now) else { return Ok(vec![self.begin_anew(&now)]) };
            let events = self.events(&now, &span).await?;
            let all = span.upto >= now.position;
            if all {
                // What came through the log before this is not met again.
                self.own.retain(|id| now.own.contains(id) || span.has(*id));
            }
            if !events.is_empty() {
                return Ok(events);
            }
            self.told = span.upto;
            if all {
                return Ok(events);
            }
        }
    }

    async fn moment(&mut self) -> Result<Moment, StoreError> {
        let tier = self.reads.tier.clone();
        loop {
            // Before the ring is asked, as in `home`.
            let own = tier.unlogged.of(self.reader);
            let position = tier.ring.position();
            // After it: so the view has every change up to that position, and nobody's posts are told that were
            // logged after a mute, say.
            let known = if self.epoch == tier.epoch { self.stamp } else { Stamp::default() };
            let view = tier.view_not_before(self.reader, known).await?;
            if self.watch.set(&view.authors) {
                return Ok(Moment { own, position, view });
            }
        }
    }

    /// The first that were logged since what has been told; none: that cannot be told.
    fn span(&self, Moment { position, view, .. }: &Moment) -> Option<Span> {
        // A wider view lets older posts in, which no position tells of. A store whose stamps trail says so of the same
        // view more than once; that is told once.
        let widened = view.follow.widened >= self.stamp && self.begun != Some(digest(view));
        let tier = &self.reads.tier;
        if self.epoch != tier.epoch || widened {
            return None;
        }
        let logged = tier.ring.snapshot().upto((*position).max(self.told)).ok()?;
        let logged = logged.logged(&view.authors, self.told, LIVE_BATCH).ok()?;
        let shown = |author| view.follow.shows(self.reader, author);
        let removed = tier.removals.between(self.told, logged.upto, LIVE_BATCH, shown)?;
        let upto = removed.last().filter(|_| removed.len() == LIVE_BATCH).map_or(logged.upto, |last| last.position);
        let posts = logged.posts.into_iter().map(|(position, post)| (position, post, false));
        let removed = removed.into_iter().map(|removed| (removed.position, removed.post, true));
        let mut found: Vec<_> = posts.chain(removed).filter(|(position, ..)| *position <= upto).collect();
        found.sort_unstable_by_key(|(position, ..)| *position);
        Some(Span { found, upto })
    }

    /// The span as events; and the reader's own posts that are not in the log yet, once everything else has been told.
    async fn events(&self, now: &Moment, span: &Span) -> Result<Vec<LiveEvent>, StoreError> {
        let all = span.upto >= now.position;
        let own = now.own.iter().rev().filter(|id| all && !self.own.contains(id) && !span.has(**id));
        let posts = span.found.iter().filter(|(_, post, removed)| !removed && !self.own.contains(post));
        let ids: Vec<PostId> = posts.map(|(_, post, _)| *post).chain(own.copied()).collect();
        let mut posts = self.reads.visible(self.reader, &now.view, &ids).await?.into_iter().peekable();
        let mut events = Vec::new();
        for &(position, post, removed) in &span.found {
            if removed {
                events.push(LiveEvent { news: News::Removed(post), position, own: false });
            } else if let Some(post) = posts.next_if(|visible| visible.id() == post) {
                events.push(LiveEvent { news: News::Post(post), position, own: false });
            }
        }
        events.extend(posts.map(|post| LiveEvent { news: News::Post(post), position: span.upto, own: true }));
        Ok(events)
    }

    fn begin_anew(&mut self, Moment { position, view, .. }: &Moment) -> LiveEvent {
        (self.told, self.stamp, self.begun) = (*position, view.follow.stamp, Some(digest(view)));
        self.epoch = self.reads.tier.epoch;
        self.own.clear();
        LiveEvent { news: News::Gap, position: *position, own: false }
    }
}

/// What decides who is shown, in one number.
fn digest(view: &View) -> u64 {
    let mut hasher = FxHasher::default();
    let follow = &view.follow;
    follow.follows.iter().for_each(|f| (f.followee, f.stamp).hash(&mut hasher));
    (&follow.mutes, &follow.blocks, &follow.blocked_by, follow.widened).hash(&mut hasher);
    hasher.finish()
}

//! The caches of one node and their one path of invalidation.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{
    LoadingCache, Popular, PullAuthors, RecentLikes, Remembered, RememberedPage, Removals, RenderedPost, Source,
    Unlogged, View, Watchers,
};
use crate::limits::BEHIND_WAIT;
use crate::model::{Channel, Epoch, Event, LoggedEvent, NumberedEvent, Position, PostId, UserId};
use crate::ports::Store;
use crate::recent::{Ring, RingWriter, SharedRing};
use crate::timeline::Run;

/// A share of the bytes for views goes to recent likes.
const LIKES_SHARE: u64 = 8;

/// Bytes of each cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CacheBytes {
    /// The recent ring.
    pub ring: usize,
    /// L1 windows.
    pub windows: u64,
    /// Author streams.
    pub streams: u64,
    /// Follow views and recent likes.
    pub views: u64,
    /// Rendered posts.
    pub posts: u64,
}

/// What a fill found where: told once, to the first who reads the window it made.
#[derive(Clone, Debug)]
pub struct Filled {
    /// Where the window came from; entries in neither of the lists are from there.
    pub from: Source,
    /// Entries that the ring gave.
    pub ring: Vec<PostId>,
    /// Entries that streams gave.
    pub streams: Vec<PostId>,
}

/// The L1 window of a reader.
#[derive(Debug)]
pub struct HomeSlot {
    run: Mutex<Run>,
    filled: Mutex<Option<Filled>>,
    /// The position that the reader's checkpoint has, as far as this node knows; none where there is none.
    saved: Mutex<Option<Position>>,
    /// Where the reader's view lies.
    pub view: Remembered<View>,
    /// Where its recent likes lie.
    pub likes: Remembered<RecentLikes>,
    /// The first page that it was last given.
    pub page: RememberedPage,
}

impl HomeSlot {
    /// A window that a fill made, whose checkpoint has the position `saved`.
    pub fn new(run: Run, filled: Option<Filled>, saved: Option<Position>) -> Self {
        Self {
            run: Mutex::new(run),
            filled: Mutex::new(filled),
            saved: Mutex::new(saved),
            view: Remembered::default(),
            likes: Remembered::default(),
            page: RememberedPage::default(),
        }
    }

    /// The window.
    pub fn run(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the entries came from, if nobody has asked since the fill.
    pub fn take_filled(&self) -> Option<Filled> {
        self.filled.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether there is no checkpoint or it has fallen `events` behind `position`; it counts as saved from now on.
    pub fn claim_checkpoint(&self, position: Position, events: u64) -> bool {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let due = saved.is_none_or(|saved| position.0 >= saved.0.saturating_add(events));
        if due {
            *saved = Some(position);
        }
        due
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + self.run().weight() + RememberedPage::BYTES
    }
}

/// A node's caches.
pub struct Tier {
    /// The history that everything here belongs to.
    pub epoch: Epoch,
    /// The recent posts of everyone.
    pub ring: SharedRing,
    /// L1 windows of readers.
    pub windows: LoadingCache<UserId, Arc<HomeSlot>>,
    /// Streams of authors: hot, once hot, late followees.
    pub streams: LoadingCache<UserId, Arc<Mutex<Run>>>,
    /// Follow views.
    pub views: LoadingCache<UserId, Arc<View>>,
    /// Recent likes.
    pub likes: LoadingCache<UserId, Arc<RecentLikes>>,
    /// Rendered posts; none: removed.
    pub posts: LoadingCache<PostId, Option<Arc<RenderedPost>>>,
    /// Authors with posts on pull.
    pub pulls: PullAuthors,
    /// The popular posts.
    pub popular: Popular,
    /// Own posts on their way through the log.
    pub unlogged: Unlogged,
    /// The newest removals.
    pub removals: Removals,
    /// Who is woken by what is applied.
    pub watchers: Arc<Watchers>,
    /// Truth.
    pub store: Arc<dyn Store>,
    /// Tells how far the log has been applied.
    applied: watch::Sender<Position>,
    /// The newest event that has been applied.
    witness: Mutex<Option<LoggedEvent>>,
}

impl Tier {
    /// Empty caches of a node whose log begins after `position`, and the writer of their ring.
    pub fn new(store: Arc<dyn Store>, epoch: Epoch, bytes: &CacheBytes, position: Position) -> (Arc<Self>, RingWriter) {
        let (ring, writer) = Ring::new(bytes.ring, position);
        let likes_bytes = bytes.views / LIKES_SHARE;
        let tier = Self {
            epoch,
            ring,
            windows: LoadingCache::new("windows", bytes.windows, |slot: &Arc<HomeSlot>| slot.weight()),
            streams: LoadingCache::new("streams", bytes.streams, |run: &Arc<Mutex<Run>>| lock(run).weight()),
            views: LoadingCache::new("views", bytes.views - likes_bytes, |view: &Arc<View>| view.weight()),
            likes: LoadingCache::new("likes", likes_bytes, |likes: &Arc<RecentLikes>| likes.weight()),
            posts: LoadingCache::new("posts", bytes.posts, |post: &Option<Arc<RenderedPost>>| {
                post.as_ref().map_or(0, |post| post.weight())
            }),
            pulls: PullAuthors::default(),
            popular: Popular::default(),
            unlogged: Unlogged::default(),
            removals: Removals::new(position),
            watchers: Arc::default(),
            store,
            applied: watch::Sender::new(position),
            witness: Mutex::default(),
        };
        (Arc::new(tier), writer)
    }

    /// Whether the log has been applied up to `position`; waits briefly for it.
    pub async fn reached(&self, position: Position) -> bool {
        let mut applied = self.applied.subscribe();
        self.ring.position() >= position
            || tokio::time::timeout(BEHIND_WAIT, applied.wait_for(|applied| *applied >= position)).await.is_ok()
    }

    /// The log has been applied up to `position`.
    pub fn tell_applied(&self, position: Position) {
        self.applied.send_replace(position);
    }

    /// `event` has been applied, and everything before it.
    pub fn bear_witness(&self, event: &LoggedEvent) {
        *self.witness.lock().unwrap_or_else(PoisonError::into_inner) = Some(event.clone());
    }

    /// The newest event that has been applied: whoever has another history does not have it.
    pub fn witness(&self) -> Option<LoggedEvent> {
        self.witness.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets everything that events would have made untrue, because some of them cannot be had. What states its
    /// position (windows, streams) stays: it is below the ring's new floor.
    pub fn forget_all(&self) {
        self.views.invalidate_all();
        self.likes.invalidate_all();
        self.posts.invalidate_all();
        self.popular.miss();
    }

    /// Applies an event to everything here. Only the log's follower does this: it owns the ring's writer.
    pub fn apply(&self, numbered: &NumberedEvent, writer: &mut RingWriter) {
        let NumberedEvent { position, event } = *numbered;
        match event {
            Event::Posted { post, author, channel, .. } => {
                // Before the ring's position says so, the author must be known to have posted on pull.
                if channel == Channel::Pull {
                    self.pulls.note(author, post);
                }
                writer.append(position, post, author);
                self.unlogged.logged(author, post);
                self.watchers.wake_followers(author);
            }
            Event::Removed { post, author } => {
                self.invalidate(&event);
                // Before the ring's position says so: whoever sees the position finds the removal.
                self.removals.note(position, post, author);
                writer.advance(position);
                self.watchers.wake_followers(author);
            }
            Event::Liked { post, likes, .. } | Event::Unliked { post, likes, .. } => {
                self.invalidate(&event);
                self.posts.change(post, |rendered| {
                    if let Some(rendered) = rendered {
                        rendered.set_likes(likes, position);
                    }
                });
                self.popular.ranking().set(post, likes, position);
                writer.advance(position);
            }
            _ => {
                self.invalidate(&event);
                writer.advance(position);
            }
        }
    }

    /// Forgets whatever the event makes untrue. Must be done before anything says that the event has been applied.
    pub fn invalidate(&self, event: &Event) {
        match *event {
            Event::Removed { post, .. } => {
                self.posts.insert(post, None);
                self.popular.ranking().remove(post);
            }
            Event::Followed { follower: user, .. }
            | Event::Unfollowed { follower: user, .. }
            | Event::Muted { user, .. }
            | Event::Unmuted { user, .. } => self.forget_view(user),
            Event::Blocked { user, target } | Event::Unblocked { user, target } => {
                self.forget_view(user);
                self.forget_view(target);
            }
            Event::Liked { user, .. } | Event::Unliked { user, .. } => self.likes.invalidate(user),
            Event::Posted { .. } | Event::Tuned { .. } | Event::Pinned { .. } => {}
        }
    }

    fn forget_view(&self, reader: UserId) {
        self.views.invalidate(reader);
        self.watchers.wake_reader(reader);
    }
}

/// Locks a shared run.
pub(super) fn lock(run: &Mutex<Run>) -> MutexGuard<'_, Run> {
    run.lock().unwrap_or_else(PoisonError::into_inner)
}

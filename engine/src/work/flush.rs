//! Flush: one round of compaction. The pushed posts of `(from, to]`, grouped by reader, one segment each.
//!
//! Why a segment is true (law 2): the followers are read, with a stamp, after the events of the round were numbered,
//! and every pushed post of the range is grouped. From then on nothing can make it untrue, so it may be appended
//! late, twice, or not at all. A flush that falls behind what the log keeps goes on where the log begins: windows no
//! longer join, and those whose readers come are filled.

mod outgoing;
mod state;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Audience, Group, Memory, Stop, stopped};
use crate::limits::{FOLLOWERS_PAGE, ROUND_RING_SHARE};
use crate::model::{Channel, Epoch, Event, LoggedEvent, NumberedEvent, Position, PostId, SlotRange, Tuning, UserId};
use crate::ports::{Log, LogError, LogReader, Shard, Store, StoreError};
use crate::retry::Backoff;
use crate::timeline::SegmentHeader;

use outgoing::Outgoing;
pub use state::FlushState;

/// A worker's flush: follows the log, and compacts it round by round for the readers of its slots.
pub struct Flush {
    store: Arc<dyn Store>,
    outgoing: Outgoing,
    epoch: Epoch,
    /// Whose readers it compacts for: what the worker leases.
    share: watch::Receiver<SlotRange>,
    /// The slots of the rounds that the memory holds.
    slots: SlotRange,
    tuning: watch::Receiver<Tuning>,
    /// Events of a round at the most, and of quiet before a reader gets an empty segment.
    round_events: u64,
    quiet_events: u64,
    memory: Memory,
    group: Group,
    round: Round,
    swept: Position,
    state: Arc<FlushState>,
}

/// The round being gathered: events in `(from, to]`.
struct Round {
    from: Position,
    to: Position,
    posts: Vec<(PostId, UserId)>,
    pairs: u64,
    begun: Option<Instant>,
}

impl Round {
    fn after(position: Position) -> Self {
        Self { from: position, to: position, posts: Vec::new(), pairs: 0, begun: None }
    }
}

impl Flush {
    /// A flush for the readers of `share` that begins after `position`, for nodes whose ring holds `ring_entries` posts.
    pub fn new(
        store: Arc<dyn Store>,
        shard: Arc<dyn Shard>,
        epoch: Epoch,
        share: watch::Receiver<SlotRange>,
        tuning: watch::Receiver<Tuning>,
        ring_entries: usize,
        position: Position,
    ) -> Self {
        let (state, slots) = (Arc::new(FlushState::default()), *share.borrow());
        state.position.store(position.0, Ordering::Relaxed);
        Self {
            store,
            outgoing: Outgoing::new(shard, state.clone()),
            epoch,
            share,
            slots,
            tuning,
            round_events: (ring_entries / ROUND_RING_SHARE).max(1) as u64,
            quiet_events: (ring_entries / 2).max(1) as u64,
            memory: Memory::default(),
            group: Group::default(),
            round: Round::after(position),
            swept: position,
            state,
        }
    }

    /// How far it has come, shared.
    pub fn state(&self) -> Arc<FlushState> {
        self.state.clone()
    }

    /// Takes in events that have not been seen, flushing whenever a round is full.
    ///
    /// # Errors
    /// What the store said. The events that were not taken in are to be given again; those that were are skipped.
    pub async fn take(&mut self, events: &[NumberedEvent]) -> Result<(), StoreError> {
        for event in events {
            if event.position <= self.round.to {
                continue;
            }
            if event.position != self.round.to.next() {
                // A hole: no segment spans it.
                self.close_round().await?;
                self.skip_to(Position(event.position.0 - 1));
            }
            let (max_pairs, max_age_ms) = {
                let tuning = self.tuning.borrow();
                (tuning.settings.flush_max_pairs, tuning.settings.flush_max_age_ms)
            };
            if let Event::Posted { post, author, channel: Channel::Push, audience } = event.event {
                let pairs = u64::from(audience) + 1;
                if self.round.pairs + pairs > max_pairs && !self.round.posts.is_empty() {
                    self.close_round().await?;
                }
                self.round.posts.push((post, author));
                self.round.pairs += pairs;
            }
            self.round.to = event.position;
            self.round.begun.get_or_insert_with(Instant::now);
            if self.round.to.0 - self.round.from.0 >= self.round_events
                || max_age_ms == 0 && !self.round.posts.is_empty()
            {
                self.close_round().await?;
            }
        }
        self.outgoing.send_all().await;
        self.tell();
        Ok(())
    }

    fn tell(&self) {
        self.state.seen.store(self.round.to.0, Ordering::Relaxed);
        for shard in self.outgoing.shard().states() {
            metrics::gauge!("flush_backlog_events", "shard" => shard.name.to_string()).set(self.state.backlog() as f64);
        }
    }

    /// Flushes what has been gathered, however little.
    ///
    /// # Errors
    /// What the store said; the round stays gathered, and nothing is lost.
    pub async fn flush(&mut self) -> Result<(), StoreError> {
        let closed = self.close_round().await;
        self.outgoing.send_all().await;
        self.tell();
        closed
    }

    /// Compacts what has been gathered. Its segments are sent, or wait to be sent with those of the next round: where
    /// rounds are small and many are at hand, a shard is asked once for all of them.
    async fn close_round(&mut self) -> Result<(), StoreError> {
        let (from, to) = (self.round.from, self.round.to);
        if from == to {
            return Ok(());
        }
        let (begun, sent_before) = (Instant::now(), self.outgoing.sent_in());
        let share = *self.share.borrow();
        if share != self.slots {
            // What earlier rounds had for readers that are new here is not known. What is to come for those that are
            // no longer its own will not be: a segment without posts would tell them that there were none.
            self.slots = share;
            self.memory = Memory::default();
        }
        self.memory.bound();
        let posts = std::mem::take(&mut self.round.posts);
        match self.compact(from, to, &posts).await {
            Ok(deliveries) => {
                self.round = Round::after(to);
                self.wake_quiet(to).await;
                let took = begun.elapsed();
                metrics::histogram!("flush_duration_seconds").record(took.as_secs_f64());
                metrics::counter!("deliveries_total").increment(deliveries);
                self.state.position.store(to.0, Ordering::Relaxed);
                self.state.deliveries.fetch_add(deliveries, Ordering::Relaxed);
                self.state.spent(took.saturating_sub(self.outgoing.sent_in() - sent_before));
                Ok(())
            }
            Err(error) => {
                self.round.posts = posts;
                Err(error)
            }
        }
    }

    /// Goes on after `position` without what lies before it: always safe.
    pub fn skip_to(&mut self, position: Position) {
        self.memory.forget();
        self.round = Round::after(position);
        self.state.position.store(position.0, Ordering::Relaxed);
    }

    /// Compacts the pushed posts of `(from, to]`, all of them: deliveries made.
    async fn compact(&mut self, from: Position, to: Position, posts: &[(PostId, UserId)]) -> Result<u64, StoreError> {
        let mut by_author: FxHashMap<UserId, Vec<PostId>> = FxHashMap::default();
        for &(post, author) in posts {
            by_author.entry(author).or_default().push(post);
        }
        let alone = by_author.len() == 1;
        let (mut audiences, mut stamp, mut deliveries) = (Vec::with_capacity(by_author.len()), None, 0);
        for (author, posts) in by_author {
            // An author reads their own posts.
            let mut readers = if self.slots.holds(author) { vec![self.memory.number(author)] } else { Vec::new() };
            let mut after = UserId(0);
            loop {
                let page = self.store.followers(author, self.slots, after, FOLLOWERS_PAGE).await?;
                stamp = stamp.or(Some(page.stamp));
                readers.extend(page.readers.iter().map(|&reader| self.memory.number(reader)));
                let Some(next) = page.next else { break };
                if alone {
                    // A huge audience is streamed: these readers get nothing else in this round.
                    if after == UserId(0) {
                        self.memory.grouped(from, to, page.stamp);
                    }
                    let some = Audience { readers: std::mem::take(&mut readers), posts: posts.clone() };
                    deliveries += self.append(&[some], to).await;
                }
                after = next;
            }
            if !alone || after == UserId(0) {
                audiences.push(Audience { readers, posts });
            } else {
                deliveries += self.append(&[Audience { readers, posts }], to).await;
            }
        }
        if !alone || !audiences.is_empty() {
            self.memory.grouped(from, to, stamp.unwrap_or(Memory::ANY_STAMP));
            deliveries += self.append(&audiences, to).await;
        }
        Ok(deliveries)
    }

    /// Appends one segment for each reader of the audiences, to the end of the round that was grouped last.
    async fn append(&mut self, audiences: &[Audience], to: Position) -> u64 {
        let Self { memory, outgoing, group, epoch, .. } = self;
        let readers = memory.len();
        let pairs = group.by_reader(audiences, readers, |number, posts| {
            let (from, stamp) = memory.span(number);
            let header = SegmentHeader { epoch: *epoch, from, to, stamp };
            outgoing.push(memory.reader(number), &header, posts);
        });
        self.outgoing.send_if_many().await;
        pairs
    }

    /// Readers who have had nothing for long get an empty segment, so that their windows do not fall behind the ring.
    async fn wake_quiet(&mut self, to: Position) {
        if to.0 - self.swept.0 < self.quiet_events / 8 {
            return;
        }
        self.swept = to;
        let Some(long_ago) = to.0.checked_sub(self.quiet_events) else { return };
        for number in self.memory.quiet_since(Position(long_ago)) {
            let (from, stamp) = self.memory.span(number);
            let header = SegmentHeader { epoch: self.epoch, from, to, stamp };
            self.outgoing.push(self.memory.reader(number), &header, []);
            self.outgoing.send_if_many().await;
        }
    }

    /// Follows `log` until stopped.
    pub async fn run(mut self, log: Arc<dyn Log>, mut stop: Stop) {
        let (mut backoff, mut reader, mut events) = (Backoff::default(), None, Vec::new());
        while !*stop.borrow() {
            // Only the reading may be given up half done: a round that is being compacted must come to its end.
            let next = if events.is_empty() {
                let due = self.due();
                tokio::select! {
                    next = next_events(&*log, self.epoch, &mut reader, self.round.to) => Some(next),
                    () = due => None,
                    () = stopped(&mut stop) => return,
                }
            } else {
                Some(Ok(std::mem::take(&mut events)))
            };
            if matches!(next, Some(Err(LogError::Trimmed { .. }))) {
                reader = None;
            }
            if let Err(error) = self.go_on(next, &mut events).await {
                reader = None;
                tracing::warn!(error, position = self.round.from.0, "compacting failed; trying again");
                tokio::time::sleep(backoff.pause()).await;
            } else {
                backoff.reset();
            }
        }
    }

    /// Takes in what was read, or flushes where nothing was and the round is due. Events that could not be taken in
    /// are put into `again`.
    async fn go_on(
        &mut self,
        next: Option<Result<Vec<LoggedEvent>, LogError>>,
        again: &mut Vec<LoggedEvent>,
    ) -> Result<(), String> {
        match next {
            None => self.flush().await.map_err(|error| error.to_string()),
            Some(Ok(events)) => {
                // What cannot be decoded is a hole, which `take` finds by its number.
                let known: Vec<NumberedEvent> = events.iter().filter_map(|event| event.decode().ok()).collect();
                let taken = self.take(&known).await.map_err(|error| error.to_string());
                if taken.is_err() {
                    *again = events;
                }
                taken
            }
            // No segment spans what cannot be had.
            Some(Err(LogError::Trimmed { oldest: behind })) => {
                self.flush().await.map_err(|error| error.to_string())?;
                self.skip_to(behind);
                Ok(())
            }
            Some(Err(error)) => Err(error.to_string()),
        }
    }

    /// Returns once the oldest event of the round is as old as a round may be; never, where there is none.
    fn due(&self) -> impl Future<Output = ()> + use<> {
        let age = Duration::from_millis(self.tuning.borrow().settings.flush_max_age_ms);
        let begun = self.round.begun;
        async move {
            match begun {
                Some(begun) => tokio::time::sleep_until(begun + age).await,
                None => std::future::pending().await,
            }
        }
    }
}

/// What comes after `position`. Cancel-safe, as readers are.
async fn next_events(
    log: &dyn Log,
    epoch: Epoch,
    reader: &mut Option<Box<dyn LogReader>>,
    position: Position,
) -> Result<Vec<LoggedEvent>, LogError> {
    match reader {
        Some(reader) => reader.next().await,
        None => reader.insert(log.follow(epoch, position).await?).next().await,
    }
}

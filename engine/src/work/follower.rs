//! The log's follower: applies events to a node's caches, each number once (law 6). The one writer of the ring, and
//! the one path of invalidation.
//!
//! Events come from the log. What it is late with comes from the store, which has everything that was acknowledged: so a
//! post is as soon visible while the log is away, and nobody waits for its return.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, timeout};

use super::{Stop, stopped};
use crate::cache::Tier;
use crate::limits::{EVENTS_BATCH, LOG_LATE, LOG_WAIT};
use crate::model::{DeadLetter, Event, LoggedEvent, Position, Tuning};
use crate::ports::{Clock, Log, LogError, LogReader, StoreError};
use crate::recent::RingWriter;
use crate::retry::Backoff;

/// What follows the log for one node.
pub struct Follower {
    tier: Arc<Tier>,
    log: Arc<dyn Log>,
    writer: RingWriter,
    tuning: watch::Sender<Tuning>,
    /// Whether the store has a tuning that has not been told of.
    tuning_due: bool,
    /// The last number given when the store was last asked for it.
    numbered: Position,
    /// The log is late: events come from the store until it has caught up.
    log_is_late: bool,
    /// What is applied from now on has just been acknowledged: how long that took is measured.
    live: bool,
    clock: Clock,
}

/// What was read from the log, and its reader if that can go on.
type Read = (Option<Box<dyn LogReader>>, Result<Vec<LoggedEvent>, LogError>);

fn silent() -> LogError {
    LogError::Unavailable("no answer in time".to_owned())
}

fn unavailable(error: StoreError) -> LogError {
    LogError::Unavailable(error.to_string())
}

impl Follower {
    /// A follower that writes the ring of `tier` and tells of new tunings.
    pub fn new(
        tier: Arc<Tier>,
        log: Arc<dyn Log>,
        writer: RingWriter,
        tuning: watch::Sender<Tuning>,
        clock: Clock,
    ) -> Self {
        let (tuning_due, log_is_late, live) = (false, false, false);
        Self { tier, log, writer, tuning, tuning_due, numbered: Position::ZERO, log_is_late, live, clock }
    }

    /// Applies everything that is committed, so that the ring is as full as it can be before the node serves: from the
    /// log as far as it has it, the rest from the store.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn start(&mut self) -> Result<(), StoreError> {
        let numbered = self.number_all().await?;
        let longest = self.tier.ring.capacity() as u64;
        if numbered.0 > longest {
            self.skip_to(Position(numbered.0 - longest)).await?;
        }
        if let Err(error) = self.take_log().await {
            tracing::warn!(%error, "the ring is not warmed from the log; the store gives the rest");
        }
        self.warm().await
    }

    /// Takes what the log has by now.
    async fn take_log(&mut self) -> Result<(), LogError> {
        let newest = timeout(LOG_WAIT, self.log.newest(self.tier.epoch)).await.unwrap_or_else(|_| Err(silent()))?;
        let Some(newest) = newest.filter(|newest| newest.position > self.writer.position()) else { return Ok(()) };
        let mut reader = match self.log.follow(self.tier.epoch, self.writer.position()).await {
            Err(LogError::Trimmed { oldest }) => {
                self.skip_to(oldest).await.map_err(unavailable)?;
                self.log.follow(self.tier.epoch, oldest).await?
            }
            reader => reader?,
        };
        while self.writer.position() < newest.position {
            let events = timeout(LOG_WAIT, reader.next()).await.unwrap_or_else(|_| Err(silent()))?;
            if !self.joins(&events) {
                return Err(LogError::Unavailable("an event is missing".to_owned()));
            }
            self.take(&events).await?;
        }
        Ok(())
    }

    /// Applies everything that is committed, from the store: where the log does not have what comes next.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn warm(&mut self) -> Result<(), StoreError> {
        self.take_from_store().await?;
        self.retune().await
    }

    async fn take_from_store(&mut self) -> Result<(), StoreError> {
        let own = self.tier.unlogged.all();
        let numbered = self.number_all().await?;
        loop {
            let (oldest, events) = self.tier.store.events(self.writer.position(), EVENTS_BATCH).await?;
            if oldest > self.writer.position() {
                self.skip_to(oldest).await?;
            }
            self.take(&events).await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
            if events.is_empty() || self.writer.position() >= numbered {
                break;
            }
        }
        // Own posts that were skipped do not come through the log any more.
        own.into_iter().for_each(|(author, post)| self.tier.unlogged.logged(author, post));
        Ok(())
    }

    /// Gives everything committed its number; the last one.
    async fn number_all(&self) -> Result<Position, StoreError> {
        self.tier.store.number_events(0).await?;
        self.tier.store.last_position().await
    }

    /// Applies events whose numbers have not been applied; they must join on. One that cannot be applied is a hole: it
    /// goes to the dead letters, and nothing relies on what lies at or below it.
    ///
    /// # Errors
    /// When a dead letter cannot be kept, or what lies behind a hole cannot be learned, or the events are of another
    /// history: everything before is applied.
    pub async fn take(&mut self, events: &[LoggedEvent]) -> Result<(), LogError> {
        let mut last = None;
        for event in events {
            if event.position <= self.writer.position() {
                continue;
            }
            if event.epoch != self.tier.epoch {
                return Err(LogError::Unavailable("the store has another history by now".to_owned()));
            }
            match event.decode() {
                Ok(decoded) => {
                    self.tuning_due |= matches!(decoded.event, Event::Tuned { .. });
                    self.measure(&decoded.event);
                    self.tier.apply(&decoded, &mut self.writer);
                }
                Err(reason) => {
                    metrics::counter!("dead_letters_total").increment(1);
                    tracing::error!(position = event.position.0, %reason, "an event cannot be decoded: a dead letter");
                    let letter = DeadLetter { event: event.clone(), reason: reason.to_string().into() };
                    self.log.bury(&letter).await?;
                    self.skip_to(event.position).await.map_err(unavailable)?;
                }
            }
            last = Some(event);
        }
        if let Some(last) = last {
            self.tier.bear_witness(last);
        }
        self.tier.tell_applied(self.writer.position());
        Ok(())
    }

    /// The log up to `position` cannot be had: what rests on it is forgotten. Who posts on pull must be known before
    /// the ring's position says so.
    async fn skip_to(&mut self, position: Position) -> Result<(), StoreError> {
        self.tier.load_pulls().await?;
        self.tier.forget_all();
        self.writer.raise_floor(position);
        self.writer.advance(position);
        self.tier.tell_applied(position);
        self.tier.watchers.wake_all();
        Ok(())
    }

    /// Follows until stopped.
    pub async fn run(mut self, mut stop: Stop) {
        tokio::select! {
            () = self.follow() => {}
            () = stopped(&mut stop) => {}
        }
    }

    async fn follow(&mut self) {
        self.live = true;
        let mut backoff = Backoff::default();
        let mut reading = self.read(None, Duration::ZERO);
        let mut look = tokio::time::interval(LOG_LATE);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                (reader, read) = &mut reading => {
                    reading = match self.take_read(read).await {
                        Ok(joined) => {
                            backoff.reset();
                            self.read(reader.filter(|_| joined), Duration::ZERO)
                        }
                        Err(error) => {
                            let position = self.writer.position().0;
                            tracing::warn!(%error, position, "following the log failed; trying again");
                            self.log_is_late = true;
                            self.read(None, backoff.pause())
                        }
                    };
                }
                _ = look.tick() => {
                    if let Err(error) = self.look_into_store().await {
                        tracing::debug!(%error, "the store does not tell how far the log has come");
                    }
                }
            }
        }
    }

    /// Reads one batch, after a pause. It goes on while the store is looked into.
    fn read(&self, reader: Option<Box<dyn LogReader>>, pause: Duration) -> BoxFuture<'static, Read> {
        let (log, epoch, after) = (self.log.clone(), self.tier.epoch, self.writer.position());
        Box::pin(async move {
            tokio::time::sleep(pause).await;
            let reader = match reader {
                Some(reader) => Ok(reader),
                None => log.follow(epoch, after).await,
            };
            match reader {
                Ok(mut reader) => {
                    let read = reader.next().await;
                    (Some(reader), read)
                }
                Err(error) => (None, Err(error)),
            }
        })
    }

    /// Applies what was read; whether it joined, and the reader may go on. What the log does not have, or not in order,
    /// comes from the store.
    async fn take_read(&mut self, read: Result<Vec<LoggedEvent>, LogError>) -> Result<bool, LogError> {
        match read {
            Ok(events) if self.joins(&events) => {
                if self.log_is_late && events.last().is_some_and(|last| last.position >= self.writer.position()) {
                    self.log_is_late = false;
                    tracing::info!(position = self.writer.position().0, "the log has caught up");
                }
                self.take(&events).await?;
                self.retune_if_due().await.map_err(unavailable)?;
                Ok(true)
            }
            Ok(_) | Err(LogError::Trimmed { .. }) => {
                self.warm().await.map_err(unavailable)?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// The log is late where it has not brought what had its number at the last look: the rest comes from here.
    async fn look_into_store(&mut self) -> Result<(), StoreError> {
        if !self.log_is_late && self.writer.position() < self.numbered {
            self.log_is_late = true;
            tracing::warn!(
                position = self.writer.position().0,
                "the log is late; events come from the store meanwhile"
            );
        }
        if self.log_is_late {
            self.take_from_store().await?;
            self.retune_if_due().await?;
        }
        // A store that hangs must not hold up what the log brings.
        let Ok(numbered) = timeout(LOG_LATE, self.tier.store.last_position()).await else { return Ok(()) };
        self.numbered = numbered?;
        let lag = self.numbered.0.saturating_sub(self.writer.position().0);
        metrics::gauge!("log_lag_events", "follower" => "ring").set(lag as f64);
        Ok(())
    }

    /// Whether what is new of the events begins with the next number.
    fn joins(&self, events: &[LoggedEvent]) -> bool {
        let news = events.iter().find(|event| event.position > self.writer.position());
        news.is_none_or(|first| first.position == self.writer.position().next())
    }

    fn measure(&self, event: &Event) {
        if self.live
            && let Event::Posted { post, .. } = event
        {
            let age_ms = self.clock.now().0.saturating_sub(post.created_at().0);
            metrics::histogram!("visible_seconds").record(age_ms as f64 / 1_000.0);
        }
    }

    async fn retune_if_due(&mut self) -> Result<(), StoreError> {
        if self.tuning_due {
            self.retune().await?;
            self.tuning_due = false;
        }
        Ok(())
    }

    /// Tells of the store's present tuning.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn retune(&self) -> Result<(), StoreError> {
        self.tuning.send_replace(self.tier.store.tuning().await?);
        Ok(())
    }
}

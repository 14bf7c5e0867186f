//! The log's follower: applies events to a node's caches, each number once (law 6). The one writer of the ring, and
//! the one path of invalidation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;

use super::{Stop, stopped};
use crate::cache::Tier;
use crate::limits::{EVENTS_BATCH, LOG_WAIT};
use crate::model::{DeadLetter, Event, LoggedEvent, NumberedEvent, Position, Tuning};
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
    /// The end of the log when the store was last asked for it.
    end: Position,
    asked: Option<Instant>,
    clock: Clock,
}

/// How often the store is asked for the end of the log, to tell how far behind it this node is.
const ASK_EVERY: Duration = Duration::from_secs(1);

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
        Self { tier, log, writer, tuning, tuning_due: false, end: Position::ZERO, asked: None, clock }
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
        self.retune().await
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
    /// When a dead letter cannot be kept, or what lies behind a hole cannot be learned: everything before it is applied.
    pub async fn take(&mut self, events: &[LoggedEvent]) -> Result<(), LogError> {
        let mut last = None;
        for event in events {
            if event.position <= self.writer.position() {
                continue;
            }
            match event.decode() {
                Ok(decoded) => {
                    self.tuning_due |= matches!(decoded.event, Event::Tuned { .. });
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
        Ok(())
    }

    /// Follows until stopped.
    pub async fn run(mut self, mut stop: Stop) {
        let mut backoff = Backoff::default();
        let mut reader = None;
        while !*stop.borrow() {
            let step = tokio::select! {
                step = self.step(&mut reader) => step,
                () = stopped(&mut stop) => return,
            };
            let pause = match step {
                Ok(()) => {
                    backoff.reset();
                    Duration::ZERO
                }
                Err(error) => {
                    tracing::warn!(%error, position = self.writer.position().0, "following the log failed; trying again");
                    backoff.pause()
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Takes and applies one batch. What the log does not have, or not in order, comes from the store.
    async fn step(&mut self, reader: &mut Option<Box<dyn LogReader>>) -> Result<(), LogError> {
        if self.tuning_due {
            self.retune().await.map_err(unavailable)?;
            self.tuning_due = false;
        }
        let next = match reader {
            Some(reader) => reader.next().await,
            None => match self.log.follow(self.tier.epoch, self.writer.position()).await {
                Ok(new) => reader.insert(new).next().await,
                Err(error) => Err(error),
            },
        };
        match next {
            Ok(events) if self.joins(&events) => {
                self.measure(&events).await;
                self.take(&events).await.inspect_err(|_| *reader = None)?;
                let lag = self.end.0.saturating_sub(self.writer.position().0);
                metrics::gauge!("log_lag_events", "follower" => "ring").set(lag as f64);
                return Ok(());
            }
            Ok(_) | Err(LogError::Trimmed { .. }) => {}
            Err(error) => {
                *reader = None;
                return Err(error);
            }
        }
        *reader = None;
        self.warm().await.map_err(unavailable)
    }

    /// Whether what is new of the events begins with the next number.
    fn joins(&self, events: &[LoggedEvent]) -> bool {
        let news = events.iter().find(|event| event.position > self.writer.position());
        news.is_none_or(|first| first.position == self.writer.position().next())
    }

    async fn measure(&mut self, events: &[LoggedEvent]) {
        if self.asked.is_none_or(|asked| asked.elapsed() >= ASK_EVERY) {
            self.asked = Some(Instant::now());
            self.end = self.tier.store.last_position().await.unwrap_or(self.end);
        }
        let now = self.clock.now();
        for event in events {
            if let Ok(NumberedEvent { event: Event::Posted { post, .. }, .. }) = event.decode() {
                let age_ms = now.0.saturating_sub(post.created_at().0);
                metrics::histogram!("visible_seconds").record(age_ms as f64 / 1_000.0);
            }
        }
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

//! The log's follower: applies events to a node's caches, each number once (law 6). The one writer of the ring, and
//! the one path of invalidation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{Stop, stopped};
use crate::cache::Tier;
use crate::limits::EVENTS_BATCH;
use crate::model::{Event, NumberedEvent, Position, Tuning};
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

    /// Applies everything that is committed, from the store: at the start, so that the ring is as full as it can be
    /// before the node serves, and where the log does not have what comes next.
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
            self.apply(&events);
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
        loop {
            let numbered = self.tier.store.number_events(EVENTS_BATCH).await?;
            let last = self.tier.store.last_position().await?;
            if numbered.last().is_none_or(|event| event.position >= last) || numbered.len() < EVENTS_BATCH {
                return Ok(last);
            }
        }
    }

    /// Applies events whose numbers have not been applied; they must join on.
    pub fn apply(&mut self, events: &[NumberedEvent]) {
        for event in events.iter().filter(|event| event.position > self.tier.ring.position()) {
            self.tier.apply(event, &mut self.writer);
        }
        self.tier.tell_applied(self.writer.position());
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
            None => match self.log.follow(self.writer.position()).await {
                Ok(new) => reader.insert(new).next().await,
                Err(error) => Err(error),
            },
        };
        match next {
            Ok(events) if self.joins(&events) => {
                self.measure(&events).await;
                self.apply(&events);
                let lag = self.end.0.saturating_sub(self.writer.position().0);
                metrics::gauge!("log_lag_events", "follower" => "ring").set(lag as f64);
                self.tuning_due |= events.iter().any(|event| matches!(event.event, Event::Tuned { .. }));
                return Ok(());
            }
            Ok(_) | Err(LogError::Trimmed { .. }) => {}
            Err(LogError::Undecodable { position, reason }) => {
                metrics::counter!("dead_letters_total").increment(1);
                tracing::error!(position = position.0, %reason, "an event cannot be decoded; going on behind it");
            }
            Err(error) => {
                *reader = None;
                return Err(error);
            }
        }
        *reader = None;
        self.warm().await.map_err(unavailable)
    }

    /// Whether what is new of the events begins with the next number.
    fn joins(&self, events: &[NumberedEvent]) -> bool {
        let news = events.iter().find(|event| event.position > self.writer.position());
        news.is_none_or(|first| first.position == self.writer.position().next())
    }

    async fn measure(&mut self, events: &[NumberedEvent]) {
        if self.asked.is_none_or(|asked| asked.elapsed() >= ASK_EVERY) {
            self.asked = Some(Instant::now());
            self.end = self.tier.store.last_position().await.unwrap_or(self.end);
        }
        let now = self.clock.now();
        for event in events {
            if let Event::Posted { post, .. } = event.event {
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

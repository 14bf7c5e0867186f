//! The log's follower: applies events to a node's caches, each number once (law 6). The one writer of the ring, and
//! the one path of invalidation.

use std::sync::Arc;
use std::time::Duration;

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
    clock: Clock,
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
        Self { tier, log, writer, tuning, clock }
    }

    /// Applies what the store has kept of the log, so that the ring is as full as it can be before the node serves.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn warm(&mut self) -> Result<(), StoreError> {
        loop {
            let (oldest, events) = self.tier.store.events(self.writer.position(), EVENTS_BATCH).await?;
            if oldest > self.writer.position() {
                self.skip_to(oldest);
            }
            if events.is_empty() {
                return Ok(());
            }
            self.apply(&events);
        }
    }

    /// Applies events whose numbers have not been applied; they must join on.
    pub fn apply(&mut self, events: &[NumberedEvent]) {
        for event in events.iter().filter(|event| event.position > self.tier.ring.position()) {
            self.tier.apply(event, &mut self.writer);
        }
        self.tier.tell_applied(self.writer.position());
    }

    /// The log up to `position` cannot be had: what rests on it is forgotten.
    fn skip_to(&mut self, position: Position) {
        self.tier.forget_all();
        self.writer.raise_floor(position);
        self.writer.advance(position);
        self.tier.tell_applied(position);
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

    /// Takes and applies one batch.
    async fn step(&mut self, reader: &mut Option<Box<dyn LogReader>>) -> Result<(), LogError> {
        if reader.is_none() {
            match self.log.follow(self.writer.position()).await {
                Err(LogError::Trimmed { oldest }) => self.skip_to(oldest),
                other => *reader = Some(other?),
            }
        }
        let Some(log) = reader else { return Ok(()) };
        match log.next().await {
            Ok(events) => {
                let news = events.iter().find(|event| event.position > self.writer.position());
                if news.is_some_and(|first| first.position != self.writer.position().next()) {
                    // A missing number: the store has it.
                    *reader = None;
                    return self.warm().await.map_err(|error| LogError::Unavailable(error.to_string()));
                }
                self.measure(&events);
                self.apply(&events);
                if events.iter().any(|event| matches!(event.event, Event::Tuned { .. }))
                    && let Err(error) = self.retune().await
                {
                    tracing::warn!(%error, "the new tuning could not be read; the next one will be");
                }
                Ok(())
            }
            Err(LogError::Undecodable { position, reason }) => {
                metrics::counter!("dead_letters_total").increment(1);
                tracing::error!(position = position.0, %reason, "an event cannot be decoded; going on behind it");
                self.skip_to(position);
                Ok(())
            }
            Err(LogError::Trimmed { oldest }) => {
                *reader = None;
                self.skip_to(oldest);
                Ok(())
            }
            Err(unavailable) => {
                *reader = None;
                Err(unavailable)
            }
        }
    }

    fn measure(&self, events: &[NumberedEvent]) {
        let now = self.clock.now();
        for event in events {
            if let Event::Posted { post, .. } = event.event {
                let age_ms = now.0.saturating_sub(post.created_at().0);
                metrics::histogram!("visible_seconds").record(age_ms as f64 / 1_000.0);
            }
        }
        metrics::gauge!("log_lag_events", "follower" => "ring").set(events.len() as f64);
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

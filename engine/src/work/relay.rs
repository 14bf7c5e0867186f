//! The relay: gives committed events their numbers and publishes them, in order (laws 6 and 7).
//!
//! Numbering and publishing may repeat after a failure: numbers make repetition harmless.

use std::sync::Arc;
use std::time::Duration;

use super::{Stop, stopped};
use crate::limits::{EVENTS_BATCH, RELAY_POLL};
use crate::ports::{Log, Store};
use crate::retry::Backoff;

/// Between the store's outbox and the log.
pub struct Relay {
    store: Arc<dyn Store>,
    log: Arc<dyn Log>,
}

impl Relay {
    /// A relay.
    pub fn new(store: Arc<dyn Store>, log: Arc<dyn Log>) -> Self {
        Self { store, log }
    }

    /// Numbers and publishes one batch; whether there was any.
    ///
    /// # Errors
    /// What store or log said. Nothing is lost: the same events are published by the next step.
    pub async fn step(&self) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
        let events = self.store.number_events(EVENTS_BATCH).await?;
        metrics::gauge!("outbox_pending").set(events.len() as f64);
        let Some(last) = events.last() else { return Ok(false) };
        self.log.publish(&events).await?;
        self.store.mark_published(last.position).await?;
        metrics::gauge!("outbox_pending").set(0.0);
        Ok(true)
    }

    /// Goes on until stopped.
    pub async fn run(self, mut stop: Stop) {
        let mut backoff = Backoff::default();
        while !*stop.borrow() {
            let pause = match self.step().await {
                Ok(true) => {
                    backoff.reset();
                    continue;
                }
                Ok(false) => {
                    backoff.reset();
                    tokio::select! {
                        () = self.store.wait_for_events() => {}
                        () = tokio::time::sleep(RELAY_POLL) => {}
                        () = stopped(&mut stop) => {}
                    }
                    Duration::ZERO
                }
                Err(error) => {
                    tracing::warn!(%error, "relaying events failed; trying again");
                    // What is committed once the store is back waits for nothing else than this.
                    backoff.pause().min(RELAY_POLL)
                }
            };
            tokio::time::sleep(pause).await;
        }
    }
}

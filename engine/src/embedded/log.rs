//! The log over the store's own event table. The store numbers events in the committing transaction, so publishing
//! only raises the position up to which followers may read.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use super::events;
use super::store::EmbeddedStore;
use crate::limits::EVENTS_BATCH;
use crate::model::{NumberedEvent, Position};
use crate::ports::{Log, LogError, LogReader, StoreError};

/// The log of one process.
pub struct EmbeddedLog {
    store: Arc<EmbeddedStore>,
    published: watch::Sender<Position>,
}

impl EmbeddedLog {
    /// The log of `store`. What the store found in its table when it was opened counts as published.
    pub fn new(store: Arc<EmbeddedStore>) -> Self {
        let published = watch::Sender::new(store.published());
        Self { store, published }
    }
}

#[async_trait]
impl Log for EmbeddedLog {
    async fn publish(&self, events: &[NumberedEvent]) -> Result<(), LogError> {
        if let Some(last) = events.last() {
            self.published.send_if_modified(|published| {
                let raised = last.position > *published;
                *published = last.position.max(*published);
                raised
            });
        }
        Ok(())
    }

    async fn follow(&self, after: Position) -> Result<Box<dyn LogReader>, LogError> {
        let oldest = self.store.read("opening the log", events::floor).map_err(unavailable)?;
        if after < oldest {
            return Err(LogError::Trimmed { oldest });
        }
        Ok(Box::new(Reader { store: self.store.clone(), published: self.published.subscribe(), position: after }))
    }
}

fn unavailable(error: StoreError) -> LogError {
    LogError::Unavailable(error.to_string())
}

/// A place in the log.
struct Reader {
    store: Arc<EmbeddedStore>,
    published: watch::Receiver<Position>,
    position: Position,
}

#[async_trait]
impl LogReader for Reader {
    async fn next(&mut self) -> Result<Vec<NumberedEvent>, LogError> {
        loop {
            let to = *self.published.borrow_and_update();
            let batch = self.batch(to)?;
            if !batch.is_empty() {
                return Ok(batch);
            }
            if self.published.changed().await.is_err() {
                return Err(LogError::Unavailable("the log was closed".into()));
            }
        }
    }
}

impl Reader {
    /// What stands between the position and `to`. The position moves only here, and nothing is awaited after it.
    fn batch(&mut self, to: Position) -> Result<Vec<NumberedEvent>, LogError> {
        let after = self.position;
        let (oldest, slots) = self
            .store
            .read("reading the log", |t| Ok((events::floor(t)?, events::slots(t, after, to, EVENTS_BATCH)?)))
            .map_err(unavailable)?;
        if after < oldest {
            return Err(LogError::Trimmed { oldest });
        }
        let mut batch = Vec::with_capacity(slots.len());
        for (position, event) in slots {
            match event {
                Ok(event) => batch.push(NumberedEvent { position, event }),
                // What stands before a hole is handed over first; the hole is met again by the next call.
                Err(_) if !batch.is_empty() => break,
                Err(reason) => {
                    self.position = position;
                    return Err(LogError::Undecodable { position, reason });
                }
            }
            self.position = position;
        }
        Ok(batch)
    }
}

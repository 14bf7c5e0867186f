//! The log over the store's own event table. The store numbers events in the committing transaction, so publishing
//! only raises the position up to which followers may read.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use super::events;
use super::store::EmbeddedStore;
use super::writing::{Need, Writing};
use crate::limits::EVENTS_BATCH;
use crate::model::{DeadLetter, Epoch, LoggedEvent, Position};
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
    async fn publish(&self, events: &[LoggedEvent]) -> Result<(), LogError> {
        if let Some(last) = events.last() {
            self.published.send_if_modified(|published| {
                let raised = last.position > *published;
                *published = last.position.max(*published);
                raised
            });
        }
        Ok(())
    }

    /// Of whatever epoch: log and store are one file, and never tell different histories.
    async fn follow(&self, _: Epoch, after: Position) -> Result<Box<dyn LogReader>, LogError> {
        let oldest = self.store.read("opening the log", events::floor).map_err(unavailable)?;
        if after < oldest {
            return Err(LogError::Trimmed { oldest });
        }
        Ok(Box::new(Reader { store: self.store.clone(), published: self.published.subscribe(), position: after }))
    }

    async fn newest(&self, _: Epoch) -> Result<Option<LoggedEvent>, LogError> {
        let to = *self.published.borrow();
        let before = Position(to.0.saturating_sub(1));
        let newest = self.store.read("reading the log's end", |t| events::between(t, before, to, 1));
        Ok(newest.map_err(unavailable)?.pop())
    }

    async fn reach(&self) -> Result<(), LogError> {
        self.store.read("opening the log", events::floor).map(drop).map_err(unavailable)
    }

    async fn bury(&self, DeadLetter { event, reason }: &DeadLetter) -> Result<(), LogError> {
        let (event, reason) = (event.clone(), reason.clone());
        let bury = move |w: &mut Writing<'_>| {
            w.dead_letters.insert((event.epoch.0, event.position.0), (&*reason, &*event.bytes))?;
            w.must(Need::Durable);
            Ok(())
        };
        self.store.writer.write("keeping a dead letter", bury).await.map_err(unavailable)
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, LogError> {
        self.store.read("reading dead letters", events::dead_letters).map_err(unavailable)
    }

    async fn drop_dead_letters(&self, letters: &[(Epoch, Position)]) -> Result<(), LogError> {
        let letters = letters.to_vec();
        let forget = move |w: &mut Writing<'_>| {
            for (epoch, position) in letters {
                w.dead_letters.remove((epoch.0, position.0))?;
            }
            w.must(Need::Durable);
            Ok(())
        };
        self.store.writer.write("dropping dead letters", forget).await.map_err(unavailable)
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
    async fn next(&mut self) -> Result<Vec<LoggedEvent>, LogError> {
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
    fn batch(&mut self, to: Position) -> Result<Vec<LoggedEvent>, LogError> {
        let after = self.position;
        let (oldest, batch) = self
            .store
            .read("reading the log", |t| Ok((events::floor(t)?, events::between(t, after, to, EVENTS_BATCH)?)))
            .map_err(unavailable)?;
        if after < oldest {
            return Err(LogError::Trimmed { oldest });
        }
        if let Some(last) = batch.last() {
            self.position = last.position;
        }
        Ok(batch)
    }
}

//! A log that fails on purpose: it refuses, is silent, publishes in part, loses replies, repeats events, hands over few.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Fault, Faults};
use crate::limits;
use crate::model::{DeadLetter, Epoch, LoggedEvent, Position};
use crate::ports::{Log, LogError, LogReader};

/// Events handed over that a reader remembers, to repeat them.
const REPEATED_AT_MOST: usize = 64;

/// Any log, with faults.
pub struct FaultyLog {
    inner: Arc<dyn Log>,
    faults: Arc<Faults>,
}

impl FaultyLog {
    /// `inner` with `faults`.
    pub fn new(inner: Arc<dyn Log>, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }

    fn available(&self) -> Result<(), LogError> {
        if self.faults.strikes(Fault::LogUnavailable) { Err(unavailable()) } else { Ok(()) }
    }
}

fn unavailable() -> LogError {
    LogError::Unavailable("an injected fault".into())
}

#[async_trait]
impl Log for FaultyLog {
    async fn publish(&self, events: &[LoggedEvent]) -> Result<(), LogError> {
        self.available()?;
        self.faults.log_speaks().await;
        let cut = self.faults.draw(|random| random.usize(..=events.len()));
        if self.faults.strikes(Fault::PublishedInPart) {
            self.inner.publish(&events[..cut]).await?;
            return Err(unavailable());
        }
        self.inner.publish(events).await?;
        if self.faults.strikes(Fault::PublishedAgain) {
            self.inner.publish(&events[cut..]).await?;
        }
        if self.faults.strikes(Fault::PublishReplyLost) {
            return Err(unavailable());
        }
        Ok(())
    }

    async fn newest(&self, epoch: Epoch) -> Result<Option<LoggedEvent>, LogError> {
        self.available()?;
        self.inner.newest(epoch).await
    }

    async fn reach(&self) -> Result<(), LogError> {
        self.available()?;
        self.inner.reach().await
    }

    async fn bury(&self, letter: &DeadLetter) -> Result<(), LogError> {
        self.available()?;
        self.inner.bury(letter).await
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, LogError> {
        self.available()?;
        self.inner.dead_letters().await
    }

    async fn drop_dead_letters(&self, letters: &[(Epoch, Position)]) -> Result<(), LogError> {
        self.available()?;
        self.inner.drop_dead_letters(letters).await
    }

    async fn follow(&self, epoch: Epoch, after: Position) -> Result<Box<dyn LogReader>, LogError> {
        self.available()?;
        self.faults.log_speaks().await;
        Ok(Box::new(FaultyReader {
            inner: self.inner.follow(epoch, after).await?,
            faults: self.faults.clone(),
            pending: VecDeque::new(),
            handed_over: VecDeque::new(),
        }))
    }
}

struct FaultyReader {
    inner: Box<dyn LogReader>,
    faults: Arc<Faults>,
    /// Read from the log, not yet handed over.
    pending: VecDeque<LoggedEvent>,
    /// The last events handed over.
    handed_over: VecDeque<LoggedEvent>,
}

#[async_trait]
impl LogReader for FaultyReader {
    async fn next(&mut self) -> Result<Vec<LoggedEvent>, LogError> {
        if self.faults.strikes(Fault::LogUnavailable) {
            return Err(unavailable());
        }
        self.faults.log_speaks().await;
        if self.pending.is_empty() {
            self.pending.extend(self.inner.next().await?);
        }
        // What was asked for before the silence began does not break it; a dropped call has lost nothing here.
        self.faults.log_speaks().await;
        let mut batch = Vec::new();
        if self.faults.strikes(Fault::EventsRepeated) {
            let again = self.faults.draw(|random| random.usize(..=self.handed_over.len()));
            batch.extend(self.handed_over.iter().skip(self.handed_over.len() - again).cloned());
        }
        let mut count = self.pending.len().min(limits::EVENTS_BATCH - batch.len());
        if self.faults.strikes(Fault::EventsFew) {
            count = self.faults.draw(|random| random.usize(1..=3)).min(count);
        }
        for event in self.pending.drain(..count) {
            batch.push(event.clone());
            self.handed_over.push_back(event);
        }
        let forget = self.handed_over.len().saturating_sub(REPEATED_AT_MOST);
        self.handed_over.drain(..forget);
        Ok(batch)
    }
}

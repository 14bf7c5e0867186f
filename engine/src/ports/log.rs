//! The Log port: one gapless, numbered sequence of events. No group semantics: numbers carry the order.

use async_trait::async_trait;
use thiserror::Error;

use crate::model::{DecodeError, NumberedEvent, Position};

/// Why the log did not do it.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum LogError {
    /// It cannot be reached, or did not answer in time. Trying again may help, and harms nothing.
    #[error("the log is unavailable: {0}")]
    Unavailable(String),
    /// The position asked for is no longer kept. The reader must start later, at `oldest` or above.
    #[error("the log begins after {}", oldest.0)]
    Trimmed {
        /// The position before the oldest event that is kept.
        oldest: Position,
    },
    /// The event with this number cannot be decoded: a hole.
    #[error("event {} cannot be decoded: {reason}", position.0)]
    Undecodable {
        /// Its number.
        position: Position,
        /// Why.
        reason: DecodeError,
    },
}

/// The log.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Publishes events in the order given. They are numbered without a gap, but may repeat what was published
    /// before. On an error any prefix may have been published: publish them again.
    async fn publish(&self, events: &[NumberedEvent]) -> Result<(), LogError>;

    /// A reader of everything after `after`.
    async fn follow(&self, after: Position) -> Result<Box<dyn LogReader>, LogError>;
}

/// A place in the log.
#[async_trait]
pub trait LogReader: Send {
    /// The next events, at least one, at most [`EVENTS_BATCH`](crate::limits::EVENTS_BATCH), in order of number;
    /// waits for them. Numbers may repeat (skip them) but never skip. Cancel-safe: a dropped call loses nothing.
    /// After [`LogError::Undecodable`] the reader goes on behind the hole; after other errors with what it had
    /// not handed over.
    async fn next(&mut self) -> Result<Vec<NumberedEvent>, LogError>;
}

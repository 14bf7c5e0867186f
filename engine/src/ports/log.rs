//! The Log port: one gapless, numbered sequence of events, and beside it the dead letters. No group semantics: numbers
//! carry the order. What the events say is not the log's affair: it passes bytes on.

use async_trait::async_trait;
use thiserror::Error;

use crate::model::{DeadLetter, Epoch, LoggedEvent, Position};

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
}

/// The log.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Publishes events in the order given. They are of one epoch and numbered without a gap, but may repeat what was
    /// published before. On an error any of them may have been published: publish them again.
    async fn publish(&self, events: &[LoggedEvent]) -> Result<(), LogError>;

    /// A reader of everything of `epoch` after `after`.
    async fn follow(&self, epoch: Epoch, after: Position) -> Result<Box<dyn LogReader>, LogError>;

    /// The newest event of `epoch`, as far as the log has one.
    async fn newest(&self, epoch: Epoch) -> Result<Option<LoggedEvent>, LogError>;

    /// Whether it can be reached now. Answers quickly, and costs little.
    async fn reach(&self) -> Result<(), LogError>;

    /// Keeps an event that cannot be applied. Keeping one again changes nothing but its reason.
    async fn bury(&self, letter: &DeadLetter) -> Result<(), LogError>;

    /// The dead letters that are kept, by rising epoch and number.
    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, LogError>;

    /// Forgets these dead letters, whether or not they are kept.
    async fn drop_dead_letters(&self, letters: &[(Epoch, Position)]) -> Result<(), LogError>;
}

/// A place in the log.
#[async_trait]
pub trait LogReader: Send {
    /// The next events, at least one, at most [`EVENTS_BATCH`](crate::limits::EVENTS_BATCH), in order of number;
    /// waits for them. Numbers may repeat (skip them). They skip only what the log does not have: the store may.
    /// Cancel-safe: a dropped call loses nothing, and after an error the reader goes on with what it had not handed
    /// over.
    async fn next(&mut self) -> Result<Vec<LoggedEvent>, LogError>;
}

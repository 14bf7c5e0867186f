//! How far a flush has come, and what it costs.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::Position;

/// How far a flush has come, for operators. All numbers may trail.
#[derive(Debug, Default)]
pub struct FlushState {
    pub(super) position: AtomicU64,
    pub(super) seen: AtomicU64,
    pub(super) nanos: AtomicU64,
    pub(super) deliveries: AtomicU64,
}

impl FlushState {
    /// Posts up to here are compacted.
    pub fn position(&self) -> Position {
        Position(self.position.load(Ordering::Relaxed))
    }

    /// Events behind the log.
    pub fn backlog(&self) -> u64 {
        self.seen.load(Ordering::Relaxed).saturating_sub(self.position().0)
    }

    /// H: microseconds to deliver one entry by flush, coalescing counted; none before the first delivery.
    pub fn h_us(&self) -> Option<f64> {
        let deliveries = self.deliveries.load(Ordering::Relaxed);
        (deliveries > 0).then(|| self.nanos.load(Ordering::Relaxed) as f64 / 1_000.0 / deliveries as f64)
    }
}

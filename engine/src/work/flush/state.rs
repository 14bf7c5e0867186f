//! How far a flush has come, and what it costs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::model::{Measured, Position};

/// How far a flush has come, for operators. All numbers may trail.
#[derive(Debug, Default)]
pub struct FlushState {
    pub(super) position: AtomicU64,
    pub(super) seen: AtomicU64,
    nanos: AtomicU64,
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

    /// Counts time that rounds or their appends took.
    pub(super) fn spent(&self, time: Duration) {
        self.nanos.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    /// What delivering has cost since the start.
    pub fn measured(&self) -> Measured {
        Measured {
            flush_ns: self.nanos.load(Ordering::Relaxed) as f64,
            deliveries: self.deliveries.load(Ordering::Relaxed) as f64,
            ..Measured::default()
        }
    }
}

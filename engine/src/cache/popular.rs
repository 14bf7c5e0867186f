//! The popular posts as a node knows them: a ranking that the log's follower keeps, of the likes that the node has heard
//! of. What it has not heard of, before its start or in a part of the log that could not be had, is counted in the store
//! once (`work/popular.rs`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::timeline::Ranking;

/// A node's ranking. At first everything that has happened was missed.
#[derive(Debug, Default)]
pub struct Popular {
    ranking: Mutex<Ranking>,
    whole: AtomicBool,
}

impl Popular {
    /// The ranking.
    pub fn ranking(&self) -> MutexGuard<'_, Ranking> {
        self.ranking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// News was missed.
    pub fn miss(&self) {
        self.whole.store(false, Ordering::Relaxed);
    }

    /// Whether news was missed; it counts as made up for from now on.
    pub fn take_missed(&self) -> bool {
        !self.whole.swap(true, Ordering::Relaxed)
    }
}

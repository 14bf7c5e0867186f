//! When a server is no longer asked (law 8): after a few failures in a row. What asks it again is a probe that no
//! caller waits for; so a dead or paused server costs the first readers a wait, and then nobody.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::limits::BREAKER_FAILURES;

/// Closed: calls are made. Open: they fail at once.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Failures in a row; [`OPEN`] once it is open.
    failures: AtomicU32,
}

const OPEN: u32 = u32::MAX;

impl Breaker {
    pub fn is_open(&self) -> bool {
        self.failures.load(Ordering::Relaxed) == OPEN
    }

    /// A call went well.
    pub fn succeeded(&self) {
        // An answer to what was asked before it opened does not close it: only the probe does. The store is left out
        // where there is nothing to forget, as nearly always: the line is shared by all readers.
        let failures = self.failures.load(Ordering::Relaxed);
        if failures != 0 && failures != OPEN {
            let _ = self.failures.compare_exchange(failures, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// A call failed; whether that opened it. True for one caller only, who starts the probe.
    pub fn failed(&self) -> bool {
        let count = |failures: u32| match failures {
            OPEN => None,
            few if few + 1 < BREAKER_FAILURES => Some(few + 1),
            _ => Some(OPEN),
        };
        let before = self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
        before.is_ok_and(|before| count(before) == Some(OPEN))
    }

    /// Opens it without further ado; whether it was closed.
    pub fn open(&self) -> bool {
        self.failures.swap(OPEN, Ordering::Relaxed) != OPEN
    }

    /// The probe was answered.
    pub fn close(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_once() {
        let breaker = Breaker::default();
        for _ in 0..5 {
            for _ in 1..BREAKER_FAILURES {
                assert!(!breaker.failed());
            }
            breaker.succeeded();
        }
        for _ in 1..BREAKER_FAILURES {
            assert!(!breaker.failed() && !breaker.is_open());
        }
        assert!(breaker.failed() && breaker.is_open());
        assert!(!breaker.failed() && !breaker.open());
    }

    #[test]
    fn only_the_probe_closes_it() {
        let breaker = Breaker::default();
        assert!(breaker.open());
        breaker.succeeded();
        assert!(breaker.is_open());
        breaker.close();
        assert!(!breaker.is_open() && !breaker.failed());
    }
}

//! Capped exponential backoff with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog).

use std::time::Duration;

use crate::limits::{RETRY_FIRST, RETRY_MAX};

/// The pauses between tries.
#[derive(Debug)]
pub struct Backoff {
    bound: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { bound: RETRY_FIRST }
    }
}

impl Backoff {
    /// The next pause: anywhere up to a bound that doubles each time.
    pub fn pause(&mut self) -> Duration {
        let pause = self.bound.mul_f64(fastrand::f64());
        self.bound = (self.bound * 2).min(RETRY_MAX);
        pause
    }

    /// It worked: the next failure starts again at the shortest pause.
    pub fn reset(&mut self) {
        self.bound = RETRY_FIRST;
    }
}

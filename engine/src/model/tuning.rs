//! What operators tune, live: the thresholds of hot authors and the bounds of a flush round. Versioned.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::id::UserId;
use super::time::Millis;

/// How channels are chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By the number of followers, with hysteresis.
    Threshold,
    /// By measured cost; by followers until it is measured.
    Cost,
}

/// The five settings of a tuning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TuningSettings {
    /// How channels are chosen.
    pub mode: Mode,
    /// An author with so many followers turns hot.
    pub enter_followers: u64,
    /// A hot author with fewer followers cools down.
    pub leave_followers: u64,
    /// A round of compaction starts at the latest when its oldest event has this age. 0: classic fan-out.
    pub flush_max_age_ms: u64,
    /// Deliveries (reader, post) in one round at the most.
    pub flush_max_pairs: u64,
}

impl Default for TuningSettings {
    fn default() -> Self {
        Self {
            mode: Mode::Threshold,
            enter_followers: 10_000,
            leave_followers: 8_000,
            flush_max_age_ms: 900_000,
            flush_max_pairs: 4_000_000,
        }
    }
}

/// A setting that breaks a rule; the message names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum TuningError {
    /// `enter_followers` is 0.
    #[error("enter_followers must be at least 1")]
    EnterZero,
    /// The hysteresis is the wrong way round.
    #[error("leave_followers must not be above enter_followers")]
    LeaveAboveEnter,
    /// A round must be able to hold a delivery, and be bounded.
    #[error("flush_max_pairs must be from 1 to 100000000")]
    Pairs,
    /// A number that a signed 64-bit column cannot hold, or an age over a day.
    #[error("followers must be below 2^53 and flush_max_age_ms at most 86400000")]
    TooLarge,
}

impl TuningSettings {
    /// # Errors
    /// The first rule that the settings break.
    pub fn validate(&self) -> Result<(), TuningError> {
        if self.enter_followers == 0 {
            return Err(TuningError::EnterZero);
        }
        if self.leave_followers > self.enter_followers {
            return Err(TuningError::LeaveAboveEnter);
        }
        if self.flush_max_pairs == 0 || self.flush_max_pairs > 100_000_000 {
            return Err(TuningError::Pairs);
        }
        if self.enter_followers >= 1 << 53 || self.flush_max_age_ms > 86_400_000 {
            return Err(TuningError::TooLarge);
        }
        Ok(())
    }
}

/// Who made a tuning version.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ChangedBy {
    /// The settings the store was made with.
    Default,
    /// The configuration file, at start or SIGHUP.
    Config,
    /// An operator, by the API.
    Operator(UserId),
}

/// One version of the tuning. Versions start at 1 and are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tuning {
    /// Its number.
    pub version: u64,
    /// What it says.
    pub settings: TuningSettings,
    /// Who made it.
    pub changed_by: ChangedBy,
    /// When.
    pub changed_at: Millis,
}

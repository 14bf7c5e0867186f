//! What a configuration says about the tuning, and what that makes of the tuning that operators have changed since.

use serde::{Deserialize, Serialize};
use tributary_engine::model::{Mode, TuningSettings};

/// The sections `[hot]` and `[flush]`, each if anything in it was said. A section that is not there leaves an
/// operator's tuning as it is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct ToldTuning {
    /// `[hot]`.
    pub hot: Option<ToldHot>,
    /// `[flush]`.
    pub flush: Option<ToldFlush>,
}

/// `[hot]`: its keys, with the defaults of those left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ToldHot {
    /// How channels are chosen.
    pub mode: Mode,
    /// An author with so many followers turns hot.
    pub enter_followers: u64,
    /// A hot author with fewer followers cools down; not above `enter_followers`.
    pub leave_followers: u64,
}

/// `[flush]`: its keys, with the defaults of those left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ToldFlush {
    /// A round starts at the latest when its oldest event has this age.
    pub max_age_ms: u64,
    /// Deliveries in one round at the most.
    pub max_pairs: u64,
}

impl ToldTuning {
    /// What was last said once this is said after `last`: a section that is gone has said nothing new.
    pub fn after(self, last: Self) -> Self {
        Self { hot: self.hot.or(last.hot), flush: self.flush.or(last.flush) }
    }

    /// The settings that `present` becomes when this is said and `last` was said before: a section overrides what
    /// operators have tuned only where it differs from what it last said.
    pub fn applied(self, last: Self, present: TuningSettings) -> TuningSettings {
        let mut settings = present;
        if let Some(hot) = self.hot.filter(|hot| last.hot != Some(*hot)) {
            settings.mode = hot.mode;
            settings.enter_followers = hot.enter_followers;
            settings.leave_followers = hot.leave_followers;
        }
        if let Some(flush) = self.flush.filter(|flush| last.flush != Some(*flush)) {
            settings.flush_max_age_ms = flush.max_age_ms;
            settings.flush_max_pairs = flush.max_pairs;
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOT: ToldHot = ToldHot { mode: Mode::Threshold, enter_followers: 50, leave_followers: 40 };
    const FLUSH: ToldFlush = ToldFlush { max_age_ms: 5, max_pairs: 6 };

    #[test]
    fn a_section_that_says_something_new_overrides_its_part_and_no_more() {
        let present = TuningSettings { flush_max_age_ms: 1, ..TuningSettings::default() };
        let told = ToldTuning { hot: Some(HOT), flush: None };
        let applied = told.applied(ToldTuning::default(), present);
        assert_eq!(applied, TuningSettings { enter_followers: 50, leave_followers: 40, ..present });
    }

    #[test]
    fn a_section_that_repeats_itself_leaves_what_operators_tuned() {
        let present = TuningSettings { enter_followers: 7, leave_followers: 7, ..TuningSettings::default() };
        let told = ToldTuning { hot: Some(HOT), flush: Some(FLUSH) };
        assert_eq!(told.applied(told, present), present);
    }

    #[test]
    fn a_section_that_vanishes_and_comes_back_the_same_has_said_nothing_new() {
        let both = ToldTuning { hot: Some(HOT), flush: Some(FLUSH) };
        let without = ToldTuning { hot: Some(HOT), flush: None };
        let last = without.after(both);
        assert_eq!(last, both);
        assert_eq!(both.applied(last, TuningSettings::default()), TuningSettings::default());
    }
}

//! How a post reaches windows: decided once, inside the transaction that commits the post (law 3).

use serde::{Deserialize, Serialize};

use super::costs::{Costs, posts_per_day};
use super::id::PostId;
use super::tuning::{Mode, TuningSettings};

/// The way of a post to its readers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Flushed into the followers' windows.
    Push,
    /// Never flushed: the author's stream is merged when a follower reads.
    Pull,
}

impl Channel {
    /// Its name in JSON, metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Pull => "pull",
        }
    }
}

/// How far one channel must be the cheaper one, as a factor, before an author changes to it.
const MARGIN: f64 = 1.25;

/// What decides an author's channel, kept on the author's row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Heat {
    /// Whether the author counts as hot, by followers or by cost (with hysteresis).
    pub hot: bool,
    /// The operator's choice, which outranks `hot`.
    pub pin: Option<Channel>,
}

impl Heat {
    /// The heat by the thresholds: at `enter_followers` an author turns hot, below `leave_followers` it cools down, in
    /// between it stays what it was.
    #[must_use]
    pub fn by_followers(self, followers: u64, tuning: &TuningSettings) -> Self {
        let bound = if self.hot { tuning.leave_followers } else { tuning.enter_followers };
        Self { hot: followers >= bound, pin: self.pin }
    }

    /// The heat after the author's followers or the tuning changed. By cost, an author is judged when they post.
    #[must_use]
    pub fn with_followers(self, followers: u64, tuning: &TuningSettings) -> Self {
        match tuning.mode {
            Mode::Threshold => self.by_followers(followers, tuning),
            Mode::Cost => self,
        }
    }

    /// The heat at a post: `newest` are its id and those of the author's posts before it, as [`posts_per_day`] has
    /// them. Until the costs are known, the thresholds decide.
    #[must_use]
    pub fn at_post(self, followers: u64, newest: &[PostId], tuning: &TuningSettings, costs: Option<&Costs>) -> Self {
        match (tuning.mode, costs.and_then(Costs::balance)) {
            (Mode::Cost, Some(balance)) => {
                let bound = if self.hot { balance / MARGIN } else { balance * MARGIN };
                // Without followers there is nothing to deliver.
                Self { hot: followers > 0 && posts_per_day(newest) >= bound, pin: self.pin }
            }
            _ => self.by_followers(followers, tuning),
        }
    }

    /// The channel of the author's next post, as far as it is decided.
    pub fn channel(self) -> Channel {
        self.pin.unwrap_or(if self.hot { Channel::Pull } else { Channel::Push })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Measured, Millis};

    fn tuning(mode: Mode) -> TuningSettings {
        TuningSettings { mode, enter_followers: 10, leave_followers: 5, ..TuningSettings::default() }
    }

    #[test]
    fn between_the_thresholds_an_author_stays_what_it_was() {
        let tuning = tuning(Mode::Threshold);
        let mut heat = Heat::default();
        let mut seen = Vec::new();
        for followers in [4, 9, 10, 9, 5, 4, 9, 10] {
            heat = heat.with_followers(followers, &tuning);
            seen.push(heat.hot);
        }
        assert_eq!(seen, [false, false, true, true, true, false, false, true]);
        assert_eq!(Heat { hot: true, pin: Some(Channel::Push) }.channel(), Channel::Push);
        assert_eq!(Heat { hot: false, pin: Some(Channel::Pull) }.channel(), Channel::Pull);
    }

    /// An hour of measurements by which both channels cost the same at so many posts a day.
    fn costs(balance: f64) -> Costs {
        let begun = Costs::with(None, &Measured::default(), 10_000, Millis(0));
        // Each user fills once a day; H is 1 us.
        let fills = 10_000.0 * (1.0 - (-1.0_f64 / 24.0).exp());
        let sample = Measured { flush_ns: 1e6, deliveries: 1e3, merge_ns: balance * 1e6, streams: 1e3, fills };
        Costs::with(Some(begun), &sample, 10_000, Millis(3_600_000))
    }

    /// The newest posts of somebody who posts so often a day.
    fn daily(posts: u64) -> Vec<PostId> {
        (0..64).rev().map(|n| PostId::new(Millis(1_700_000_000_000 + n * 86_400_000 / posts), 3, 0)).collect()
    }

    #[test]
    fn near_the_balance_of_costs_an_author_stays_what_it_was() {
        let costs = costs(8.0);
        assert!((costs.balance().expect("it is measured") - 8.0).abs() < 0.01, "{:?}", costs.balance());
        let (mut heat, mut seen) = (Heat::default(), Vec::new());
        for posts in [8, 9, 11, 8, 7, 6, 8, 9] {
            heat = heat.at_post(1, &daily(posts), &tuning(Mode::Cost), Some(&costs));
            seen.push(heat.hot);
        }
        assert_eq!(seen, [false, false, true, true, true, false, false, false]);
        let pinned = Heat { pin: Some(Channel::Push), ..heat };
        assert_eq!(pinned.at_post(1, &daily(80), &tuning(Mode::Cost), Some(&costs)).channel(), Channel::Push);
        assert!(!heat.at_post(0, &daily(80), &tuning(Mode::Cost), Some(&costs)).hot, "nobody to deliver to");
    }

    #[test]
    fn by_cost_followers_decide_only_until_the_costs_are_known() {
        let (cost, cold) = (tuning(Mode::Cost), Heat::default());
        let unknown = Costs::with(None, &Measured::default(), 10, Millis(0));
        for costs in [None, Some(&unknown)] {
            assert!(cold.at_post(10, &daily(1), &cost, costs).hot && !cold.at_post(9, &daily(99), &cost, costs).hot);
        }
        assert!(!cold.at_post(10, &daily(1), &cost, Some(&costs(8.0))).hot);
        assert_eq!(cold.with_followers(10, &cost), cold);
        assert!(cold.at_post(10, &daily(1), &tuning(Mode::Threshold), Some(&costs(8.0))).hot);
    }
}

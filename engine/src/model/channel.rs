//! How a post reaches windows: decided once, inside the transaction that commits the post (law 3).

use serde::{Deserialize, Serialize};

use super::tuning::TuningSettings;

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

/// What decides an author's channel, kept on the author's row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Heat {
    /// Whether the author counts as hot by followers (with hysteresis).
    pub hot: bool,
    /// The operator's choice, which outranks `hot`.
    pub pin: Option<Channel>,
}

impl Heat {
    /// The heat after the author's followers or the tuning changed: at `enter_followers` an author turns hot,
    /// below `leave_followers` it cools down, in between it stays what it was.
    #[must_use]
    pub fn with_followers(self, followers: u64, tuning: &TuningSettings) -> Self {
        let bound = if self.hot { tuning.leave_followers } else { tuning.enter_followers };
        Self { hot: followers >= bound, pin: self.pin }
    }

    /// The channel of the author's next post.
    pub fn channel(self) -> Channel {
        self.pin.unwrap_or(if self.hot { Channel::Pull } else { Channel::Push })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Mode;

    #[test]
    fn between_the_thresholds_an_author_stays_what_it_was() {
        let tuning = TuningSettings {
            mode: Mode::Threshold,
            enter_followers: 10,
            leave_followers: 5,
            flush_max_age_ms: 0,
            flush_max_pairs: 1,
        };
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
}

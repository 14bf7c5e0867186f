//! How often readers come. Worlds have no reads, so it is a model, the one of the natural load: of all users 30 % come
//! every day, 25 % on two days of a week, the others never. Who is who is drawn from the reader's place alone.

use tributary_engine::model::UserId;

/// Of those who come at all, the share that comes every day.
const DAILY_SHARE: f64 = 30.0 / 55.0;
/// Days of a week on which the others come.
const SELDOM_DAYS: f64 = 2.0 / 7.0;

/// How often readers come.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Activity {
    /// Share of the users who come at all: whose windows live.
    pub live_share: f64,
    /// Fills on a day on which a reader comes. Reads that the node's cache answers merge nothing and do not count.
    pub reads_per_day: f64,
}

impl Activity {
    /// As many by week as in the natural load.
    pub const LIVE_SHARE: f64 = 0.55;

    /// Fills a day of a user on average.
    pub fn mean(self) -> f64 {
        self.live_share * (DAILY_SHARE + (1.0 - DAILY_SHARE) * SELDOM_DAYS) * self.reads_per_day
    }

    /// Fills a day of the user at this place.
    pub fn fills_per_day(self, place: u32) -> f64 {
        let drawn = UserId(u64::from(place) + 1).spread() as f64 / 2.0_f64.powi(64);
        if drawn < self.live_share * DAILY_SHARE {
            self.reads_per_day
        } else if drawn < self.live_share {
            self.reads_per_day * SELDOM_DAYS
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_comes_daily_and_about_half_at_all() {
        let activity = Activity { live_share: Activity::LIVE_SHARE, reads_per_day: 2.0 };
        let fills: Vec<f64> = (0..100_000).map(|place| activity.fills_per_day(place)).collect();
        let share = |of: f64| fills.iter().filter(|&&fills| fills == of).count() as f64 / fills.len() as f64;
        assert!((share(2.0) - 0.30).abs() < 0.01 && (share(0.0) - 0.45).abs() < 0.01, "{} {}", share(2.0), share(0.0));
        let mean = fills.iter().sum::<f64>() / fills.len() as f64;
        assert!((mean / activity.mean() - 1.0).abs() < 0.01, "{mean}, not {}", activity.mean());
    }
}

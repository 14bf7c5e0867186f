//! What delivering and merging cost, as all nodes have measured it together, and what follows for an author.
//!
//! Pushing a post of an author costs its followers times H, a merge of the author's stream at their fills costs their
//! fills times L. Nodes know the fills of all readers together, so the followers stand on both sides and leave one
//! number, the balance: the posts a day at which both channels cost the same.

use serde::{Deserialize, Serialize};

use super::id::PostId;
use super::time::Millis;
use crate::limits::{COSTS_EVIDENCE, COSTS_FADE, COSTS_OBSERVED_MIN, RATE_POSTS};

const DAY_MS: f64 = 86_400_000.0;

/// What a node measured since it last told of it; or all nodes together, faded, within [`Costs`].
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    /// Nanoseconds that rounds of flush took.
    pub flush_ns: f64,
    /// Deliveries that they made: pairs of reader and post, whether the reader's window lives or not.
    pub deliveries: f64,
    /// Nanoseconds that merging streams at fills took.
    pub merge_ns: f64,
    /// Streams that were merged.
    pub streams: f64,
    /// Fills that the streams of hot authors are merged at: all but those from the store, whose pull has everything.
    pub fills: f64,
}

impl Measured {
    fn each(self, other: Self, of: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            flush_ns: of(self.flush_ns, other.flush_ns),
            deliveries: of(self.deliveries, other.deliveries),
            merge_ns: of(self.merge_ns, other.merge_ns),
            streams: of(self.streams, other.streams),
            fills: of(self.fills, other.fills),
        }
    }

    /// What came on top of an `earlier` count.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        self.each(earlier, |now, then| now - then)
    }

    /// H: microseconds to deliver one entry by flush, coalescing counted; none before the first delivery.
    pub fn h_us(self) -> Option<f64> {
        (self.deliveries > 0.0).then(|| self.flush_ns / 1_000.0 / self.deliveries)
    }

    /// L: microseconds to merge one author's stream at a fill; none before the first.
    pub fn l_us(self) -> Option<f64> {
        (self.streams > 0.0).then(|| self.merge_ns / 1_000.0 / self.streams)
    }
}

/// What all nodes have measured, old measurements fading. The store keeps it under [`Costs::NOTE`].
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Costs {
    /// When the first sample was added.
    begun: Millis,
    /// When the last one was.
    at: Millis,
    /// Users at that time; an estimate where they are many.
    users: u64,
    /// Samples, each fading with its age.
    sums: Measured,
}

impl Costs {
    /// The name of the note that a store keeps them under, in JSON.
    pub const NOTE: &str = "costs";

    /// These costs with one more sample, taken at `at`, when there were so many users.
    #[must_use]
    pub fn with(before: Option<Self>, sample: &Measured, users: u64, at: Millis) -> Self {
        let Some(Self { begun, at: last, sums, .. }) = before else {
            return Self { begun: at, at, users, sums: *sample };
        };
        // A clock may step back, or trail that of another node.
        let at = at.max(last);
        let kept = (-((at.0 - last.0) as f64) / COSTS_FADE.as_millis() as f64).exp();
        Self { begun, at, users, sums: sums.each(*sample, |sum, new| sum * kept + new) }
    }

    /// What was measured, faded: for H and L.
    pub fn measured(&self) -> Measured {
        self.sums
    }

    /// When the last sample was added.
    pub fn at(&self) -> Millis {
        self.at
    }

    /// Fills a day of a user on average, active or not; none before there is enough to tell.
    pub fn fills_per_day(&self) -> Option<f64> {
        let (observed_ms, fade_ms) = (self.at.0.saturating_sub(self.begun.0) as f64, COSTS_FADE.as_millis() as f64);
        if observed_ms < COSTS_OBSERVED_MIN.as_millis() as f64 || self.sums.fills < COSTS_EVIDENCE || self.users == 0 {
            return None;
        }
        // What a steady stream of one fill a millisecond would have come to by now.
        let weight_ms = fade_ms * (1.0 - (-observed_ms / fade_ms).exp());
        Some(self.sums.fills / weight_ms * DAY_MS / self.users as f64)
    }

    /// The posts a day at which pushing and merging an author cost the same; none before everything it takes is
    /// measured. Who posts more often is cheaper on pull.
    pub fn balance(&self) -> Option<f64> {
        let enough = self.sums.deliveries >= COSTS_EVIDENCE && self.sums.streams >= COSTS_EVIDENCE;
        let (h_us, l_us) = self.sums.h_us().zip(self.sums.l_us()).filter(|(h_us, _)| enough && *h_us > 0.0)?;
        Some(self.fills_per_day()? * l_us / h_us)
    }
}

/// The posts a day of an author at a post of theirs, from the times in their ids: `newest` are that post and up to
/// [`RATE_POSTS`] before it, newest first. Few posts say little, so they count as those of a day at the least.
pub fn posts_per_day(newest: &[PostId]) -> f64 {
    let (Some(first), Some(last)) = (newest.first(), newest.last()) else { return 0.0 };
    let intervals = newest.len() - 1;
    let span_ms = first.created_at().0.saturating_sub(last.created_at().0) as f64;
    let least_ms = if intervals < RATE_POSTS { DAY_MS } else { 1.0 };
    intervals as f64 * DAY_MS / span_ms.max(least_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn sample(fills: f64) -> Measured {
        Measured { flush_ns: 500_000.0, deliveries: 1_000.0, merge_ns: 600_000.0, streams: 200.0, fills }
    }

    fn close(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-6 * other
    }

    #[test]
    fn steady_samples_come_to_their_rate_whatever_has_faded() {
        for hours in [2, 24, 24 * 30] {
            let mut costs = Costs::with(None, &Measured::default(), 50, Millis(0));
            for minute in 1..=hours * 60 {
                costs = Costs::with(Some(costs), &sample(5.0), 50, Millis(minute * 60_000));
            }
            // 5 fills a minute by 50 users. A sample counts as if it were of the end of its minute.
            let fills = costs.fills_per_day().expect("it is measured");
            assert!((fills / 144.0 - 1.0).abs() < 0.001, "{hours} hours: {fills}");
            let (h_us, l_us) = (costs.measured().h_us().unwrap(), costs.measured().l_us().unwrap());
            assert!(close(h_us, 0.5) && close(l_us, 3.0), "{h_us} {l_us}");
            assert!(close(costs.balance().expect("it is measured"), fills * 3.0 / 0.5));
        }
    }

    #[test]
    fn without_enough_of_everything_there_is_no_balance() {
        let hour = |sample: Measured, users| {
            let begun = Costs::with(None, &Measured::default(), users, Millis(5));
            Costs::with(Some(begun), &sample, users, Millis(5 + HOUR_MS))
        };
        assert!(hour(sample(100.0), 10).balance().is_some());
        assert_eq!(hour(sample(99.0), 10).balance(), None);
        assert_eq!(hour(sample(100.0), 0).balance(), None);
        assert_eq!(hour(Measured { streams: 99.0, ..sample(100.0) }, 10).balance(), None);
        assert_eq!(hour(Measured { deliveries: 99.0, ..sample(100.0) }, 10).balance(), None);
        assert_eq!(hour(Measured { flush_ns: 0.0, ..sample(100.0) }, 10).balance(), None);
        let soon = Costs::with(Some(Costs::with(None, &sample(900.0), 9, Millis(5))), &sample(9.0), 9, Millis(6));
        assert_eq!(soon.balance(), None);
    }

    #[test]
    fn what_is_old_fades_and_a_clock_that_steps_back_harms_nothing() {
        let first = Costs::with(None, &sample(1_000.0), 10, Millis(50 * HOUR_MS));
        let day = Costs::with(Some(first), &Measured::default(), 10, Millis(74 * HOUR_MS));
        assert!(close(day.measured().fills, 1_000.0 / std::f64::consts::E));
        let back = Costs::with(Some(day), &sample(1.0), 10, Millis(0));
        assert!(close(back.measured().fills, day.measured().fills + 1.0) && back.at() == day.at());
    }

    #[test]
    fn a_rate_comes_from_the_times_of_the_newest_posts() {
        let at = |ms: u64| PostId::new(Millis(1_700_000_000_000 + ms), 3, 0);
        let every = |ms: u64, count: u64| (0..count).rev().map(|n| at(n * ms)).collect::<Vec<_>>();
        let day = 24 * HOUR_MS;
        assert_eq!(posts_per_day(&[]), 0.0);
        assert_eq!(posts_per_day(&every(1, 1)), 0.0);
        // Ten posts in a minute are ten posts of a day.
        assert_eq!(posts_per_day(&every(6_000, 11)), 10.0);
        assert_eq!(posts_per_day(&every(2 * day, 11)), 0.5);
        // As many as are looked at are evidence of their own.
        assert_eq!(posts_per_day(&every(HOUR_MS, RATE_POSTS as u64 + 1)), 24.0);
        assert_eq!(posts_per_day(&every(0, RATE_POSTS as u64 + 1)), RATE_POSTS as f64 * DAY_MS);
    }
}

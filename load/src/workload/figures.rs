//! What is measured: for each kind of request how many were answered and how fast, and what went wrong, by name.
//!
//! Latencies are in microseconds, of requests that were answered with 2xx, and of those that were never answered in
//! time (which must not make the figures look better). Refusals are quick, and only counted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

/// A kind of request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `POST /v1/auth/dev`
    SignIn,
    /// `GET /v1/feed`
    FirstPage,
    /// `GET /v1/feed?cursor=`
    NextPage,
    /// `GET /v1/feed?since=`
    Fresh,
    /// `POST /v1/posts`
    Post,
    /// `DELETE /v1/posts/{id}`
    Remove,
    /// `PUT /v1/follows/{id}`
    Follow,
    /// `DELETE /v1/follows/{id}`
    Unfollow,
    /// `PUT /v1/likes/{id}`
    Like,
}

impl Kind {
    /// Each of them, in the order in which they are shown.
    pub const ALL: [Self; 9] = [
        Self::FirstPage,
        Self::NextPage,
        Self::Fresh,
        Self::Post,
        Self::Remove,
        Self::Follow,
        Self::Unfollow,
        Self::Like,
        Self::SignIn,
    ];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign in",
            Self::FirstPage => "first page",
            Self::NextPage => "next page",
            Self::Fresh => "since",
            Self::Post => "post",
            Self::Remove => "remove",
            Self::Follow => "follow",
            Self::Unfollow => "unfollow",
            Self::Like => "like",
        }
    }

    /// Whether it reads a home timeline.
    pub const fn reads(self) -> bool {
        matches!(self, Self::FirstPage | Self::NextPage | Self::Fresh)
    }
}

/// Latencies in microseconds.
pub type Latencies = Histogram<u64>;

/// A histogram with three digits, up to a little more than anything waits.
pub fn latencies() -> Latencies {
    Latencies::new_with_bounds(1, 120_000_000, 3).expect("the bounds are valid")
}

/// One latency as it is recorded.
pub fn micros(latency: Duration) -> u64 {
    u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)
}

/// One kind of request.
#[derive(Clone)]
pub struct Tally {
    /// Answers with 2xx.
    pub answered: u64,
    /// The others, by what they are.
    pub errors: BTreeMap<String, u64>,
    /// How long they took.
    pub latencies: Latencies,
}

/// A second of the run, all kinds together.
#[derive(Clone, Copy, Default, Debug, PartialEq, Serialize)]
pub struct Moment {
    /// Seconds since the run began, at the end of this one.
    pub at_s: f64,
    /// Answers with 2xx.
    pub answered: u64,
    /// Reads of home timelines among them.
    pub reads: u64,
    /// The others.
    pub errors: u64,
    /// Of reads of this second, in milliseconds.
    pub read_p50_ms: f64,
    /// The same.
    pub read_p99_ms: f64,
}

/// Everything measured in a run.
pub struct Figures {
    started: Instant,
    tallies: Vec<Tally>,
    second: Moment,
    second_reads: Latencies,
    /// Of probes: from the acknowledgement of a post until it was seen.
    pub freshness: Latencies,
    /// Probes that were not seen in time.
    pub unseen: u64,
    /// Requests that were answered with 429.
    pub limited: u64,
}

impl Figures {
    /// Nothing yet.
    pub fn start() -> Self {
        let tally = Tally { answered: 0, errors: BTreeMap::new(), latencies: latencies() };
        Self {
            started: Instant::now(),
            tallies: vec![tally; Kind::ALL.len()],
            second: Moment::default(),
            second_reads: latencies(),
            freshness: latencies(),
            unseen: 0,
            limited: 0,
        }
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Counts an answer.
    pub fn answered(&mut self, kind: Kind, latency: Duration) {
        self.tally_mut(kind).answered += 1;
        self.second.answered += 1;
        self.second.reads += u64::from(kind.reads());
        self.record(kind, latency);
    }

    /// Counts a refusal.
    pub fn refused(&mut self, kind: Kind, status: u16) {
        self.limited += u64::from(status == 429);
        self.error(kind, &status.to_string());
    }

    /// Counts a request that was not answered in time, or not even sent.
    pub fn unanswered(&mut self, kind: Kind, what: &str, latency: Duration) {
        self.error(kind, what);
        self.record(kind, latency);
    }

    /// Counts an answer that has another shape than it should.
    pub fn not_understood(&mut self, kind: Kind) {
        self.error(kind, "not understood");
    }

    fn record(&mut self, kind: Kind, latency: Duration) {
        self.tally_mut(kind).latencies.saturating_record(micros(latency));
        if kind.reads() {
            self.second_reads.saturating_record(micros(latency));
        }
    }

    fn error(&mut self, kind: Kind, what: &str) {
        let errors = &mut self.tally_mut(kind).errors;
        match errors.get_mut(what) {
            Some(count) => *count += 1,
            None => _ = errors.insert(what.to_owned(), 1),
        }
        self.second.errors += 1;
    }

    fn tally_mut(&mut self, kind: Kind) -> &mut Tally {
        let place = Kind::ALL.iter().position(|other| *other == kind).expect("each kind is among all");
        &mut self.tallies[place]
    }

    /// Each kind with what was counted.
    pub fn tallies(&self) -> impl Iterator<Item = (Kind, &Tally)> {
        Kind::ALL.into_iter().zip(&self.tallies)
    }

    /// Ends a second.
    pub fn end_second(&mut self) -> Moment {
        let quantile = |q| self.second_reads.value_at_quantile(q) as f64 / 1_000.0;
        let at_s = self.elapsed().as_secs_f64();
        let moment = Moment { at_s, read_p50_ms: quantile(0.5), read_p99_ms: quantile(0.99), ..self.second };
        self.second = Moment::default();
        self.second_reads.reset();
        moment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_and_do_not_flatter_the_latencies() {
        let mut figures = Figures::start();
        figures.answered(Kind::FirstPage, Duration::from_millis(4));
        figures.refused(Kind::FirstPage, 429);
        figures.unanswered(Kind::FirstPage, "timed out", Duration::from_secs(10));
        let (_, tally) = figures.tallies().next().unwrap();
        assert_eq!((tally.answered, tally.latencies.len(), figures.limited), (1, 2, 1));
        assert_eq!(
            tally.errors.iter().map(|(what, n)| (what.as_str(), *n)).collect::<Vec<_>>(),
            [("429", 1), ("timed out", 1)]
        );
        let moment = figures.end_second();
        assert_eq!((moment.answered, moment.reads, moment.errors), (1, 1, 2));
        assert!((3.9..4.1).contains(&moment.read_p50_ms) && moment.read_p99_ms > 9_900.0);
        assert_eq!(figures.end_second().answered, 0);
    }
}

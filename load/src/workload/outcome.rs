//! What a run came to, as values: for the table, for `--json` and for the report alike.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::figures::{Figures, Kind, Latencies, Moment};
use super::mix::{Mix, READS_PER_POST};
use super::process::Usage;
use super::scrape::ServerFigures;

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// When its time was up.
    InTime,
    /// When somebody interrupted it.
    Interrupted,
    /// When the server did not answer any more; why.
    ServerGone(String),
}

/// One second of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Second {
    /// What was measured.
    #[serde(flatten)]
    pub moment: Moment,
    /// Jobs that wait for a connection, at its end.
    pub waiting: u64,
    /// The server's own figures: of this second where they are counted, else at its end.
    pub server: Option<ServerFigures>,
    /// Mean time of this second's probes until they were seen, in milliseconds.
    pub seen_ms: Option<f64>,
}

/// Latencies in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quantiles {
    /// Half are not slower.
    pub p50_ms: f64,
    /// Nine of ten.
    pub p90_ms: f64,
    /// 99 of a hundred.
    pub p99_ms: f64,
    /// 999 of a thousand.
    pub p999_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

impl Quantiles {
    /// Of a histogram; 0 where it is empty.
    pub fn of(latencies: &Latencies) -> Self {
        let at = |q| latencies.value_at_quantile(q) as f64 / 1_000.0;
        Self { p50_ms: at(0.5), p90_ms: at(0.9), p99_ms: at(0.99), p999_ms: at(0.999), max_ms: at(1.0) }
    }
}

/// One kind of request.
#[derive(Clone, Debug, Serialize)]
pub struct KindTold {
    /// Its name.
    pub kind: &'static str,
    /// Answers with 2xx.
    pub answered: u64,
    /// The others.
    pub errors: u64,
    /// The others by what they are.
    pub errors_by_name: BTreeMap<String, u64>,
    /// Answers with 2xx, a second.
    pub per_second: f64,
    /// How long they took.
    #[serde(flatten)]
    pub latency: Quantiles,
}

/// What verification came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verified {
    /// Readers who were looked at.
    pub readers: usize,
    /// First pages that were read during the run and judged.
    pub pages: usize,
    /// Whole timelines that were read after it and judged.
    pub timelines: usize,
    /// Entries on all of them.
    pub entries: usize,
    /// Pages and timelines with a difference.
    pub different: usize,
    /// What was not looked at, and why.
    pub left_out: Option<String>,
    /// Where the differences are described.
    pub failure: Option<PathBuf>,
}

impl Verified {
    /// What it came to where somebody did not wait for it.
    pub fn interrupted() -> Self {
        Self { left_out: Some("interrupted".to_owned()), ..Self::default() }
    }
}

/// Everything a run came to.
#[derive(Serialize)]
pub struct Outcome {
    /// The mix.
    pub mix: &'static str,
    /// What everything was drawn from.
    pub seed: u64,
    /// The server.
    pub url: String,
    /// How it ended.
    pub ended: Ended,
    /// How long it took.
    pub seconds: f64,
    /// Connections.
    pub connections: usize,
    /// Users who read.
    pub readers: usize,
    /// Posts a second of the world at its natural rate.
    pub natural_posts_per_second: f64,
    /// The multiple of that which was asked for.
    pub rate_asked: f64,
    /// The multiple of natural reads that was answered.
    pub rate_answered: f64,
    /// By kind, without those that did not happen.
    pub kinds: Vec<KindTold>,
    /// Until a probe was seen.
    pub freshness: Quantiles,
    /// Probes.
    pub probes: u64,
    /// Probes that were not seen in time.
    pub probes_unseen: u64,
    /// What the server's process used, where it is known.
    pub server: Option<Usage>,
    /// What this process used for the run.
    pub client: Option<Usage>,
    /// Answers with 429.
    pub limited: u64,
    /// What verification came to, where it was asked for.
    pub verified: Option<Verified>,
    /// Why sampled readers do not follow as before the run, if they do not.
    pub not_restored: Option<String>,
    /// Second by second.
    pub timeline: Vec<Second>,
    /// Latencies of each kind, for the report.
    #[serde(skip)]
    pub distributions: Vec<(&'static str, Latencies)>,
}

impl Outcome {
    /// Whether the command has failed: the server went away, or something was different.
    pub fn failure(&self) -> Option<String> {
        if let Ended::ServerGone(why) = &self.ended {
            return Some(format!(
                "after {:.0} s {why}; the figures above are of what was measured until then",
                self.seconds
            ));
        }
        let verified = self.verified.as_ref()?;
        if verified.different == 0 {
            return verified.left_out.as_ref().map(|why| format!("verification could not be finished: {why}"));
        }
        let path = verified.failure.as_ref().map(|path| format!(": see {}", path.display())).unwrap_or_default();
        Some(format!("verification found {} pages that differ from the truth{path}", verified.different))
    }
}

/// Each kind that happened, and its latencies.
pub fn kinds(figures: &Figures, seconds: f64) -> (Vec<KindTold>, Vec<(&'static str, Latencies)>) {
    let happened = figures.tallies().filter(|(_, tally)| tally.answered > 0 || !tally.errors.is_empty());
    let told = |(kind, tally): (Kind, &super::figures::Tally)| {
        let told = KindTold {
            kind: kind.name(),
            answered: tally.answered,
            errors: tally.errors.values().sum(),
            errors_by_name: tally.errors.clone(),
            per_second: tally.answered as f64 / seconds,
            latency: Quantiles::of(&tally.latencies),
        };
        (told, (kind.name(), tally.latencies.clone()))
    };
    happened.map(told).unzip()
}

/// The multiple of natural reads that was answered: of each post's share of them.
pub fn rate_answered(figures: &Figures, mix: Mix, natural_posts: f64, seconds: f64) -> f64 {
    let reads: u64 = figures
        .tallies()
        .filter(|(kind, _)| matches!(kind, Kind::FirstPage | Kind::Fresh))
        .map(|(_, tally)| tally.answered)
        .sum();
    let reads_per_post = if mix == Mix::Twip { 100.0 } else { READS_PER_POST };
    reads as f64 / seconds / (natural_posts * reads_per_post)
}

//! Logs and metrics. Metrics are recorded where things happen, under the names described here; this is where they
//! get their help texts and buckets, and where they are made into Prometheus' text.

use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use metrics::{describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::runtime::Handle;
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Telemetry};

/// How often the runtime is asked how busy it is, and old samples of histograms are folded.
const SAMPLE_EVERY: Duration = Duration::from_secs(5);

/// Seconds: from a page out of L1 to a request at its deadline.
const REQUEST_SECONDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Seconds: the goal is 0.25.
const VISIBLE_SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
/// Seconds: from a round of one post to four million deliveries.
const FLUSH_SECONDS: &[f64] = &[0.0005, 0.0025, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Starts logging to standard error.
///
/// # Errors
/// When the filter is wrong, or this process logs already.
pub fn start_logs(telemetry: &Telemetry) -> Result<()> {
    let filter = EnvFilter::try_new(&telemetry.log).context("telemetry.log")?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match telemetry.log_format {
        LogFormat::Pretty => logs.with_target(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow!("logs cannot be started: {error}"))
}

/// Renders the metrics of this process.
#[derive(Clone)]
pub struct MetricsHandle(PrometheusHandle);

impl MetricsHandle {
    /// Makes this process record metrics. Whoever asks again gets the same.
    ///
    /// # Errors
    /// When something else records them already.
    pub fn install() -> Result<Self> {
        static INSTALLED: Mutex<Option<MetricsHandle>> = Mutex::new(None);
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = &*installed {
            return Ok(handle.clone());
        }
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full("http_request_duration_seconds".into()), REQUEST_SECONDS)?
            .set_buckets_for_metric(Matcher::Full("flush_duration_seconds".into()), FLUSH_SECONDS)?
            .set_buckets_for_metric(Matcher::Full("visible_seconds".into()), VISIBLE_SECONDS)?
            .build_recorder();
        let handle = Self(recorder.handle());
        metrics::set_global_recorder(recorder).map_err(|error| anyhow!("metrics cannot be started: {error}"))?;
        describe();
        *installed = Some(handle.clone());
        Ok(handle)
    }

    /// Every metric, as Prometheus' text.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Samples how busy the runtime is, for as long as it is polled.
    pub async fn sample_runtime(self) {
        let runtime = Handle::current().metrics();
        let busy = || (0..runtime.num_workers()).map(|n| runtime.worker_total_busy_duration(n)).sum::<Duration>();
        let (mut last_at, mut last_busy) = (Instant::now(), busy());
        loop {
            tokio::time::sleep(SAMPLE_EVERY).await;
            let (now_at, now_busy) = (Instant::now(), busy());
            let possible = (now_at - last_at).as_secs_f64() * runtime.num_workers() as f64;
            gauge!("tokio_busy_ratio").set((now_busy.saturating_sub(last_busy).as_secs_f64() / possible).min(1.0));
            (last_at, last_busy) = (now_at, now_busy);
            self.0.run_upkeep();
        }
    }
}

fn describe() {
    describe_counter!("http_requests_total", "Requests answered, by method, route and status");
    describe_histogram!("http_request_duration_seconds", "From a request's headers to its answer");
    describe_gauge!("http_requests_in_flight", "Requests that are not answered yet");
    describe_counter!(
        "http_connections_refused_total",
        "Connections closed because their address had as many as it may"
    );
    describe_counter!("feed_source_total", "Home timelines by where the deepest part they needed came from");
    describe_counter!("cache_hits_total", "Look-ups that found a value, by cache");
    describe_counter!("cache_misses_total", "Look-ups that found none, by cache");
    describe_counter!("posts_total", "Posts written, by channel");
    describe_counter!("deliveries_total", "Entries compacted into readers' windows");
    describe_histogram!("flush_duration_seconds", "Time of a round of compaction");
    describe_gauge!("flush_backlog_events", "Events not yet compacted, by shard");
    describe_gauge!("log_lag_events", "Events numbered and not yet applied, by follower");
    describe_histogram!("visible_seconds", "From a post's acknowledgement to its place in the ring");
    describe_gauge!("outbox_pending", "Committed events that are not published yet");
    describe_counter!("dead_letters_total", "Events that could not be applied");
    describe_gauge!("shard_up", "Whether a shard answers: 1 or 0");
    describe_gauge!("tokio_busy_ratio", "Share of the runtime's worker time spent on work, over the last seconds");
    gauge!("tokio_busy_ratio").set(0.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_have_buckets_and_metrics_have_help() {
        let metrics = MetricsHandle::install().expect("nothing else records");
        metrics::histogram!("visible_seconds").record(0.1);
        metrics::counter!("posts_total", "channel" => "push").increment(1);
        let text = metrics.render();
        assert!(text.contains("visible_seconds_bucket{le=\"0.25\"} 1"), "{text}");
        assert!(text.contains("# TYPE posts_total counter"), "{text}");
        assert!(text.contains("posts_total{channel=\"push\"} 1"), "{text}");
        assert!(text.contains("# HELP tokio_busy_ratio "), "{text}");
        assert!(MetricsHandle::install().is_ok(), "the same process may ask again");
    }
}

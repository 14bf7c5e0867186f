//! A run as a report: the table and the facts, how latencies are distributed, and how everything went over time.

use std::collections::BTreeSet;

use super::figures::Latencies;
use super::outcome::{Outcome, Second};
use super::told::{HEAD, facts, lead, row};
use crate::report::{Axis, Block, Plot, PlotKind, Report, Scale, Section, Series, Table};

/// Points of a line over time, at the most: a longer run shows means of several seconds.
const POINTS_MAX: usize = 600;
/// Nines in the distribution of latencies.
const NINES: [f64; 12] = [0.0, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999];

/// The report of a run.
pub fn report(outcome: &Outcome) -> Report {
    let table = Table { head: HEAD.map(str::to_owned).to_vec(), rows: outcome.kinds.iter().map(row).collect() };
    let named = facts(outcome).into_iter().map(|(name, value)| vec![name, value]).collect();
    let errors: Vec<Vec<String>> = outcome
        .kinds
        .iter()
        .flat_map(|kind| {
            kind.errors_by_name.iter().map(|(what, n)| vec![format!("{}: {what}", kind.kind), n.to_string()])
        })
        .collect();
    let mut blocks = vec![
        Block::Table(table),
        Block::Table(Table { head: vec!["figure".to_owned(), "value".to_owned()], rows: named }),
    ];
    if !errors.is_empty() {
        blocks.push(Block::Table(Table { head: vec!["error".to_owned(), "times".to_owned()], rows: errors }));
    }
    let summary = Section {
        title: "What was done, and how fast".to_owned(),
        note:
            "Arrivals do not wait for answers, and latency counts from the time when a request should have been sent. \
               It is of answers with 2xx, and of requests that were never answered in time."
                .to_owned(),
        blocks,
    };
    Report {
        title: format!("Load test: {}", outcome.mix),
        lead: lead(outcome),
        sections: vec![summary, latency(outcome), over_time(outcome), sources(outcome)],
    }
}

fn axis(label: &str, scale: Scale) -> Axis {
    Axis { label: label.to_owned(), scale, labels: Vec::new() }
}

fn latency(outcome: &Outcome) -> Section {
    let line = |(name, latencies): &(&'static str, Latencies)| Series {
        name: (*name).to_owned(),
        points: NINES.iter().map(|&q| (1.0 / (1.0 - q), latencies.value_at_quantile(q) as f64 / 1_000.0)).collect(),
    };
    let plot = Plot {
        title: "Latency by share of requests".to_owned(),
        kind: PlotKind::Lines,
        x: axis("one request in so many is slower", Scale::Log),
        y: axis("milliseconds", Scale::Log),
        series: outcome.distributions.iter().map(line).collect(),
    };
    Section {
        title: "Latency".to_owned(),
        note: "2 is the median, 100 the 99th percentile.".to_owned(),
        blocks: vec![Block::Plot(plot)],
    }
}

/// A line through the means of what `value` says of each second.
fn over(timeline: &[Second], name: &str, value: impl Fn(&Second) -> Option<f64>) -> Series {
    let step = timeline.len().div_ceil(POINTS_MAX).max(1);
    let point = |seconds: &[Second]| {
        let values: Vec<f64> = seconds.iter().filter_map(&value).collect();
        let at = seconds.last()?.moment.at_s;
        (!values.is_empty()).then(|| (at, values.iter().sum::<f64>() / values.len() as f64))
    };
    Series { name: name.to_owned(), points: timeline.chunks(step).filter_map(point).collect() }
}

fn lines(title: &str, unit: &str, scale: Scale, series: Vec<Series>) -> Block {
    let (x, y) = (axis("seconds", Scale::Linear), axis(unit, scale));
    Block::Plot(Plot { title: title.to_owned(), kind: PlotKind::Lines, x, y, series })
}

fn over_time(outcome: &Outcome) -> Section {
    let timeline = &outcome.timeline;
    let server = |value: fn(&super::scrape::ServerFigures) -> f64| move |s: &Second| s.server.as_ref().map(value);
    let blocks = vec![
        lines(
            "Throughput",
            "a second",
            Scale::Linear,
            vec![
                over(timeline, "answered", |second| Some(second.moment.answered as f64)),
                over(timeline, "errors", |second| Some(second.moment.errors as f64)),
                over(timeline, "waiting to be sent", |second| Some(second.waiting as f64)),
            ],
        ),
        lines(
            "Latency of reads",
            "milliseconds",
            Scale::Log,
            vec![
                over(timeline, "p50", |second| Some(second.moment.read_p50_ms)),
                over(timeline, "p99", |second| Some(second.moment.read_p99_ms)),
            ],
        ),
        lines("Acknowledged until seen", "milliseconds", Scale::Log, vec![over(timeline, "probes", |s| s.seen_ms)]),
        lines(
            "Behind",
            "events",
            Scale::Linear,
            vec![
                over(timeline, "not yet compacted", server(|server| server.backlog_events)),
                over(timeline, "not yet applied", server(|server| server.lag_events)),
            ],
        ),
    ];
    Section { title: "Over time".to_owned(), note: String::new(), blocks }
}

/// Where home timelines came from, by the server's own count.
fn sources(outcome: &Outcome) -> Section {
    let names: BTreeSet<&String> =
        outcome.timeline.iter().filter_map(|second| second.server.as_ref()).flat_map(|s| s.sources.keys()).collect();
    let series = names.into_iter().map(|name| {
        // Every series has a point for every second: they stand on each other.
        over(&outcome.timeline, name, |second| {
            let server = second.server.as_ref();
            Some(server.and_then(|server| server.sources.get(name).copied()).unwrap_or_default())
        })
    });
    let plot = Plot {
        title: "Reads by the deepest part that they needed".to_owned(),
        kind: PlotKind::Areas,
        x: axis("seconds", Scale::Linear),
        y: axis("reads a second", Scale::Linear),
        series: series.collect(),
    };
    Section {
        title: "Sources".to_owned(),
        note: "l1: the node's own window of the reader; then the shard's, the checkpoint, the store.".to_owned(),
        blocks: vec![Block::Plot(plot)],
    }
}

//! A run told to people: the table at its end.

use std::fmt::Write;

use super::outcome::{Ended, KindTold, Outcome};
use super::process::Usage;
use crate::api::tokens::LIMITS_ADVICE;
use crate::progress::grouped;

/// The head of the table of kinds.
pub const HEAD: [&str; 9] =
    ["request", "answered", "errors", "a second", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms"];

/// A row of the table of kinds.
pub fn row(kind: &KindTold) -> Vec<String> {
    let latency = kind.latency;
    let mut row =
        vec![kind.kind.to_owned(), grouped(kind.answered), grouped(kind.errors), format!("{:.1}", kind.per_second)];
    let quantiles = [latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.p999_ms, latency.max_ms];
    row.extend(quantiles.map(|ms| format!("{ms:.2}")));
    row
}

/// The other figures, each with its name.
pub fn facts(outcome: &Outcome) -> Vec<(String, String)> {
    let mut facts = vec![
        ("multiple of natural, asked for".to_owned(), format!("{:.2}", outcome.rate_asked)),
        ("multiple of natural, reads answered".to_owned(), format!("{:.2}", outcome.rate_answered)),
        (
            "acknowledged until seen".to_owned(),
            format!(
                "p50 {:.1} ms, p99 {:.1} ms, of {} probes, {} not seen",
                outcome.freshness.p50_ms, outcome.freshness.p99_ms, outcome.probes, outcome.probes_unseen
            ),
        ),
    ];
    for (name, usage) in [("server", &outcome.server), ("client", &outcome.client)] {
        if let Some(usage) = usage {
            facts.push((name.to_owned(), used(usage, outcome.seconds)));
        }
    }
    if let Some(verified) = &outcome.verified {
        let mut text = format!(
            "{} first pages and {} whole timelines of {} readers, {} entries: {} differ",
            grouped(verified.pages as u64),
            verified.timelines,
            verified.readers,
            grouped(verified.entries as u64),
            verified.different
        );
        if let Some(why) = &verified.left_out {
            text += &format!("; {why}");
        }
        facts.push(("verified".to_owned(), text));
    }
    if let Some(why) = &outcome.not_restored {
        facts.push(("sampled readers' follows are changed".to_owned(), why.clone()));
    }
    facts
}

fn used(usage: &Usage, seconds: f64) -> String {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    format!(
        "{:.2} CPU seconds ({:.2} cores), resident {:.0} MiB, at the most {:.0} MiB",
        usage.cpu_seconds,
        usage.cpu_seconds / seconds,
        mib(usage.rss_bytes),
        mib(usage.rss_max_bytes)
    )
}

/// One or two sentences on what was run.
pub fn lead(outcome: &Outcome) -> String {
    let ended = match &outcome.ended {
        Ended::InTime => "",
        Ended::Interrupted => " It was interrupted.",
        Ended::ServerGone(_) => " The server went away.",
    };
    format!(
        "{} at {} for {:.1} s: seed {}, {} connections, {} readers; naturally {:.2} posts a second.{ended}",
        outcome.mix,
        outcome.url,
        outcome.seconds,
        outcome.seed,
        outcome.connections,
        grouped(outcome.readers as u64),
        outcome.natural_posts_per_second,
    )
}

/// The whole text.
pub fn text(outcome: &Outcome) -> String {
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    rows.extend(outcome.kinds.iter().map(row));
    let mut text = lead(outcome) + "\n\n" + &aligned(&rows) + "\n";
    for (name, value) in facts(outcome) {
        let _ = writeln!(text, "{:<37}{value}", name + ":");
    }
    for kind in &outcome.kinds {
        for (what, count) in &kind.errors_by_name {
            let _ = writeln!(text, "error: {} of {}: {what}", grouped(*count), kind.kind);
        }
    }
    if outcome.limited > 0 {
        let _ = writeln!(text, "{} answers were 429, which are limits and not load: {LIMITS_ADVICE}", outcome.limited);
    }
    text.truncate(text.trim_end().len());
    text
}

/// Columns: the first is text, the others are figures.
fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let width = width(column);
            let _ = if column == 0 { write!(text, "{cell:<width$}") } else { write!(text, "  {cell:>width$}") };
        }
        text.push('\n');
    }
    text
}

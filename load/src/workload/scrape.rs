//! What the server tells of itself at `/metrics`, once a second.

use std::collections::BTreeMap;

use serde::Serialize;

/// The figures of a server at one time.
#[derive(Clone, Default, Debug, PartialEq, Serialize)]
pub struct ServerFigures {
    /// Events not yet compacted, at the shard that is furthest behind.
    pub backlog_events: f64,
    /// Events not yet applied, by the follower that is furthest behind.
    pub lag_events: f64,
    /// Home timelines so far, by where the deepest part came from.
    pub sources: BTreeMap<String, f64>,
    /// Look-ups that found a value so far, by cache.
    pub hits: BTreeMap<String, f64>,
    /// Those that found none.
    pub misses: BTreeMap<String, f64>,
    /// Entries compacted into windows so far.
    pub deliveries: f64,
}

impl ServerFigures {
    /// Reads Prometheus' text. Lines that are not understood are passed over: they belong to others.
    pub fn parse(text: &str) -> Self {
        let mut figures = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<f64>() else { continue };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            match name {
                "flush_backlog_events" => figures.backlog_events = figures.backlog_events.max(value),
                "log_lag_events" => figures.lag_events = figures.lag_events.max(value),
                "feed_source_total" => add(&mut figures.sources, label(labels, "source"), value),
                "cache_hits_total" => add(&mut figures.hits, label(labels, "cache"), value),
                "cache_misses_total" => add(&mut figures.misses, label(labels, "cache"), value),
                "deliveries_total" => figures.deliveries += value,
                _ => {}
            }
        }
        figures
    }

    /// What was counted since `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        let less = |now: &BTreeMap<String, f64>, then: &BTreeMap<String, f64>| {
            // A server that was started again counts from zero.
            let rest = |(name, value): (&String, &f64)| {
                (name.clone(), (value - then.get(name).copied().unwrap_or_default()).max(0.0))
            };
            now.iter().map(rest).collect()
        };
        Self {
            sources: less(&self.sources, &earlier.sources),
            hits: less(&self.hits, &earlier.hits),
            misses: less(&self.misses, &earlier.misses),
            deliveries: (self.deliveries - earlier.deliveries).max(0.0),
            ..*self
        }
    }

    /// Each cache that was asked, with the share of look-ups that found a value.
    pub fn hit_rates(&self) -> BTreeMap<String, f64> {
        let rate = |(cache, misses): (&String, &f64)| {
            let hits = self.hits.get(cache).copied().unwrap_or_default();
            (hits + misses > 0.0).then(|| (cache.clone(), hits / (hits + misses)))
        };
        self.misses.iter().filter_map(rate).collect()
    }
}

fn label<'a>(labels: &'a str, name: &str) -> &'a str {
    let pattern = format!("{name}=\"");
    let rest = labels.split_once(&pattern).map_or("", |(_, rest)| rest);
    rest.split_once('"').map_or("", |(value, _)| value)
}

fn add(sums: &mut BTreeMap<String, f64>, name: &str, value: f64) {
    *sums.entry(name.to_owned()).or_default() += value;
}

#[cfg(test)]
mod tests {
    use tributary_engine::testkit::fuzz;

    use super::*;

    const TEXT: &str = "# HELP feed_source_total Home timelines
# TYPE feed_source_total counter
feed_source_total{source=\"l1\"} 90
feed_source_total{source=\"store\"} 10
cache_hits_total{cache=\"views\"} 3
cache_misses_total{cache=\"views\"} 1
flush_backlog_events{shard=\"a\"} 7
flush_backlog_events{shard=\"b\"} 9
log_lag_events{follower=\"ring\"} 2
a line of something else
";

    #[test]
    fn metrics_are_read_and_compared() {
        let figures = ServerFigures::parse(TEXT);
        assert_eq!((figures.backlog_events, figures.lag_events, figures.sources["l1"]), (9.0, 2.0, 90.0));
        assert_eq!(figures.hit_rates()["views"], 0.75);
        let later = ServerFigures::parse(&TEXT.replace("} 90", "} 100"));
        assert_eq!(later.since(&figures).sources["l1"], 10.0);
        // Started again.
        assert_eq!(figures.since(&later).sources["l1"], 0.0);
    }

    #[test]
    fn whatever_a_server_says_its_figures_are_within_what_it_said() {
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/metrics");
        let odd = "cache_hits_total{cache=\"views\"} NaN\ndeliveries_total -3\nfeed_source_total{source=\"} 1\n 5\n";
        fuzz(kept, vec![TEXT.into(), odd.into()], |input| {
            let Ok(text) = std::str::from_utf8(input) else { return false };
            let figures = ServerFigures::parse(text);
            let names = figures.sources.keys().chain(figures.hits.keys()).chain(figures.misses.keys());
            assert!(names.clone().count() <= text.lines().count() && names.into_iter().all(|name| text.contains(name)));
            assert!(figures.backlog_events >= 0.0 && figures.lag_events >= 0.0, "{figures:?}");
            let counted = text.lines().any(|line| line.starts_with("deliveries_total"));
            assert!(counted || figures.deliveries == 0.0, "{figures:?}");
            let since = figures.since(&ServerFigures::default());
            let all = since.sources.values().chain(since.hits.values()).chain(since.misses.values());
            assert!(all.into_iter().chain([&since.deliveries]).all(|count| *count >= 0.0), "{since:?}");
            figures != ServerFigures::default()
        });
    }
}

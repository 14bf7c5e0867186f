//! The live line: on a terminal a line that is written over, elsewhere a line every few seconds.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::outcome::Second;
use crate::progress::grouped;

const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows how a run goes, on standard error.
pub struct Live {
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Live {
    /// Begins.
    pub fn start() -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(ProgressStyle::with_template("{msg}").expect("the template is valid"));
            bar
        });
        Self { bar, last_line: Instant::now() }
    }

    /// Shows a second.
    pub fn show(&mut self, second: &Second, freshness_p99_ms: f64) {
        let line = || line(second, freshness_p99_ms);
        match &self.bar {
            Some(bar) => bar.set_message(line()),
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                // A closed standard error must not end the run.
                let _ = writeln!(stderr(), "{}", line());
            }
            None => {}
        }
    }

    /// Ends it.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish();
        }
    }
}

fn line(second: &Second, freshness_p99_ms: f64) -> String {
    let moment = second.moment;
    let mut line = format!(
        "{:>4.0} s: {} requests a second, reads p50 {:.1} ms, p99 {:.1} ms, {} errors, {} waiting, seen p99 {freshness_p99_ms:.0} ms",
        moment.at_s,
        grouped(moment.answered),
        moment.read_p50_ms,
        moment.read_p99_ms,
        grouped(moment.errors),
        grouped(second.waiting),
    );
    if let Some(server) = &second.server {
        let _ = write!(line, ", backlog {}", grouped(server.backlog_events as u64));
        for (cache, rate) in server.hit_rates() {
            let _ = write!(line, ", {cache} {:.0}%", rate * 100.0);
        }
    }
    line
}

//! Progress of long work, on standard error: a bar on a terminal, a plain line every few seconds elsewhere.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

const LINE_EVERY: Duration = Duration::from_secs(3);

/// How far something has come.
pub struct Progress {
    what: &'static str,
    total: Option<u64>,
    done: u64,
    /// What was done before: it does not count for the rate.
    resumed: u64,
    started: Instant,
    last_line: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins to show `what` ("importing posts"), out of `total` if that is known.
    pub fn start(what: &'static str, total: Option<u64>) -> Self {
        let bar = stderr().is_terminal().then(|| bar(what, total));
        let now = Instant::now();
        Self { what, total, done: 0, resumed: 0, started: now, last_line: now, bar }
    }

    /// Counts what an earlier run has done.
    pub fn resume_at(&mut self, done: u64) {
        self.done = done;
        self.resumed = done;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.reset_eta();
        }
    }

    /// Counts `more`.
    pub fn add(&mut self, more: u64) {
        self.done += more;
        match &self.bar {
            Some(bar) => bar.inc(more),
            // Looking at the clock costs as much as a small step.
            None if self.done / 1_024 != (self.done - more) / 1_024 && self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                self.line();
            }
            None => (),
        }
    }

    /// Ends it. Short work leaves no line.
    pub fn finish(self) {
        match &self.bar {
            Some(bar) => bar.finish(),
            None if self.started.elapsed() >= LINE_EVERY => self.line(),
            None => (),
        }
    }

    fn line(&self) {
        let of = match self.total {
            Some(total) if total > 0 => {
                format!(" of {} ({:.0}%)", grouped(total), self.done as f64 * 100.0 / total as f64)
            }
            _ => String::new(),
        };
        let rate = (self.done - self.resumed) as f64 / self.started.elapsed().as_secs_f64().max(0.001);
        // A closed standard error must not end the work.
        let _ = writeln!(stderr(), "{}: {}{of}, {} a second", self.what, grouped(self.done), grouped(rate as u64));
    }
}

fn bar(what: &'static str, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{msg} [{bar:30}] {human_pos} of {human_len}, {per_sec}, {eta} left"),
        None => (ProgressBar::new_spinner(), "{msg} {human_pos}, {per_sec}"),
    };
    bar.set_style(ProgressStyle::with_template(template).expect("the template is valid").progress_chars("=> "));
    bar.set_message(what);
    bar
}

/// A number with its digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_413_983, "1,413,983")] {
            assert_eq!(grouped(number), text);
        }
    }
}

//! A plan as text for a terminal, as a report with a plot, and its recommendation ready to be used.

use std::fmt::Write;

use serde_json::json;
use tributary_engine::model::{Mode, TuningSettings};

use super::{Choice, Plan};
use crate::progress::grouped;
use crate::report::{Axis, Block, Plot, PlotKind, Report, Scale, Section, Series, Table};

const READERS: &str = "Readers are a model: the worlds have no reads. Of all users a share comes at all, 30 of 55 of \
                       them every day, the others on two days of a week; each fills their window so many times on such \
                       a day.";

/// Seconds with three figures, or as many as there are before the point.
fn seconds(seconds: f64) -> String {
    match seconds {
        s if s >= 1_000.0 => grouped(s.round() as u64),
        s if s >= 100.0 => format!("{s:.0}"),
        s if s >= 10.0 => format!("{s:.1}"),
        s if s >= 1.0 => format!("{s:.2}"),
        s => format!("{s:.3}"),
    }
}

impl Plan {
    /// Every choice, thresholds first.
    fn choices(&self) -> impl Iterator<Item = &Choice> {
        self.thresholds.iter().chain([&self.by_rate, &self.by_author])
    }

    fn table(&self) -> Table {
        let least = self.per_follow_s;
        let times = |total_s: f64| if least > 0.0 { format!("{:.2}", total_s / least) } else { "–".to_owned() };
        let head = ["choice", "authors on pull", "delivery, s", "merge, s", "total, s a day", "times the optimum"];
        let mut rows: Vec<Vec<String>> = self
            .choices()
            .map(|choice| {
                vec![
                    choice.name.clone(),
                    grouped(choice.pull_authors),
                    seconds(choice.delivery_s),
                    seconds(choice.merge_s),
                    seconds(choice.total_s),
                    times(choice.total_s),
                ]
            })
            .collect();
        let none = || "–".to_owned();
        rows.push(vec!["each follow by itself".to_owned(), none(), none(), none(), seconds(least), times(least)]);
        Table { head: head.map(str::to_owned).to_vec(), rows }
    }

    /// What was assumed, in a few lines.
    fn assumptions(&self) -> String {
        let costs = &self.costs;
        format!(
            "{} users, {} follows, {:.0} posts a day\nH = {:.3} us a delivery ({}), L = {:.3} us a merge ({})\n{:.0} % of the \
             users come, with {:.2} fills on a day on which they do: {:.2} a day of a user on average\nboth channels cost \
             the same at {:.2} posts a day",
            grouped(self.users),
            grouped(self.follows),
            self.posts_per_day,
            costs.h_us,
            costs.h_from.name(),
            costs.l_us,
            costs.l_from.name(),
            self.live_share * 100.0,
            self.reads_per_day,
            self.fills_per_day,
            self.balance_posts_per_day
        )
    }

    /// The recommendation as a section of a configuration, and as the body of `PUT /v1/operator/tuning`.
    pub fn snippets(&self) -> (String, String) {
        let TuningSettings { mode, enter_followers, leave_followers, flush_max_age_ms, flush_max_pairs } =
            self.recommended;
        let mode = match mode {
            Mode::Threshold => "threshold",
            Mode::Cost => "cost",
        };
        let toml = format!(
            "[hot]\nmode = \"{mode}\"\nenter_followers = {enter_followers}\nleave_followers = {leave_followers}"
        );
        let body = json!({
            "mode": mode, "enter_followers": enter_followers, "leave_followers": leave_followers,
            "flush_max_age_ms": flush_max_age_ms, "flush_max_pairs": flush_max_pairs,
        });
        (toml, body.to_string())
    }

    /// The plan as text.
    pub fn text(&self) -> String {
        let Table { head, rows } = self.table();
        let lines: Vec<&Vec<String>> = [&head].into_iter().chain(&rows).collect();
        let widths: Vec<usize> = (0..head.len())
            .map(|column| lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0))
            .collect();
        let mut text = self.assumptions() + "\n";
        for cells in lines {
            let first = format!("\n{:<width$}", cells[0], width = widths[0]);
            let others = cells.iter().zip(&widths).skip(1);
            text += &others.fold(first, |line, (cell, width)| format!("{line}  {cell:>width$}"));
        }
        let (toml, body) = self.snippets();
        // Writing to a string does not fail.
        let _ = write!(text, "\n\n{READERS}\n\nrecommended:\n{toml}\n\n{body}");
        text
    }

    /// The plan as a report.
    pub fn report(&self) -> Report {
        let axis = |label: &str| Axis { label: label.to_owned(), scale: Scale::Log, labels: Vec::new() };
        let at = |choice: &Choice| choice.enter_followers.map(|followers| followers as f64);
        let line = |name: &str, of: &dyn Fn(&Choice) -> f64| Series {
            name: name.to_owned(),
            points: self.thresholds.iter().filter_map(|choice| Some((at(choice)?, of(choice)))).collect(),
        };
        let series = vec![
            line("total", &|choice| choice.total_s),
            line("delivery", &|choice| choice.delivery_s),
            line("merge", &|choice| choice.merge_s),
            line("mode = \"cost\"", &|_| self.by_rate.total_s),
            line("each author's readers", &|_| self.by_author.total_s),
            line("each follow by itself", &|_| self.per_follow_s),
        ];
        let plot = Plot {
            title: "Cost of each threshold".to_owned(),
            kind: PlotKind::Lines,
            x: axis("followers from which an author is on pull"),
            y: axis("processor seconds a day"),
            series,
        };
        let (toml, body) = self.snippets();
        let costs = Section {
            title: "What each choice costs".to_owned(),
            note: format!("{}. {READERS}", self.assumptions().replace('\n', "; ")),
            blocks: vec![Block::Plot(plot), Block::Table(self.table())],
        };
        let tuning = Section {
            title: "Recommended".to_owned(),
            note: format!("In the configuration: {} — or by PUT /v1/operator/tuning: {body}", toml.replace('\n', ", ")),
            blocks: Vec::new(),
        };
        Report { title: "Push or pull".to_owned(), lead: self.lead(), sections: vec![costs, tuning] }
    }

    fn lead(&self) -> String {
        let ends = [self.thresholds.last(), self.thresholds.first()];
        let [push, pull] = ends.map(|choice| choice.map_or(0.0, |choice| choice.total_s));
        let best = self.choices().map(|choice| choice.total_s).fold(f64::INFINITY, f64::min);
        format!(
            "Pushing everything takes {} processor seconds a day, pulling everything {}; the best way to choose takes {}, \
             and each follow by itself would take {}.",
            seconds(push),
            seconds(pull),
            seconds(best),
            seconds(self.per_follow_s)
        )
    }
}

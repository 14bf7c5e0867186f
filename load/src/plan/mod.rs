//! The plan: what each way of choosing channels costs a day on a given graph, and which one is to be recommended.
//!
//! Pushing costs a delivery (H) for each post and follower, whether the follower ever reads or not. Pulling costs a merge
//! (L) for each author at each fill of a follower. Ways to choose: by a threshold of followers; by the author's rate, as
//! the engine does in mode `cost`; by what each author's own followers are known to read; and for each follow by itself,
//! which no engine does, but which is proven to be the optimum (Feeding Frenzy, SIGMOD 2010).

pub mod activity;
pub mod costs;
pub mod graph;
pub mod ledger;
pub mod server;
pub mod show;

use serde::Serialize;
use tributary_engine::model::{Mode, TuningSettings};

use activity::Activity;
use costs::UnitCosts;
use ledger::{AuthorCost, Ledger};

const US_PER_S: f64 = 1e6;

/// A way to choose channels, and what it costs.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Choice {
    /// What it is called.
    pub name: String,
    /// The threshold, where it is one.
    pub enter_followers: Option<u64>,
    /// Authors on pull.
    pub pull_authors: u64,
    /// Seconds of a processor a day that deliveries take.
    pub delivery_s: f64,
    /// Seconds of a processor a day that merges take.
    pub merge_s: f64,
    /// Both.
    pub total_s: f64,
}

/// A plan.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Plan {
    /// Users of the graph.
    pub users: u64,
    /// Its follows.
    pub follows: u64,
    /// Its posts a day.
    pub posts_per_day: f64,
    /// What one delivery and one merge are taken to cost.
    pub costs: UnitCosts,
    /// Share of the users who come at all.
    pub live_share: f64,
    /// Fills of a reader on a day on which the reader comes.
    pub reads_per_day: f64,
    /// Fills a day of a user on average.
    pub fills_per_day: f64,
    /// Posts a day at which both channels cost the same, by averages.
    pub balance_posts_per_day: f64,
    /// From "pull everything" over rising thresholds to "push everything".
    pub thresholds: Vec<Choice>,
    /// As the engine does in mode `cost`.
    pub by_rate: Choice,
    /// The cheaper channel for each author, where the fills of their own followers are known.
    pub by_author: Choice,
    /// The cheaper channel for each follow: seconds of a processor a day.
    pub per_follow_s: f64,
    /// What to tune: the cheapest of what the engine can do.
    pub recommended: TuningSettings,
}

impl Plan {
    /// The plan for what was counted.
    pub fn new(ledger: &Ledger, activity: Activity, costs: UnitCosts) -> Self {
        let authors = ledger.authors();
        let most = authors.iter().map(|author| author.followers).max().unwrap_or(0);
        let mut thresholds = vec![choice("pull everything", Some(1), authors, |author| author.followers >= 1)];
        let beyond = steps().find(|step| *step > u64::from(most)).expect("steps go on for ever");
        for step in steps().skip(1).take_while(|step| *step < beyond) {
            let name = format!("from {} followers on", crate::progress::grouped(step));
            thresholds.push(choice(&name, Some(step), authors, |author| u64::from(author.followers) >= step));
        }
        thresholds.push(choice("push everything", Some(beyond), authors, |_| false));

        let balance = ledger.balance();
        let by_rate = choice("mode = \"cost\"", None, authors, |author| author.followers > 0 && author.rate >= balance);
        let by_author = choice("by each author's readers", None, authors, |author| author.pull_us < author.push_us);
        let recommended = recommend(&thresholds, &by_rate);
        Self {
            users: authors.len() as u64,
            follows: ledger.follows(),
            posts_per_day: authors.iter().map(|author| author.rate).sum(),
            costs,
            live_share: activity.live_share,
            reads_per_day: activity.reads_per_day,
            fills_per_day: activity.mean(),
            balance_posts_per_day: balance,
            thresholds,
            by_rate,
            by_author,
            per_follow_s: authors.iter().fold(0.0, |sum, author| sum + author.edge_us) / US_PER_S,
            recommended,
        }
    }
}

/// 1, 2, 5, 10, 20, 50, ...
fn steps() -> impl Iterator<Item = u64> {
    (0..).flat_map(|power| [1, 2, 5].map(|step| step * 10_u64.pow(power)))
}

/// What it costs when those whom `pull` names are on pull, and all others on push.
fn choice(
    name: &str,
    enter_followers: Option<u64>,
    authors: &[AuthorCost],
    pull: impl Fn(&AuthorCost) -> bool,
) -> Choice {
    let (mut pull_authors, mut delivery_us, mut merge_us, mut total_us) = (0, 0.0, 0.0, 0.0);
    for author in authors {
        if pull(author) {
            pull_authors += 1;
            merge_us += author.pull_us;
            total_us += author.pull_us;
        } else {
            delivery_us += author.push_us;
            total_us += author.push_us;
        }
    }
    Choice {
        name: name.to_owned(),
        enter_followers,
        pull_authors,
        delivery_s: delivery_us / US_PER_S,
        merge_s: merge_us / US_PER_S,
        total_s: total_us / US_PER_S,
    }
}

/// The cheapest threshold, or mode `cost` where that is cheaper still. The bounds of a flush stay as they are by default.
fn recommend(thresholds: &[Choice], by_rate: &Choice) -> TuningSettings {
    let best = thresholds.iter().min_by(|one, two| one.total_s.total_cmp(&two.total_s));
    let best = best.expect("there is at least one threshold");
    let enter_followers = best.enter_followers.expect("a threshold has followers");
    let mode = if by_rate.total_s < best.total_s { Mode::Cost } else { Mode::Threshold };
    // Apart by as much as the default thresholds.
    let leave_followers = (enter_followers * 4 / 5).max(1);
    TuningSettings { mode, enter_followers, leave_followers, ..TuningSettings::default() }
}

#[cfg(test)]
mod tests;

//! What one delivery (H) and one merge (L) cost, and how often readers fill: as given, else as measured by a running
//! server or by the nodes of a store, else assumed.

use anyhow::{Context, Result};
use serde::Serialize;
use tributary_engine::model::Costs;
use tributary_engine::ports::Store;

use super::activity::Activity;

/// Where a figure comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// From the command line.
    Given,
    /// Measured by the nodes of the server or the store.
    Measured,
    /// Nobody has measured it: as docs/performance.md has it for windows in the process.
    Assumed,
}

impl Origin {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Measured => "measured",
            Self::Assumed => "assumed",
        }
    }
}

/// What one delivery and one merge cost.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct UnitCosts {
    /// H: microseconds to deliver one entry by flush, coalescing counted.
    pub h_us: f64,
    /// Where it comes from.
    pub h_from: Origin,
    /// L: microseconds to merge one author's stream at a fill.
    pub l_us: f64,
    /// Where it comes from.
    pub l_from: Origin,
}

/// Figures of one source, as far as it has them.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Figures {
    /// H.
    pub h_us: Option<f64>,
    /// L.
    pub l_us: Option<f64>,
    /// Fills a day of a user on average.
    pub fills_per_day: Option<f64>,
}

impl From<Costs> for Figures {
    fn from(costs: Costs) -> Self {
        let measured = costs.measured();
        Self { h_us: measured.h_us(), l_us: measured.l_us(), fills_per_day: costs.fills_per_day() }
    }
}

impl UnitCosts {
    /// What rounds of a quarter of an hour of the real trace take into windows in the process.
    pub const H_US: f64 = 0.023;
    /// What it took at fills from checkpoints of the real trace, a few streams in a hundred being loaded first.
    pub const L_US: f64 = 15.0;

    /// Each figure from the first that has it: given, measured, assumed.
    pub fn of(given: Figures, measured: Figures) -> Self {
        let first = |given: Option<f64>, measured: Option<f64>, assumed: f64| match (given, measured) {
            (Some(us), _) => (us, Origin::Given),
            (None, Some(us)) => (us, Origin::Measured),
            (None, None) => (assumed, Origin::Assumed),
        };
        let (h_us, h_from) = first(given.h_us, measured.h_us, Self::H_US);
        let (l_us, l_from) = first(given.l_us, measured.l_us, Self::L_US);
        Self { h_us, h_from, l_us, l_from }
    }
}

/// How often readers come: fills on an active day as given, else so many that the average is the measured one, else one.
pub fn activity(live_share: f64, reads_per_day: Option<f64>, measured: Figures) -> Activity {
    let once = Activity { live_share, reads_per_day: 1.0 };
    let as_measured = measured.fills_per_day.map(|fills| fills / once.mean());
    Activity { reads_per_day: reads_per_day.or(as_measured).unwrap_or(1.0), ..once }
}

/// What the nodes of a store have measured, if they have.
///
/// # Errors
/// When the store does not answer, or holds something else under the name of the costs.
pub async fn of_store(store: &dyn Store) -> Result<Figures> {
    let Some(note) = store.note(Costs::NOTE).await.context("reading the measured costs")? else {
        return Ok(Figures::default());
    };
    let costs: Costs = serde_json::from_str(&note).context("the measured costs in the store are malformed")?;
    Ok(costs.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_outranks_what_is_measured_and_that_what_is_assumed() {
        let given = Figures { h_us: Some(1.0), ..Figures::default() };
        let measured = Figures { h_us: Some(2.0), l_us: Some(3.5), fills_per_day: Some(0.5) };
        let costs = UnitCosts::of(given, measured);
        assert_eq!((costs.h_us, costs.h_from, costs.l_us, costs.l_from), (1.0, Origin::Given, 3.5, Origin::Measured));
        assert_eq!(UnitCosts::of(given, Figures::default()).l_from, Origin::Assumed);

        assert!((activity(0.4, None, measured).mean() - 0.5).abs() < 1e-12);
        assert_eq!(activity(0.4, Some(3.0), measured).reads_per_day, 3.0);
        assert_eq!(activity(0.4, None, Figures::default()).reads_per_day, 1.0);
    }
}

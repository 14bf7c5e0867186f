//! `tributary-load plan`: its options, and where it gets graph and costs from.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use tributary_engine::ports::{Clock, Store};
use tributary_load::plan::Plan;
use tributary_load::plan::activity::Activity;
use tributary_load::plan::costs::{self, Figures, UnitCosts};
use tributary_load::plan::{graph, server};
use tributary_load::world::World;
use tributary_server::assemble;
use tributary_server::config::Config;

/// The graph comes from a world or from the store of a configuration; H and L from the options, else from the server or
/// the store, where they are measured, else they are assumed.
#[derive(Args)]
pub struct PlanArgs {
    /// Folder of a world to read the graph from.
    #[arg(long, required_unless_present = "config", conflicts_with = "config")]
    world: Option<PathBuf>,
    /// Configuration of a server whose store to read the graph from; an embedded store must not be open elsewhere.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Running server to ask for H, L and how often windows are filled.
    #[arg(long)]
    url: Option<String>,
    /// Operator's token for the server; without one, the server is asked for it as a development server.
    #[arg(long, env = "TRIBUTARY_TOKEN", hide_env_values = true, requires = "url")]
    token: Option<String>,
    /// H: microseconds to deliver one entry by flush, coalescing counted.
    #[arg(long, value_parser = positive)]
    h_us: Option<f64>,
    /// L: microseconds to merge one author's stream at a fill.
    #[arg(long, value_parser = positive)]
    l_us: Option<f64>,
    /// Reads that fill a window (and are not answered by a node's cache) of a reader on a day on which the reader comes
    /// [default: as measured, else 1].
    #[arg(long, value_parser = positive)]
    reads_per_day: Option<f64>,
    /// Share of the users who come at all.
    #[arg(long, value_parser = share, default_value_t = Activity::LIVE_SHARE)]
    live_share: f64,
    /// File to write a report with a plot to (HTML).
    #[arg(long)]
    report: Option<PathBuf>,
    /// Prints the plan as one JSON object.
    #[arg(long)]
    json: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        // Beyond it is no cost that anything can have, and sums lose their sense.
        Ok(number) if (1e-9..=1e9).contains(&number) => Ok(number),
        _ => Err("must be a number from 0.000000001 to 1000000000".to_owned()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err("must be a number above 0, up to 1".to_owned()),
    }
}

/// Makes a plan.
pub fn plan(args: PlanArgs) -> Result<String> {
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    let plan = runtime.block_on(planned(&args))?;
    if let Some(path) = &args.report {
        plan.report().write(path)?;
    }
    if args.json {
        return Ok(serde_json::to_string(&plan)?);
    }
    Ok(plan.text())
}

async fn planned(args: &PlanArgs) -> Result<Plan> {
    let store = match &args.config {
        Some(file) => Some(assemble::store(&Config::load(Some(file))?, Clock::System).await?),
        None => None,
    };
    let measured = match (&args.url, &store) {
        (Some(url), _) => server::figures(url, args.token.as_deref()).await?,
        (None, Some(store)) => costs::of_store(&**store).await?,
        (None, None) => Figures::default(),
    };
    let given = Figures { h_us: args.h_us, l_us: args.l_us, fills_per_day: None };
    let unit_costs = UnitCosts::of(given, measured);
    let activity = costs::activity(args.live_share, args.reads_per_day, measured);
    let ledger = match (&store, &args.world) {
        (Some(store), _) => graph::of_store(&**store as &dyn Store, activity, &unit_costs).await?,
        (None, Some(folder)) => graph::of_world(&World::open(folder)?, activity, &unit_costs)?,
        (None, None) => anyhow::bail!("either --world or --config is needed"),
    };
    Ok(Plan::new(&ledger, activity, unit_costs))
}

//! The command `run`: its options, checked, and where its results go.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use clap::Args;
use tributary_load::workload::mix::Mix;
use tributary_load::workload::{self, Options, plots, told};

/// Longest run: a week.
const SECONDS_MAX: u64 = 7 * 86_400;

#[derive(Args)]
pub struct RunArgs {
    /// Folder of the world that the server holds.
    #[arg(long)]
    world: PathBuf,
    /// The server: http://host[:port]
    #[arg(long)]
    url: String,
    /// Multiple of the world's natural rate.
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    rate: f64,
    /// How long to run.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX))]
    seconds: u64,
    /// What is done how often.
    #[arg(long, value_enum, default_value = "natural")]
    mix: Mix,
    /// Compares what sampled readers are served with the truth.
    #[arg(long)]
    verify: bool,
    /// Writes a report, one HTML file.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Prints the result as one JSON object.
    #[arg(long)]
    json: bool,
    /// What everything is drawn from: the same seed asks for the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Connections, and so requests in flight, at the most.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
    /// Users who read, at the most; each is signed in before the run.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    readers: u32,
    /// Another node of the same cluster, at which probes look how soon posts are seen; may be repeated.
    #[arg(long = "also-url")]
    also_url: Vec<String>,
    /// After a difference, asks as this operator where the entries came from (with a login for developers).
    #[arg(long)]
    operator_handle: Option<String>,
    /// The server's process, where it is not found by its port.
    #[arg(long)]
    server_pid: Option<u32>,
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if number > 0.0 && number <= 1e6 { Ok(number) } else { Err("it must be above 0, and at most 1,000,000".to_owned()) }
}

/// What a run came to.
pub struct Ran {
    /// The text to print, whether or not it failed.
    pub text: String,
    /// Whether it failed.
    pub verdict: Result<()>,
}

/// Runs a load test.
pub fn run(args: RunArgs) -> Result<Ran> {
    // The file of a difference lies beside the report, else in the working folder.
    let beside = args.report.as_deref().and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    let options = Options {
        world: args.world,
        url: args.url,
        also_urls: args.also_url,
        mix: args.mix,
        rate: args.rate,
        length: Duration::from_secs(args.seconds),
        seed: args.seed,
        connections: args.connections.into(),
        readers_max: args.readers as usize,
        verify: args.verify,
        operator_handle: args.operator_handle,
        server_pid: args.server_pid,
        failure_folder: beside.unwrap_or(Path::new(".")).to_owned(),
        arguments: std::env::args().skip(1).collect(),
    };
    // Better now than after an hour of load.
    ensure!(options.failure_folder.is_dir(), "--report: there is no folder {}", options.failure_folder.display());
    let outcome = workload::run(&options)?;
    let text = if args.json { serde_json::to_string(&outcome)? } else { told::text(&outcome) };
    let written = args.report.map_or(Ok(()), |path| plots::report(&outcome).write(&path));
    let failed = outcome.failure().map_or(Ok(()), |why| Err(anyhow!(why)));
    Ok(Ran { text, verdict: failed.and(written) })
}

//! `tributary-load`: makes worlds, imports them, runs them on a server, plans by them and compares engines over them. The
//! command line; what it does stands in the library.
//! Exit status: 0 done, 1 failed or verification found a difference, 2 wrong usage.

mod commands;
mod plan_command;
mod run_command;

use std::io::{Write, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use tributary_load::compare::Against;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The load lab of Tributary.
#[derive(Parser)]
#[command(name = "tributary-load", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a world: who follows whom, and who posted when.
    World(WorldArgs),
    /// Imports a world into the store of a configuration; goes on where an interrupted import ended.
    Import(ImportArgs),
    /// Says what each way of choosing channels costs on a graph, and which one to take.
    Plan(plan_command::PlanArgs),
    /// Puts the engine beside other ways to keep home timelines, in turns on one world.
    Compare(CompareArgs),
    /// Lets a world's users act on a running server, and measures it.
    Run(run_command::RunArgs),
}

/// Either `--users` and `--seed`, or `--follows` and `--posts`.
#[derive(Args)]
struct WorldArgs {
    /// Users of a made world.
    #[arg(long, requires = "seed", required_unless_present = "follows", conflicts_with_all = ["follows", "posts"])]
    users: Option<u32>,
    /// What a made world is drawn from: the same seed gives the same world.
    #[arg(long, requires = "users")]
    seed: Option<u64>,
    /// Follows of a user on average in a made world [default: as they come with a median of 74].
    #[arg(long, requires = "users")]
    mean_follows: Option<f64>,
    /// File of follows, TSV or TSV.gz: "follower followee".
    #[arg(long, requires = "posts")]
    follows: Option<PathBuf>,
    /// File of posts, TSV or TSV.gz: "unix_seconds author".
    #[arg(long, requires = "follows")]
    posts: Option<PathBuf>,
    /// Folder to write the world to.
    #[arg(long)]
    out: PathBuf,
    /// Prints the result as one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ImportArgs {
    /// Folder of the world.
    #[arg(long)]
    world: PathBuf,
    /// Configuration of the server whose store it is.
    #[arg(long)]
    config: PathBuf,
    /// Prints the result as one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct CompareArgs {
    /// Peers: redis-push (mastodon and misskey), mastodon, misskey, postgres-pull [default: all that can be had].
    #[arg(long, value_delimiter = ',')]
    against: Vec<Against>,
    /// Folder of a world [default: one is made].
    #[arg(long, conflicts_with = "users")]
    world: Option<PathBuf>,
    /// Users of a made world.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..))]
    users: u32,
    /// What the made world and the operations are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Rounds, in each of which every arm has a turn of every mix.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// Seconds of a turn.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// URL of a Redis whose database holds nothing [default: one is started].
    #[arg(long)]
    redis: Option<String>,
    /// URL of a PostgreSQL database [default: a server is started].
    #[arg(long)]
    postgres: Option<String>,
    /// File for a report in HTML.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Prints the result as one JSON object.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::World(args) => commands::world(args).and_then(print),
        Command::Import(args) => commands::import(args).and_then(print),
        Command::Plan(args) => plan_command::plan(args).and_then(print),
        Command::Compare(args) => commands::compare(args).and_then(print),
        Command::Run(args) => run_command::run(args).and_then(|ran| print(ran.text).and(ran.verdict)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A result goes to standard output; progress and errors go to standard error.
fn print(text: String) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

//! The command line: what was asked for. Exit status 0: done; 1: failed; 2: wrong usage.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

#[derive(Parser, Debug)]
#[command(name = "tributary", version, about = "A home-timeline engine: fan-out on read, with materialised windows")]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Serve (the default): embedded on 127.0.0.1:8080 in ./data, where nothing else is said
    Serve(Serve),
    /// Bring PostgreSQL's schema and Kafka's topics up to this version
    Migrate(Migrate),
    /// Print the resolved configuration with secrets hidden, or every error in it
    Check(Configured),
    /// Events that could not be applied
    #[command(subcommand)]
    Dead(Dead),
    /// Which shard holds which share of the readers
    #[command(subcommand)]
    Shards(Shards),
}

/// What to bring up to this version.
#[derive(Args, Debug)]
pub struct Migrate {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// How to serve.
#[derive(Args, Debug)]
pub struct Serve {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A small living world in a temporary folder
    #[arg(long)]
    pub demo: bool,
    /// Listen here instead of where the configuration says
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
}

/// Which configuration.
#[derive(Args, Debug)]
pub struct Configured {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Which configuration, and how to print.
#[derive(Args, Debug)]
pub struct Printed {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What to do with dead letters.
#[derive(Subcommand, Debug)]
pub enum Dead {
    /// List them: epoch, number, reason and bytes
    List(Printed),
    /// Give events that this version can apply new numbers, and forget their letters
    Replay(Chosen),
    /// Forget them
    Drop(Chosen),
}

/// Some of the dead letters.
#[derive(Args, Debug)]
pub struct Chosen {
    /// How
    #[command(flatten)]
    pub printed: Printed,
    /// Their numbers
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "NUMBER")]
    pub numbers: Vec<u64>,
    /// All of them
    #[arg(long)]
    pub all: bool,
}

/// What to do with the map of slots.
#[derive(Subcommand, Debug)]
pub enum Shards {
    /// Show the map in force
    Show(Printed),
    /// Show what the shards of the configuration would move
    Plan(Printed),
    /// Put the shards of the configuration in force
    Apply(Printed),
}

/// Reads a command line, program name first.
///
/// # Errors
/// When it is wrong, or asks for help or the version: print the error and leave with its exit code.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    let cli = Cli::try_parse_from(args)?;
    Ok(cli.command.unwrap_or(Command::Serve(cli.serve)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, clap::Error> {
        parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn serving_is_what_is_done_when_nothing_is_said() {
        assert!(matches!(parsed("tributary"), Ok(Command::Serve(Serve { config: None, demo: false, listen: None }))));
        assert!(matches!(parsed("tributary --demo"), Ok(Command::Serve(Serve { demo: true, .. }))));
        assert!(matches!(parsed("tributary serve --demo"), Ok(Command::Serve(Serve { demo: true, .. }))));
        assert!(matches!(parsed("tributary check --config a"), Ok(Command::Check(Configured { config: Some(_) }))));
    }

    #[test]
    fn dead_letters_are_chosen_by_number_or_all() {
        let chosen = |line| match parsed(line) {
            Ok(Command::Dead(Dead::Replay(chosen) | Dead::Drop(chosen))) => (chosen.numbers, chosen.all),
            other => panic!("{other:?}"),
        };
        assert_eq!(chosen("tributary dead replay 5 70"), (vec![5, 70], false));
        assert_eq!(chosen("tributary dead drop --all --json"), (vec![], true));
        assert!(matches!(
            parsed("tributary dead list --json"),
            Ok(Command::Dead(Dead::List(Printed { json: true, .. })))
        ));
    }

    #[test]
    fn wrong_usage_leaves_with_2_and_help_with_0() {
        let code = |line| parsed(line).expect_err("not a command").exit_code();
        assert_eq!(code("tributary --fast"), 2);
        assert_eq!(code("tributary dance"), 2);
        assert_eq!(code("tributary check --demo"), 2);
        assert_eq!(code("tributary migrate"), 2);
        assert_eq!(code("tributary dead"), 2);
        assert_eq!(code("tributary dead drop"), 2);
        assert_eq!(code("tributary dead drop --all 5"), 2);
        assert_eq!(code("tributary dead replay five"), 2);
        assert_eq!(code("tributary shards move"), 2);
        assert_eq!(code("tributary --help"), 0);
        assert_eq!(code("tributary --version"), 0);
    }
}

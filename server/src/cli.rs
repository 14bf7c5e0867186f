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
    /// Print the resolved configuration with secrets hidden, or every error in it
    Check(Check),
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

/// What to check.
#[derive(Args, Debug)]
pub struct Check {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
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
        assert!(matches!(parsed("tributary check --config a"), Ok(Command::Check(Check { config: Some(_) }))));
    }

    #[test]
    fn wrong_usage_leaves_with_2_and_help_with_0() {
        let code = |line| parsed(line).expect_err("not a command").exit_code();
        assert_eq!(code("tributary --fast"), 2);
        assert_eq!(code("tributary dance"), 2);
        assert_eq!(code("tributary check --demo"), 2);
        assert_eq!(code("tributary --help"), 0);
        assert_eq!(code("tributary --version"), 0);
    }
}

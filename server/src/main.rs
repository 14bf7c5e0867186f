//! The program `tributary`.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use tributary_server::cli::{self, Command};
use tributary_server::config::Config;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let done = match cli::parse(std::env::args_os()) {
        Ok(Command::Check(check)) => print_config(&check),
        Ok(Command::Serve(_)) => Ok(()),
        Err(usage) => {
            // Help and version come this way too. Whoever closed the pipe did not want to read them.
            let _ = usage.print();
            return u8::try_from(usage.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print_config(check: &cli::Check) -> Result<()> {
    let config = Config::load(check.config.as_deref())?;
    std::io::stdout().write_all(config.to_toml().as_bytes()).context("cannot print")
}

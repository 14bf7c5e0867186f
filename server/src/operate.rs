//! The commands of operators that need no running node: migrate, dead letters, the map of slots. What they come to is
//! printed for people, or as one JSON object.

use std::future::Future;
use std::io::Write as _;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use tributary_engine::ports::Clock;

use crate::assemble::{self, Services};
use crate::cli::{Chosen, Dead, Migrate, Printed, Shards};
use crate::config::Config;
use crate::dead::{self, Listed, Settled, Which};

/// Brings schema and topics up to this version.
///
/// # Errors
/// When the configuration names nothing to migrate, or that does not answer.
pub fn migrate(how: &Migrate) -> Result<()> {
    let config = Config::load(Some(&how.config))?;
    say(&run(assemble::migrate(&config))?)
}

/// Lists, replays or drops dead letters.
///
/// # Errors
/// When store or log do not answer, or a letter cannot be replayed.
pub fn dead(what: Dead) -> Result<()> {
    let open = |printed: &Printed| {
        let config = Config::load(printed.config.as_deref())?;
        Ok::<_, anyhow::Error>(async move { assemble::services(&config, Clock::System).await })
    };
    match what {
        Dead::List(printed) => {
            let services = open(&printed)?;
            let letters = run(async { dead::list(&*services.await?.log).await })?;
            print(&printed, &Letters { letters: &letters }, || letters.iter().map(line).collect())
        }
        Dead::Replay(chosen) => {
            let services = open(&chosen.printed)?;
            let settled = run(async {
                let Services { store, log } = services.await?;
                dead::replay(&*store, &*log, &which(&chosen)).await
            })?;
            print(&chosen.printed, &settled, || told(&settled))?;
            match settled.kept.len() {
                0 => Ok(()),
                kept => bail!("{kept} dead letters are kept: this version cannot apply them"),
            }
        }
        Dead::Drop(chosen) => {
            let services = open(&chosen.printed)?;
            let settled = run(async { dead::drop_letters(&*services.await?.log, &which(&chosen)).await })?;
            print(&chosen.printed, &settled, || told(&settled))
        }
    }
}

#[derive(Serialize)]
struct Letters<'a> {
    letters: &'a [Listed],
}

fn which(chosen: &Chosen) -> Which {
    if chosen.all { Which::All } else { Which::Numbers(chosen.numbers.clone()) }
}

fn line(letter: &Listed) -> String {
    let Listed { epoch, number, reason, bytes, replayable } = letter;
    let can = if *replayable { ", replayable" } else { "" };
    format!("{number} of epoch {epoch}: {reason}{can}; bytes {bytes}\n")
}

fn told(settled: &Settled) -> String {
    let Settled { replayed, dropped, kept } = settled;
    format!("{replayed} replayed, {dropped} dropped, {} kept\n", kept.len())
}

/// Shows, plans or applies the map of slots.
///
/// # Errors
/// When the configuration names no shards, or the store does not answer.
pub fn shards(what: &Shards) -> Result<()> {
    let (Shards::Show(printed) | Shards::Plan(printed) | Shards::Apply(printed)) = what;
    let config = Config::load(printed.config.as_deref())?;
    let told = run(async {
        match what {
            Shards::Show(_) => assemble::shards_in_force(&config).await,
            Shards::Plan(_) => assemble::change_shards(&config, false).await,
            Shards::Apply(_) => assemble::change_shards(&config, true).await,
        }
    })?;
    print(printed, &told, || told.to_string())
}

fn run<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?.block_on(work)
}

fn print<T: Serialize>(how: &Printed, told: &T, text: impl FnOnce() -> String) -> Result<()> {
    if how.json { say(&(serde_json::to_string(told).context("cannot print")? + "\n")) } else { say(&text()) }
}

fn say(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot print")
}

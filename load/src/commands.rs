//! The commands behind the command line: each does its work and gives the text to print.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use tributary_engine::ports::Clock;
use tributary_load::compare::{self, Peer};
use tributary_load::import::{self, Batches, Imported};
use tributary_load::progress::grouped;
use tributary_load::world::{Origin, Summary, World, made, tsv};
use tributary_server::config::Config;
use tributary_server::{assemble, sync_tuning};

use crate::{CompareArgs, ImportArgs, WorldArgs};

/// Makes a world.
pub fn world(args: WorldArgs) -> Result<String> {
    let summary = match args {
        WorldArgs { users: Some(users), seed: Some(seed), mean_follows, .. } => {
            made::make(made::Recipe { users, seed, mean_follows }, &args.out)?
        }
        WorldArgs { follows: Some(follows), posts: Some(posts), .. } => tsv::make(&follows, &posts, &args.out)?,
        _ => bail!("either --users and --seed or --follows and --posts are needed"),
    };
    if args.json {
        return Ok(serde_json::to_string(&summary)?);
    }
    describe(&summary)
}

fn describe(summary: &Summary) -> Result<String> {
    let Summary { users, follows, posts, shape, .. } = summary;
    let counts = [users, follows, posts].map(|file| grouped(file.count));
    let mut text = format!("{} users, {} follows, {} posts\n{shape}", counts[0], counts[1], counts[2]);
    match &summary.origin {
        Origin::Made { .. } => text += made::AIMS,
        Origin::Files { self_follows_dropped, duplicate_follows_dropped, posts_were_sorted } => {
            let (own, again) = (grouped(*self_follows_dropped), grouped(*duplicate_follows_dropped));
            write!(text, "\nleft out: {own} follows of oneself, {again} follows given twice")?;
            if !posts_were_sorted {
                text += "\nthe posts were not in order of time: they were sorted, keeping the order within a second";
            }
        }
    }
    Ok(text)
}

/// Imports a world.
pub fn import(args: ImportArgs) -> Result<String> {
    let world = World::open(&args.world)?;
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    let imported = runtime.block_on(import_with_config(&world, &args))?;
    if args.json {
        return Ok(serde_json::to_string(&imported)?);
    }
    Ok(told(&imported))
}

async fn import_with_config(world: &World, args: &ImportArgs) -> Result<Imported> {
    // Ends at the next mark; a second one ends it at once, which the marks allow as well.
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            flag.store(true, Ordering::Relaxed);
        }
    });
    let config = Config::load(Some(&args.config))?;
    let store = assemble::store(&config, Clock::System).await?;
    // The thresholds in force decide the channel of every post that is imported.
    sync_tuning::on_store(&*store, config.tuning).await.context("putting the configured thresholds in force")?;
    import::import(&*store, world, Batches::default(), &mut || interrupted.load(Ordering::Relaxed)).await
}

fn told(imported: &Imported) -> String {
    let Imported { users, follows, posts, resumed, already, seconds, .. } = *imported;
    let counts = [users, follows, posts].map(grouped);
    let what = format!("{} users, {} follows, {} posts", counts[0], counts[1], counts[2]);
    if already {
        return format!("the store already holds this world: {what}");
    }
    let mut text = format!("imported {what} in {seconds:.1} s");
    if resumed > 0 {
        text += &format!(", of which {} records were there from an interrupted run", grouped(resumed));
    }
    for (name, rate) in [("follows", imported.follows_per_second), ("posts", imported.posts_per_second)] {
        if rate > 0.0 {
            text += &format!("\n{} {name} a second", grouped(rate as u64));
        }
    }
    text
}

/// Compares the engine with its peers.
pub fn compare(args: CompareArgs) -> Result<String> {
    let mut against: Vec<Peer> = Vec::new();
    for peer in args.against.iter().flat_map(|against| &against.0) {
        if !against.contains(peer) {
            against.push(*peer);
        }
    }
    let found = compare::compare(&compare::Options {
        against: (!against.is_empty()).then_some(against),
        world: args.world,
        users: args.users,
        seed: args.seed,
        rounds: usize::from(args.rounds),
        seconds: f64::from(args.seconds),
        redis: args.redis,
        postgres: args.postgres,
    })?;
    if let Some(path) = args.report {
        compare::report(&found).write(&path)?;
    }
    if args.json { Ok(serde_json::to_string(&found)?) } else { Ok(compare::table(&found)) }
}

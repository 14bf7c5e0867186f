//! The engine beside its peers: the same machine, the same world, the same sequence of operations, in turns of one run.
//!
//! Every arm is first checked with the naive truth; one that gives a wrong page is not timed. Rates are of a closed loop
//! of [`AT_A_TIME`] operations on two threads, so they say what an arm can carry, and its latencies are those of an arm
//! that carries it.

mod arm;
mod cpu;
mod drive;
mod figures;
mod graph;
mod http;
mod mastodon;
mod merge;
mod misskey;
mod postgres;
mod push;
mod ratios;
mod sequence;
mod servers;
mod show;
mod tributary;

use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context, Result, bail, ensure};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

pub use drive::AT_A_TIME;
pub use figures::{
    ArmFigures, Comparison, FreshFigures, HttpArm, HttpFigures, LeftOut, MergeFigures, MixFigures, Ratio, WorldFigures,
};
pub use show::{report, table};

use crate::world::{World, made};
use arm::Arm;
use drive::Driven;
use graph::Graph;
use mastodon::Mastodon;
use misskey::Misskey;
use postgres::Postgres;
use sequence::{Mix, Sequence};
use tributary::Tributary;

/// Follows of a user on average in a made world: a preset that leaves the peers' windows of some 20,000 users in memory.
const MEAN_FOLLOWS: f64 = 100.0;

/// Another arm than the engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    /// A sorted set a reader.
    Mastodon,
    /// A list a reader.
    Misskey,
    /// A query a page.
    Postgres,
}

/// The peers that a name on the command line means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Against(pub Vec<Peer>);

impl FromStr for Against {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Ok(Self(match name {
            "redis-push" => vec![Peer::Mastodon, Peer::Misskey],
            "mastodon" => vec![Peer::Mastodon],
            "misskey" => vec![Peer::Misskey],
            "postgres-pull" => vec![Peer::Postgres],
            other => return Err(format!("{other} is none of redis-push, mastodon, misskey, postgres-pull")),
        }))
    }
}

/// What to compare.
#[derive(Clone, Debug)]
pub struct Options {
    /// The peers; none: all that can be had.
    pub against: Option<Vec<Peer>>,
    /// A world's folder; none: one is made.
    pub world: Option<PathBuf>,
    /// Users of a made world.
    pub users: u32,
    /// What the world and the operations are drawn from.
    pub seed: u64,
    /// Turns of each arm and mix.
    pub rounds: usize,
    /// Seconds of a turn.
    pub seconds: f64,
    /// A Redis that holds nothing; none: one is started.
    pub redis: Option<String>,
    /// A database of a PostgreSQL; none: a server is started.
    pub postgres: Option<String>,
}

/// One arm with what it came to in each round.
struct Measured {
    driven: Driven,
    natural: Vec<MixFigures>,
    twip: Vec<MixFigures>,
}

/// Compares. Takes a few minutes; what it is doing is told on standard error.
///
/// # Errors
/// When the world cannot be had, a peer that was asked for by name cannot be had, or an arm fails or gives a wrong page.
pub fn compare(options: &Options) -> Result<Comparison> {
    ensure!(options.rounds > 0 && options.seconds > 0.0, "a comparison needs rounds and seconds above zero");
    let folder = tempfile::Builder::new().prefix("tributary-compare-").tempdir().context("a temporary folder")?;
    let world = open_world(options, folder.path())?;
    let graph = Arc::new(Graph::load(&world)?);
    ensure!(graph.followees.iter().any(|some| !some.is_empty()), "nobody in this world follows anybody");
    ensure!(!graph.authors.is_empty(), "nobody in this world posts");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.context("starting the runtime")?;
    let told_to_end = Arc::new(AtomicBool::new(false));
    runtime.spawn(listen(told_to_end.clone()));
    say("tributary: importing, and filling windows");
    let tributary = Arc::new(runtime.block_on(Tributary::open(&graph, &world))?);
    let (peers, left_out) = runtime.block_on(open_peers(options, &graph))?;
    let mut arms: Vec<Arc<dyn Arm>> = vec![tributary.clone()];
    arms.extend(peers);

    let sequences = [Mix::Natural, Mix::Twip].map(|mix| Sequence::draw(&graph, mix, options.seed));
    let mut measured = Vec::new();
    let mut pages_checked = usize::MAX;
    for arm in arms {
        go_on(&told_to_end)?;
        say(&format!("{}: checking with the truth", arm.name()));
        let driven = Driven::new(arm, graph.clone());
        // Of the mix with follows, where the arm can follow.
        let sequence = &sequences[usize::from(driven.arm.can_follow())];
        pages_checked = pages_checked.min(runtime.block_on(driven.check(sequence, options.seed))?);
        measured.push(Measured { driven, natural: Vec::new(), twip: Vec::new() });
    }
    rounds(options, &runtime, &sequences, &mut measured, &told_to_end)?;
    say("tributary and the textbook: merges in memory");
    let merge = merge::measure(&graph, options.seed, options.rounds)?;
    say("tributary and a bare server: over HTTP");
    let (engine, config) = (tributary.engine()?, tributary.config()?);
    let http = http::measure(&engine, &config, &graph.handles, options.rounds, options.seconds)?;
    // It holds the store, which is about to be opened again.
    drop(engine);
    let ratios_of_rounds = ratios::of_rounds(&measured);
    let arms: Vec<Arc<dyn Arm>> = measured.iter().map(|measured| measured.driven.arm.clone()).collect();
    let mut figures = Vec::new();
    for measured in measured {
        go_on(&told_to_end)?;
        say(&format!("{}: freshness", measured.driven.arm.name()));
        figures.push(runtime.block_on(finish(measured, options.seed))?);
    }
    // Not sooner: arms may share a server, which is emptied.
    for arm in arms {
        runtime.block_on(arm.close())?;
    }
    let ratios = ratios::with_goals(ratios_of_rounds, &figures, &http, &merge);
    let summary = world.summary();
    let counts =
        WorldFigures { users: summary.users.count, follows: summary.follows.count, posts: summary.posts.count };
    Ok(Comparison {
        world: counts,
        rounds: options.rounds,
        seconds: options.seconds,
        at_a_time: AT_A_TIME,
        pages_checked,
        arms: figures,
        http,
        merge,
        left_out,
        ratios,
    })
}

/// The world that was named, or one that is made in `folder`.
fn open_world(options: &Options, folder: &Path) -> Result<World> {
    if let Some(path) = &options.world {
        return World::open(path);
    }
    let mean_follows = Some(MEAN_FOLLOWS.min(f64::from(options.users) / 8.0));
    made::make(made::Recipe { users: options.users, seed: options.seed, mean_follows }, folder)?;
    World::open(folder)
}

/// Fills the peers. One that was not asked for by name may be missing.
async fn open_peers(options: &Options, graph: &Graph) -> Result<(Vec<Arc<dyn Arm>>, Vec<LeftOut>)> {
    if let Some(url) = &options.redis {
        push::ensure_empty(url).await?;
    }
    let (mut peers, mut left_out): (Vec<Arc<dyn Arm>>, _) = (Vec::new(), Vec::new());
    for peer in options.against.as_deref().unwrap_or(&[Peer::Mastodon, Peer::Misskey, Peer::Postgres]) {
        let (name, opened) = match peer {
            Peer::Mastodon => {
                say("mastodon: filling Redis");
                let opened = Mastodon::open(graph, options.redis.as_deref()).await;
                ("mastodon", opened.map(|arm| Arc::new(arm) as Arc<dyn Arm>))
            }
            Peer::Misskey => {
                say("misskey: filling Redis");
                let opened = Misskey::open(graph, options.redis.as_deref()).await;
                ("misskey", opened.map(|arm| Arc::new(arm) as Arc<dyn Arm>))
            }
            Peer::Postgres => {
                say("postgres-pull: filling PostgreSQL");
                let opened = Postgres::open(graph, options.postgres.as_deref(), options.seed).await;
                ("postgres-pull", opened.map(|arm| Arc::new(arm) as Arc<dyn Arm>))
            }
        };
        match opened {
            Ok(arm) => peers.push(arm),
            Err(error) if options.against.is_some() => {
                return Err(error.context(format!("{name}, asked for by --against, cannot be had")));
            }
            Err(error) => {
                say(&format!("{name} is left out: {error:#}"));
                left_out.push(LeftOut { arm: name.to_owned(), why: format!("{error:#}") });
            }
        }
    }
    Ok((peers, left_out))
}

/// Arms take turns in every round. The first round warms up.
fn rounds(
    options: &Options,
    runtime: &Runtime,
    sequences: &[Sequence; 2],
    measured: &mut [Measured],
    told_to_end: &AtomicBool,
) -> Result<()> {
    let [natural, twip] = sequences;
    // Each arm goes on where it was; what the check has done is not done again.
    let places: Vec<_> =
        measured.iter().map(|_| [(); 2].map(|()| Arc::new(AtomicU64::new(drive::CHECKED_OPS)))).collect();
    for round in 0..=options.rounds {
        for (arm, [at_natural, at_twip]) in measured.iter_mut().zip(&places) {
            go_on(told_to_end)?;
            say(&format!("{}: round {round} of {}", arm.driven.arm.name(), options.rounds));
            let figures = runtime.block_on(arm.driven.turn(natural, at_natural, options.seconds))?;
            let followed = if arm.driven.arm.can_follow() {
                Some(runtime.block_on(arm.driven.turn(twip, at_twip, options.seconds))?)
            } else {
                None
            };
            if round > 0 {
                arm.natural.push(figures);
                arm.twip.extend(followed);
            }
        }
    }
    Ok(())
}

/// Notes that this process is told to end. It then does so by itself, and its servers and folders go with it.
async fn listen(told_to_end: Arc<AtomicBool>) {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => (),
        _ = terminate.recv() => (),
    }
    told_to_end.store(true, Ordering::Relaxed);
}

fn go_on(told_to_end: &AtomicBool) -> Result<()> {
    ensure!(!told_to_end.load(Ordering::Relaxed), "interrupted: nothing is kept of this comparison");
    Ok(())
}

/// What is measured once, at the end: fan-out stays stopped.
async fn finish(measured: Measured, seed: u64) -> Result<ArmFigures> {
    let Measured { driven, natural, twip } = measured;
    let fresh = driven.freshness(seed, true).await?;
    driven.arm.stop_fan_out().await?;
    let fresh_without_fan_out = driven.freshness(seed + 1, false).await?;
    if fresh.visible < fresh.posts {
        bail!("{}: {} of {} posts were never visible", driven.arm.name(), fresh.posts - fresh.visible, fresh.posts);
    }
    let bytes_per_entry = driven.arm.bytes_per_entry().await?;
    Ok(ArmFigures {
        name: driven.arm.name().to_owned(),
        about: driven.arm.about(),
        natural: MixFigures::median(&natural),
        twip: (!twip.is_empty()).then(|| MixFigures::median(&twip)),
        bytes_per_entry,
        fresh,
        fresh_without_fan_out,
    })
}

/// A line of progress. A closed standard error must not end the work.
fn say(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

#[cfg(test)]
mod tests;

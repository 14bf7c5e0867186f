//! A run from beginning to end: look, warm up, load, drain, verify. One thread, beside that of the arrivals.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tributary_engine::model::{Millis, PostId};

use super::arrivals::Schedule;
use super::cast::Cast;
use super::crew::Crew;
use super::figures::Figures;
use super::load::Load;
use super::mix::Mix;
use super::outcome::{Ended, Outcome, Quantiles, Verified, kinds, rate_answered};
use super::process::{self, Usage};
use super::queue::Queue;
use super::warm_up::warm_up;
use crate::api::{Target, Wire};
use crate::verify::failure::{FailureReport, RunTold};
use crate::verify::probe::Probe;
use crate::verify::{Bounds, Sample, Watch, fits};
use crate::world::World;

/// Readers who are looked at with `--verify`, and those who are only asked whether the world fits.
const SAMPLED: usize = 24;
const SAMPLED_TO_FIT: usize = 4;
/// Ids of the run begin so long before its first post: clocks of nodes differ.
const CLOCKS_DIFFER_MS: u64 = 1_000;
/// Deeds a second, at the most: more is a slip of the pen.
const RATE_MAX: f64 = 1e6;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of the world that the server holds.
    pub world: PathBuf,
    /// The server.
    pub url: String,
    /// Other nodes, at which probes look.
    pub also_urls: Vec<String>,
    /// What is done how often.
    pub mix: Mix,
    /// Multiple of the natural rate.
    pub rate: f64,
    /// How long.
    pub length: Duration,
    /// What everything is drawn from.
    pub seed: u64,
    /// Connections, and so requests in flight, at the most.
    pub connections: usize,
    /// Users who read, at the most.
    pub readers_max: usize,
    /// Whether to verify.
    pub verify: bool,
    /// Who asks, as an operator, where the entries of a wrong page came from.
    pub operator_handle: Option<String>,
    /// The server's process, where it cannot be found by itself.
    pub server_pid: Option<u32>,
    /// Where the file of a failed verification goes.
    pub failure_folder: PathBuf,
    /// The command line, for that file.
    pub arguments: Vec<String>,
}

/// Runs it.
///
/// # Errors
/// When it cannot begin: the world is damaged or not the server's, the server does not answer or lets nobody in. What
/// goes wrong later is told in the outcome.
pub fn run(options: &Options) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    LocalSet::new().block_on(&runtime, drive(options))
}

async fn drive(options: &Options) -> Result<Outcome> {
    let world = World::open(&options.world)?;
    let target = Target::resolve(&options.url).await?;
    let mut others = Vec::new();
    for url in &options.also_urls {
        others.push(Target::resolve(url).await?);
    }
    let run = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64);
    // Before a large world is read: does it answer, and let us in?
    let mut probe = Probe::start(&target, &others, run).await?;

    let mut sample = Sample::new(if options.verify { SAMPLED } else { SAMPLED_TO_FIT });
    let cast = Arc::new(Cast::read(&world, options.mix, options.readers_max, options.seed, &mut sample)?);
    let posts_per_second = cast.natural_posts * options.rate;
    ensure!(
        posts_per_second * options.mix.deeds_per_post() <= RATE_MAX,
        "--rate {}: that is more than a million requests a second",
        options.rate
    );
    let world_ends = PostId::new(Millis((world.summary().shape.last_second + 1) * 1_000), 0, 0);
    let mut wire = Wire::new(&target);
    fits::check(&mut wire, probe.token(), &cast, &mut sample, world_ends).await?;
    let crew = Rc::new(Crew::new(Arc::clone(&cast), sample, run));
    warm_up(&crew, &target, options.connections).await?;
    probe.renew().await?;
    let (first_post, _) = probe.post().await?;
    let run_begins = PostId::new(Millis(PostId(first_post).created_at().0.saturating_sub(CLOCKS_DIFFER_MS)), 0, 0);

    let queue = Arc::new(Queue::default());
    let load = Rc::new(Load::new(Rc::clone(&crew), Arc::clone(&queue), target.clone(), options.connections));
    let pid =
        options.server_pid.or_else(|| process::listening_at(target.address)).filter(|&pid| pid != std::process::id());
    let before = (pid.and_then(process::usage), process::usage(std::process::id()));
    *crew.figures.borrow_mut() = Figures::start();
    crew.last_answer.set(Instant::now());
    let began = Instant::now();
    let schedule = Schedule { mix: options.mix, posts_per_second, length: options.length, seed: options.seed };
    let arrivals = schedule.start(cast, queue)?;
    let connections = load.start();
    let watch = Rc::new(Watch::new(&target));
    let mut beside = vec![spawn_local(Rc::clone(&load).probe(probe))];
    if options.verify {
        beside.push(spawn_local(Rc::clone(&watch).observe(Rc::clone(&crew))));
    }

    let mut ended = Rc::clone(&load).until_the_end(options.length).await;
    arrivals.stop();
    beside.iter().for_each(JoinHandle::abort);
    if !matches!(ended, Ended::ServerGone(_)) {
        ended = load.drain(connections).await.unwrap_or(ended);
    }
    load.count_undone();
    let seconds = began.elapsed().as_secs_f64();
    let (server, client) = (pid.and_then(process::usage), process::usage(std::process::id()));

    let report = FailureReport {
        folder: &options.failure_folder,
        operator: options.operator_handle.as_deref(),
        run: RunTold {
            seed: options.seed,
            arguments: options.arguments.clone(),
            world: world.identity(),
            url: target.url.clone(),
        },
    };
    let bounds = Bounds { run_begins, world_ends, began };
    let verified = match options.verify {
        true => tokio::select! {
            verified = watch.verify(&crew, &ended, bounds, &report) => Some(verified),
            Ok(()) = tokio::signal::ctrl_c() => Some(Verified::interrupted()),
        },
        false => None,
    };
    let mut not_restored = None;
    if !matches!(ended, Ended::ServerGone(_)) && verified.as_ref().is_none_or(|verified| verified.different == 0) {
        not_restored = crew.restore_follows(&mut wire).await.err().map(|error| format!("{error:#}"));
    }
    let figures = crew.figures.borrow();
    let (kinds, distributions) = kinds(&figures, seconds);
    Ok(Outcome {
        mix: options.mix.name(),
        seed: options.seed,
        url: target.url,
        ended,
        seconds,
        connections: options.connections,
        readers: crew.cast.readers().len(),
        natural_posts_per_second: crew.cast.natural_posts,
        rate_asked: options.rate,
        rate_answered: rate_answered(&figures, options.mix, crew.cast.natural_posts, seconds),
        kinds,
        freshness: Quantiles::of(&figures.freshness),
        probes: figures.freshness.len(),
        probes_unseen: figures.unseen,
        server: spent(before.0, server),
        client: spent(before.1, client),
        limited: figures.limited,
        verified,
        not_restored,
        timeline: load.take_seconds(),
        distributions,
    })
}

/// What a process used from one time to another.
fn spent(before: Option<Usage>, after: Option<Usage>) -> Option<Usage> {
    let (before, after) = (before?, after?);
    Some(Usage { cpu_seconds: after.cpu_seconds - before.cpu_seconds, ..after })
}

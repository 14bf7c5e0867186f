//! A run from beginning to end: look, warm up, load, drain, verify. One thread, beside that of the arrivals.

use std::cell::{Cell, RefCell};
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
use super::figures::{Figures, micros};
use super::live::Live;
use super::mix::Mix;
use super::outcome::{Ended, Outcome, Quantiles, Second, kinds, rate_answered};
use super::process::{self, Usage};
use super::queue::Queue;
use super::scrape::ServerFigures;
use super::wire::{Ask, PATIENCE, Target, Wire};
use crate::progress::Progress;
use crate::verify::failure::{FailureReport, RunTold};
use crate::verify::probe::{self, LIMITS_ADVICE, Probe};
use crate::verify::{Bounds, Sample, Watch, fits};
use crate::world::World;

/// A server that has answered nothing for so long has gone away.
const GONE_AFTER: Duration = Duration::from_secs(5);
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
    let load = Rc::new(Load {
        crew: Rc::clone(&crew),
        queue: Arc::clone(&queue),
        target: target.clone(),
        seconds: RefCell::default(),
        seen: Cell::default(),
    });
    let pid =
        options.server_pid.or_else(|| process::listening_at(target.address)).filter(|&pid| pid != std::process::id());
    let before = (pid.and_then(process::usage), process::usage(std::process::id()));
    *crew.figures.borrow_mut() = Figures::start();
    crew.last_answer.set(Instant::now());
    let began = Instant::now();
    let schedule = Schedule { mix: options.mix, posts_per_second, length: options.length, seed: options.seed };
    let arrivals = schedule.start(cast, Arc::clone(&queue))?;
    let connections: Vec<JoinHandle<()>> =
        (0..options.connections).map(|_| spawn_local(Rc::clone(&load).connection())).collect();
    let watch = Rc::new(Watch::new(&target));
    let mut beside = vec![spawn_local(Rc::clone(&load).probe(probe))];
    if options.verify {
        beside.push(spawn_local(Rc::clone(&watch).observe(Rc::clone(&crew))));
    }

    let mut ended = Rc::clone(&load).until_the_end(options.length).await;
    arrivals.stop();
    beside.iter().for_each(JoinHandle::abort);
    if !matches!(ended, Ended::ServerGone(_)) {
        load.drain(connections, &mut ended).await;
    }
    crew.missed(&queue.take_waiting());
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
        true => Some(watch.verify(&crew, &ended, bounds, &report).await),
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
        timeline: load.seconds.take(),
        distributions,
    })
}

/// What a process used from one time to another.
fn spent(before: Option<Usage>, after: Option<Usage>) -> Option<Usage> {
    let (before, after) = (before?, after?);
    Some(Usage { cpu_seconds: after.cpu_seconds - before.cpu_seconds, ..after })
}

/// Signs in everybody who reads, before anything is measured.
async fn warm_up(crew: &Rc<Crew>, target: &Target, connections: usize) -> Result<()> {
    let progress = Rc::new(RefCell::new(Progress::start("signing readers in", Some(crew.cast.readers().len() as u64))));
    let next = Rc::new(Cell::new(0));
    let tasks: Vec<JoinHandle<()>> = (0..connections)
        .map(|_| {
            let (crew, progress, next, mut wire) =
                (Rc::clone(crew), Rc::clone(&progress), Rc::clone(&next), Wire::new(target));
            spawn_local(async move {
                while let Some(&reader) = crew.cast.readers().get(next.get()) {
                    next.set(next.get() + 1);
                    if crew.sign_in(&mut wire, reader, &mut Instant::now()).await.is_none() {
                        next.set(usize::MAX);
                    }
                    progress.borrow_mut().add(1);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.context("signing readers in")?;
    }
    let figures = crew.figures.borrow();
    let errors: Vec<String> = figures.tallies().flat_map(|(_, tally)| tally.errors.keys().cloned()).collect();
    ensure!(figures.limited == 0, "signing readers in: answered 429; {LIMITS_ADVICE}");
    ensure!(errors.is_empty(), "signing readers in at {}: {} {}", target.url, errors.join(", "), crew.trouble.borrow());
    drop(figures);
    if let Some(progress) = Rc::into_inner(progress) {
        progress.into_inner().finish();
    }
    Ok(())
}

/// What runs while the load is on.
struct Load {
    crew: Rc<Crew>,
    queue: Arc<Queue>,
    target: Target,
    seconds: RefCell<Vec<Second>>,
    /// Probes seen in this second: how many, and milliseconds in all.
    seen: Cell<(u32, f64)>,
}

impl Load {
    async fn connection(self: Rc<Self>) {
        let mut wire = Wire::new(&self.target);
        while let Some(job) = self.queue.next().await {
            self.crew.act(&mut wire, job).await;
        }
    }

    /// Probes until it is aborted. A node that does not answer is no news here: the load tells that.
    async fn probe(self: Rc<Self>, mut probe: Probe) {
        let mut ticks = tokio::time::interval(probe::EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut renewed = Instant::now();
        loop {
            ticks.tick().await;
            if renewed.elapsed() > probe::RENEW_AFTER && probe.renew().await.is_ok() {
                renewed = Instant::now();
            }
            let Ok((post, acked)) = probe.post().await else { continue };
            let Ok(seen) = probe.seen(post, acked).await else { continue };
            let mut figures = self.crew.figures.borrow_mut();
            for after in seen {
                figures.unseen += u64::from(after.is_none());
                let after = after.unwrap_or(probe::GIVE_UP);
                figures.freshness.saturating_record(micros(after));
                let (count, sum) = self.seen.get();
                self.seen.set((count + 1, sum + after.as_secs_f64() * 1_000.0));
            }
        }
    }

    /// Looks at the server once a second, and tells how it goes, until the time is up or something ends it.
    async fn until_the_end(self: Rc<Self>, length: Duration) -> Ended {
        let mut live = Live::start();
        let ended = tokio::select! {
            ended = self.watch_seconds(length, &mut live) => ended,
            interrupted = tokio::signal::ctrl_c() => match interrupted {
                Ok(()) => Ended::Interrupted,
                // Signals cannot be had: then nobody interrupts it.
                Err(_) => self.watch_seconds(length, &mut live).await,
            },
        };
        live.finish();
        ended
    }

    async fn watch_seconds(&self, length: Duration, live: &mut Live) -> Ended {
        let mut wire = Wire::new(&self.target);
        let mut last: Option<ServerFigures> = None;
        let until = tokio::time::Instant::now() + length;
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.tick().await;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Ended::InTime,
                _ = ticks.tick() => {}
            }
            let now = self.scrape(&mut wire).await;
            self.crew.missed(&self.queue.take_missed());
            let (count, sum) = self.seen.take();
            let second = Second {
                moment: self.crew.figures.borrow_mut().end_second(),
                waiting: self.queue.waiting() as u64,
                server: now.as_ref().map(|now| last.as_ref().map_or_else(|| now.clone(), |last| now.since(last))),
                seen_ms: (count > 0).then(|| sum / f64::from(count)),
            };
            // Totals since the server began are no figures of a second.
            let first = last.is_none();
            last = now.or(last);
            live.show(&second, self.crew.figures.borrow().freshness.value_at_quantile(0.99) as f64 / 1_000.0);
            let second = if first { Second { server: None, ..second } } else { second };
            self.seconds.borrow_mut().push(second);
            let silent = self.crew.last_answer.get().elapsed();
            if silent > GONE_AFTER {
                let url = &self.target.url;
                let why = self.crew.trouble.borrow();
                return Ended::ServerGone(format!(
                    "the server at {url} has not answered for {} s ({why})",
                    silent.as_secs()
                ));
            }
        }
    }

    async fn scrape(&self, wire: &mut Wire) -> Option<ServerFigures> {
        // What takes longer is not of this second.
        let answer = tokio::time::timeout(Duration::from_secs(1), wire.send(&Ask::get("/metrics"))).await;
        match answer {
            Ok(Ok(answer)) => {
                self.crew.last_answer.set(Instant::now());
                answer.status.is_success().then(|| ServerFigures::parse(&String::from_utf8_lossy(&answer.body)))
            }
            Ok(Err(why)) => {
                *self.crew.trouble.borrow_mut() = why.to_string();
                None
            }
            Err(_) => {
                // The connection still waits for that answer.
                *wire = Wire::new(&self.target);
                None
            }
        }
    }

    /// Waits for what is in flight, and no longer than an answer may take.
    async fn drain(&self, connections: Vec<JoinHandle<()>>, ended: &mut Ended) {
        let all = futures::future::join_all(connections);
        if tokio::time::timeout(PATIENCE + Duration::from_secs(1), all).await.is_err()
            && self.crew.last_answer.get().elapsed() > GONE_AFTER
        {
            let (url, why) = (&self.target.url, self.crew.trouble.borrow());
            *ended = Ended::ServerGone(format!("the server at {url} does not answer ({why})"));
        }
    }
}

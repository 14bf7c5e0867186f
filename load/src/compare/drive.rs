//! Driving an arm: turns of a mix against the clock, the check against the truth, and how soon posts are visible.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tributary_engine::model::PostId;

use super::arm::Arm;
use super::cpu;
use super::figures::{FreshFigures, MixFigures};
use super::graph::{Graph, PAGE};
use super::sequence::{Op, Sequence};

/// Operations under way at a time.
pub const AT_A_TIME: usize = 256;
/// Operations of the check.
pub const CHECKED_OPS: u64 = 2_000;
/// Readers whose first two pages are checked.
const CHECKED_READERS: usize = 300;
/// Posts that are tried for freshness.
const FRESH_POSTS: usize = 200;
/// The same, where nothing may ever be visible.
const STOPPED_POSTS: usize = 5;
/// A post that is not visible then counts as never visible.
const NEVER: Duration = Duration::from_secs(1);
/// From an id to the next free one: sorted sets keep scores as floats, which cannot tell closer ones apart.
const ID_STEP: u64 = 1 << 22;

/// An arm under way: how far it has come.
#[derive(Clone)]
pub struct Driven {
    /// The arm.
    pub arm: Arc<dyn Arm>,
    graph: Arc<Graph>,
    /// Posts so far.
    posts: Arc<AtomicU64>,
}

/// What a turn counted.
struct Tally {
    reads: u64,
    posts: u64,
    deliveries: u64,
    operations: u64,
    /// Nanoseconds of a page.
    latencies: Histogram<u64>,
}

impl Tally {
    fn new() -> Self {
        let latencies = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are valid");
        Self { reads: 0, posts: 0, deliveries: 0, operations: 0, latencies }
    }

    fn add(&mut self, other: &Self) -> Result<()> {
        self.reads += other.reads;
        self.posts += other.posts;
        self.deliveries += other.deliveries;
        self.operations += other.operations;
        self.latencies.add(&other.latencies).context("adding latencies")
    }
}

impl Driven {
    /// An arm that holds the world's history.
    pub fn new(arm: Arc<dyn Arm>, graph: Arc<Graph>) -> Self {
        Self { arm, graph, posts: Arc::default() }
    }

    fn free_id(&self) -> PostId {
        PostId(self.graph.newest.0 + (1 + self.posts.fetch_add(1, Ordering::Relaxed)) * ID_STEP)
    }

    /// Does operations of a sequence one after the other, and then compares pages with the truth. Gives how many.
    ///
    /// # Errors
    /// When the arm fails, or a page is wrong.
    pub async fn check(&self, sequence: &Sequence, seed: u64) -> Result<usize> {
        let mut truth = Graph::clone(&self.graph);
        let mut changed = Vec::new();
        for number in 0..CHECKED_OPS {
            match sequence.op(number) {
                Op::Read { reader, .. } => _ = self.arm.read(reader, None).await?,
                Op::Post { author } => {
                    let id = self.arm.write(author, self.free_id()).await?;
                    self.arm.deliver(author, id).await?;
                    truth.post(author, id);
                    changed.extend(truth.followers[author as usize].first());
                }
                Op::Follow { reader, followee } if self.arm.can_follow() => {
                    self.arm.follow(reader, followee).await?;
                    truth.follow(reader, followee);
                    changed.push(reader);
                }
                Op::Follow { .. } => (),
            }
        }
        let mut rng = Rng::with_seed(seed);
        rng.shuffle(&mut changed);
        changed.truncate(CHECKED_READERS / 2);
        while changed.len() < CHECKED_READERS {
            changed.push(rng.u32(..truth.handles.len() as u32));
        }
        let mut pages = 0;
        for reader in changed {
            pages += self.compare(&truth, reader).await?;
        }
        Ok(pages)
    }

    /// The first two pages of a reader against the truth. What others posted may be a moment on its way.
    async fn compare(&self, truth: &Graph, reader: u32) -> Result<usize> {
        let until = Instant::now() + NEVER;
        let expected = truth.home(reader, PostId::MAX, 2 * PAGE);
        loop {
            let first = self.arm.read(reader, None).await?;
            let (mut ids, mut pages) = (first.ids, 1);
            if let Some(cursor) = first.next {
                ids.extend(self.arm.read(reader, Some(&cursor)).await?.ids);
                pages += 1;
            }
            if ids == expected {
                return Ok(pages);
            }
            let (name, handle) = (self.arm.name(), &truth.handles[reader as usize]);
            ensure!(
                Instant::now() < until,
                "{name} gives {handle} a wrong timeline: {ids:?}, not {expected:?}. It was not timed"
            );
            tokio::task::yield_now().await;
        }
    }

    /// One turn of a mix: the sequence goes on from `next`.
    ///
    /// # Errors
    /// When the arm fails.
    pub async fn turn(&self, sequence: &Sequence, next: &Arc<AtomicU64>, seconds: f64) -> Result<MixFigures> {
        let servers = self.arm.servers();
        let of_servers = || servers.as_ref().map(|pids| cpu::of_servers(pids)).transpose();
        let (own, theirs, begun) = (cpu::own()?, of_servers()?, Instant::now());
        let until = begun + Duration::from_secs_f64(seconds);
        let mut tasks = JoinSet::new();
        for _ in 0..AT_A_TIME {
            tasks.spawn(work(self.clone(), sequence.clone(), next.clone(), until));
        }
        let mut tally = Tally::new();
        while let Some(done) = tasks.join_next().await {
            tally.add(&done.context("a task of a turn died")??)?;
        }
        let (took, own, after) = (begun.elapsed().as_secs_f64(), cpu::own()? - own, of_servers()?);
        let millions = tally.reads.max(1) as f64 / 1e6;
        let ms = |quantile| tally.latencies.value_at_quantile(quantile) as f64 / 1e6;
        Ok(MixFigures {
            reads_per_second: tally.reads as f64 / took,
            posts_per_second: tally.posts as f64 / took,
            deliveries_per_second: tally.deliveries as f64 / took,
            operations_per_second: tally.operations as f64 / took,
            read_p50_ms: ms(0.5),
            read_p99_ms: ms(0.99),
            cpu_client_per_million_reads: own / millions,
            cpu_servers_per_million_reads: theirs.zip(after).map(|(before, after)| (after - before) / millions),
        })
    }

    /// How soon posts are visible to their author's last follower; with `fan_out`, after it was begun.
    ///
    /// # Errors
    /// When the arm fails.
    pub async fn freshness(&self, seed: u64, fan_out: bool) -> Result<FreshFigures> {
        let mut rng = Rng::with_seed(seed);
        let mut times = Vec::new();
        let (mut tried, mut hidden) = (0, 0);
        while tried < FRESH_POSTS && hidden < STOPPED_POSTS {
            let author = self.graph.authors[rng.usize(..self.graph.authors.len())];
            let Some(&reader) = self.graph.followers[author as usize].last() else { continue };
            tried += 1;
            let id = self.arm.write(author, self.free_id()).await?;
            let begun = Instant::now();
            let delivery = fan_out.then(|| {
                let arm = self.arm.clone();
                tokio::spawn(async move { arm.deliver(author, id).await })
            });
            let visible = loop {
                if self.arm.read(reader, None).await?.ids.contains(&id) {
                    break true;
                }
                if begun.elapsed() > NEVER {
                    break false;
                }
                tokio::task::yield_now().await;
            };
            if visible {
                times.push(begun.elapsed().as_secs_f64() * 1e3);
            } else {
                hidden += 1;
            }
            if let Some(delivery) = delivery {
                delivery.await.context("a delivery died")??;
            }
        }
        times.sort_unstable_by(f64::total_cmp);
        let at =
            |share: f64| times.get(((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1))).copied();
        Ok(FreshFigures { posts: tried, visible: times.len(), p50_ms: at(0.5), p99_ms: at(0.99) })
    }
}

async fn work(driven: Driven, sequence: Sequence, next: Arc<AtomicU64>, until: Instant) -> Result<Tally> {
    let (arm, mut tally) = (&driven.arm, Tally::new());
    loop {
        let mut begun = Instant::now();
        if begun >= until {
            return Ok(tally);
        }
        match sequence.op(next.fetch_add(1, Ordering::Relaxed)) {
            Op::Read { reader, second } => {
                let mut page = arm.read(reader, None).await?;
                tally.reads += 1;
                tally.latencies.saturating_record(begun.elapsed().as_nanos() as u64);
                if let Some(cursor) = page.next.take().filter(|_| second) {
                    begun = Instant::now();
                    arm.read(reader, Some(&cursor)).await?;
                    tally.reads += 1;
                    tally.latencies.saturating_record(begun.elapsed().as_nanos() as u64);
                }
            }
            Op::Post { author } => {
                let id = arm.write(author, driven.free_id()).await?;
                arm.deliver(author, id).await?;
                tally.posts += 1;
                tally.deliveries += driven.graph.followers[author as usize].len() as u64;
            }
            Op::Follow { reader, followee } => arm.follow(reader, followee).await?,
        }
        tally.operations += 1;
        // An arm that never waits would keep the others from their turn.
        tokio::task::yield_now().await;
    }
}

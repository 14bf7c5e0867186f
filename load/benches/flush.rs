//! The flush into in-process windows against a bare loop over the same pairs, in one run.
//!
//! `TRACE_DIR` names a folder with `follows.tsv.gz` and `posts.tsv.gz`; without it the world is made. The newest posts
//! of the world are compacted by the engine's flush, from an embedded store that holds the follows, for readers who
//! all have a window. The other arm pushes the same (reader, post) pairs onto a `Vec<u64>` a reader, from lists of
//! dense indices in memory. Arms take turns, chunk by chunk; before each chunk (not timed) windows are fills again and
//! vectors are empty, with their memory kept. The median of the turns' ratios counts. All on one thread.

#![allow(clippy::print_stdout, reason = "a bench prints")]

mod compaction;

use std::hint::black_box;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use compaction::{Case, EPOCH, Graph, compact, events, load, spread, world};
use tokio::sync::watch;
use tributary_engine::embedded::{EmbeddedStore, ProcessShard};
use tributary_engine::limits::WINDOW_ENTRIES;
use tributary_engine::model::{ChangedBy, Position, SlotRange, Tuning, TuningSettings};
use tributary_engine::ports::{Clock, Shard};
use tributary_engine::recent::BYTES_PER_ENTRY;
use tributary_engine::timeline::{Run, Window, fold};
use tributary_engine::work::Flush;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TURNS: usize = 7;
/// Deliveries of a turn.
const PAIRS: u64 = 32_000_000;
/// Deliveries of a turn where rounds are small.
const PAIRS_SMALL: u64 = 6_000_000;
const RING_BYTES: usize = 64 * 1024 * 1024;
const SHARD_BYTES: usize = 1 << 30;

/// The engine's arm.
struct Engine {
    flush: Flush,
    shard: Arc<ProcessShard>,
    tuning: watch::Sender<Tuning>,
    position: Position,
    fills: Vec<Vec<u8>>,
}

impl Engine {
    async fn reset(&self, graph: &Graph) -> Result<()> {
        for (&reader, fill) in graph.readers.iter().zip(&self.fills) {
            self.shard.set(reader, fill.clone().into()).await?;
        }
        Ok(())
    }

    async fn compact(&mut self, graph: &Graph, rounds: &[Range<usize>]) -> Result<Duration> {
        let rounds = events(graph, rounds, &mut self.position);
        let begun = Instant::now();
        compact(&mut self.flush, &rounds).await?;
        Ok(begun.elapsed())
    }

    /// Checks that windows begin with what the other arm delivered; returns the bytes appended to them.
    async fn check(&self, graph: &Graph, vectors: &[Vec<u64>]) -> Result<u64> {
        let mut bytes = 0;
        for ((&reader, fill), delivered) in graph.readers.iter().zip(&self.fills).zip(vectors) {
            let string = self.shard.read(reader).await?.context("every reader has a window")?;
            bytes += (string.len() - fill.len()) as u64;
            let (window, _) = fold(&string, EPOCH).context("every string is a window")?;
            let newest = delivered.iter().rev().take(WINDOW_ENTRIES);
            ensure!(window.entries.iter().map(|id| &id.0).zip(newest).all(|(a, b)| a == b), "reader {reader} differs");
        }
        Ok(bytes)
    }
}

fn bare_loop(graph: &Graph, rounds: &[Range<usize>], vectors: &mut [Vec<u64>]) -> Duration {
    let begun = Instant::now();
    for &(id, author) in rounds.iter().flat_map(|round| &graph.posts[round.clone()]) {
        for &reader in &graph.audiences[author as usize] {
            vectors[reader as usize].push(id.0);
        }
    }
    black_box(&vectors);
    begun.elapsed()
}

async fn measure(engine: &mut Engine, graph: &Graph, case: &Case) -> Result<()> {
    engine.tuning.send_modify(|tuning| tuning.settings.flush_max_age_ms = case.max_age_ms);
    let pairs = case.pairs(graph) as f64;
    let (segments, entries) = case.tally(graph);
    let mut vectors: Vec<Vec<u64>> = vec![Vec::new(); graph.readers.len()];
    let (mut ours, mut theirs, mut bytes) = (Vec::new(), Vec::new(), 0);
    for turn in 0..=TURNS {
        let (mut a, mut b) = (Duration::ZERO, Duration::ZERO);
        for rounds in &case.chunks {
            engine.reset(graph).await?;
            vectors.iter_mut().for_each(Vec::clear);
            b += bare_loop(graph, rounds, &mut vectors);
            a += engine.compact(graph, rounds).await?;
            if turn == 0 {
                bytes += engine.check(graph, &vectors).await?;
            }
        }
        // The first turn warms up.
        if turn > 0 {
            ours.push(pairs / a.as_secs_f64() / 1e6);
            theirs.push(pairs / b.as_secs_f64() / 1e6);
        }
    }
    let ratio = spread(ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect());
    let [[a, a0, a1], [b, b0, b1], [r, r0, r1]] = [spread(ours), spread(theirs), ratio];
    println!(
        "| {} | {:.1} M | {a:.1} ({a0:.1}-{a1:.1}) | {b:.1} ({b0:.1}-{b1:.1}) | {r:.2} ({r0:.2}-{r1:.2}) | {:.1} | {:.2} |",
        case.name,
        pairs / 1e6,
        entries as f64 / segments as f64,
        bytes as f64 / entries as f64,
    );
    Ok(())
}

/// What full windows take: as L1 runs, all included, and as fills.
fn weigh(windows: &[Window]) {
    let full: Vec<&Window> = windows.iter().filter(|window| window.entries.len() == WINDOW_ENTRIES).collect();
    let entries = (full.len() * WINDOW_ENTRIES).max(1) as f64;
    let runs: usize = full.iter().map(|window| Run::new(window).weight()).sum();
    let mut fills = Vec::new();
    full.iter().for_each(|window| window.encode(&mut fills));
    println!(
        "\n{} readers have full windows: {:.2} bytes an entry in L1, all included; {:.2} as a fill",
        full.len(),
        runs as f64 / entries,
        fills.len() as f64 / entries
    );
}

async fn run(folder: &Path) -> Result<()> {
    let store = EmbeddedStore::open(&folder.join("store"), Clock::System)?;
    let graph = load(&world(folder)?, &*store).await?;
    let windows = graph.windows(graph.newest(PAIRS));
    println!(
        "{} users, {} of them read, {} posts, {} deliveries; {TURNS} turns: median (least-most)\n",
        graph.audiences.len(),
        graph.readers.len(),
        graph.posts.len(),
        graph.pairs(0..graph.posts.len())
    );
    let fill = |window: &Window| {
        let mut string = Vec::new();
        window.encode(&mut string);
        string
    };
    let shard = Arc::new(ProcessShard::new(SHARD_BYTES, Clock::System));
    let (tuning, tuned) = watch::channel(Tuning {
        version: 1,
        settings: TuningSettings::default(),
        changed_by: ChangedBy::Default,
        changed_at: Clock::System.now(),
    });
    let share = watch::Sender::new(SlotRange::ALL).subscribe();
    let flush = Flush::new(store, shard.clone(), EPOCH, share, tuned, RING_BYTES / BYTES_PER_ENTRY, Position::ZERO);
    let fills = windows.iter().map(fill).collect();
    let mut engine = Engine { flush, shard, tuning, position: Position::ZERO, fills };
    println!(
        "| rounds | deliveries a turn | flush, M/s | bare loop, M/s | ratio | entries a segment | bytes an entry |"
    );
    println!("|---|---|---|---|---|---|---|");
    for case in [Case::by_pairs(&graph, PAIRS), Case::by_age(&graph, PAIRS_SMALL), Case::by_event(&graph, PAIRS_SMALL)]
    {
        measure(&mut engine, &graph, &case).await?;
    }
    weigh(&windows);
    Ok(())
}

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(run(folder.path()))
}

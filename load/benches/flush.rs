//! The flush into in-process windows against a bare loop over the same pairs, in one run.
//!
//! `TRACE_DIR` names a folder with `follows.tsv.gz` and `posts.tsv.gz`; without it the world is made. The newest posts
//! of the world are compacted by the engine's flush, from an embedded store that holds the follows, for readers who
//! all have a window. The other arm pushes the same (reader, post) pairs onto a `Vec<u64>` a reader, from lists of
//! dense indices in memory. Arms take turns, chunk by chunk; before each chunk (not timed) windows are fills again and
//! vectors are empty, with their memory kept. The median of the turns' ratios counts. All on one thread.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::hint::black_box;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::sync::watch;
use tributary_engine::embedded::{EmbeddedStore, ProcessShard};
use tributary_engine::limits::{EVENTS_BATCH, WINDOW_ENTRIES};
use tributary_engine::model::{
    ChangedBy, Channel, Epoch, Event, NumberedEvent, Position, PostId, SlotRange, Stamp, Tuning, TuningSettings, UserId,
};
use tributary_engine::ports::{Clock, ImportedUser, Shard, Store};
use tributary_engine::recent::BYTES_PER_ENTRY;
use tributary_engine::timeline::{Run, Window, fold};
use tributary_engine::work::Flush;
use tributary_load::import::{PostIds, user_id};
use tributary_load::world::{World, made, tsv};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TURNS: usize = 7;
/// Deliveries of a turn.
const PAIRS: u64 = 32_000_000;
/// Deliveries of a turn where rounds are small.
const PAIRS_SMALL: u64 = 6_000_000;
/// Events between two resets where rounds are small, so that no string of a window passes its bound, and where each
/// event is a round.
const CHUNK: usize = 4_096;
const CHUNK_BY_EVENT: usize = 1_024;
const RING_BYTES: usize = 64 * 1024 * 1024;
const SHARD_BYTES: usize = 1 << 30;
const EPOCH: Epoch = Epoch(1);

/// The world in memory.
struct Graph {
    /// Who reads: everybody who follows somebody or posts. Their places here are the dense indices.
    readers: Vec<UserId>,
    /// By index of the author among all users, the readers: the followers and the author.
    audiences: Vec<Vec<u32>>,
    /// By time.
    posts: Vec<(PostId, u32)>,
}

impl Graph {
    fn pairs(&self, range: Range<usize>) -> u64 {
        self.posts[range].iter().map(|&(_, author)| self.audiences[author as usize].len() as u64).sum()
    }

    /// Where the newest posts begin that make about `pairs` deliveries.
    fn newest(&self, pairs: u64) -> usize {
        let mut left = pairs;
        self.posts
            .iter()
            .rposition(|&(_, author)| {
                left = left.saturating_sub(self.audiences[author as usize].len() as u64);
                left == 0
            })
            .unwrap_or(0)
    }

    /// Every reader's full window just below `post`.
    fn windows(&self, post: usize) -> Vec<Window> {
        let mut entries = vec![Vec::new(); self.readers.len()];
        for &(id, author) in self.posts[..post].iter().rev() {
            for &reader in &self.audiences[author as usize] {
                if entries[reader as usize].len() <= WINDOW_ENTRIES {
                    entries[reader as usize].push(id);
                }
            }
        }
        let window = |entries| {
            let mut window =
                Window { epoch: EPOCH, floor: PostId::MIN, position: Position::ZERO, stamp: Stamp(1), entries };
            window.cap(WINDOW_ENTRIES);
            window
        };
        entries.into_iter().map(window).collect()
    }
}

/// Reads the world, and imports its users and follows.
async fn load(world: &World, store: &dyn Store) -> Result<Graph> {
    let (mut numbers, mut users) = (world.users()?, Vec::new());
    while let Some(number) = numbers.next_user()? {
        let handle = format!("u{number}").parse().ok().context("a number makes a handle")?;
        users.push(ImportedUser { id: user_id(users.len() as u32), handle });
    }
    store.import_users(&users).await?;
    let mut audiences: Vec<Vec<u32>> = vec![Vec::new(); users.len()];
    let (mut reader, mut followees, mut follows) = (world.follows()?, Vec::new(), Vec::new());
    let mut readers = Vec::new();
    let mut numbers = vec![None; users.len()];
    let mut number = |user: u32| {
        *numbers[user as usize].get_or_insert_with(|| {
            readers.push(user_id(user));
            readers.len() as u32 - 1
        })
    };
    while let Some(follower) = reader.next_follower(&mut followees)? {
        for &followee in &followees {
            audiences[followee as usize].push(number(follower));
        }
        follows.push((user_id(follower), followees.iter().map(|&followee| user_id(followee)).collect()));
    }
    store.import_follows(&follows).await?;
    let (mut records, mut ids, mut posts) = (world.posts()?, PostIds::default(), Vec::new());
    let mut posted = vec![false; users.len()];
    while let Some(post) = records.next_post()? {
        posts.push((ids.next(post)?, post.author));
        if !std::mem::replace(&mut posted[post.author as usize], true) {
            audiences[post.author as usize].push(number(post.author));
        }
    }
    Ok(Graph { readers, audiences, posts })
}

/// How the posts are compacted.
struct Case {
    name: &'static str,
    max_age_ms: u64,
    /// Ranges of posts between two resets, each with the rounds in it.
    chunks: Vec<Vec<Range<usize>>>,
}

impl Case {
    /// The default bound: so many pairs a round, and a reset after each.
    fn by_pairs(graph: &Graph) -> Self {
        let settings = TuningSettings::default();
        let first = graph.newest(PAIRS);
        let (mut chunks, mut begun, mut pairs) = (Vec::new(), first, 0);
        for post in first..graph.posts.len() {
            pairs += graph.pairs(post..post + 1);
            if pairs > settings.flush_max_pairs {
                chunks.push(std::iter::once(begun..post).collect());
                (begun, pairs) = (post, graph.pairs(post..post + 1));
            }
        }
        Self { name: "4 M pairs a round", max_age_ms: settings.flush_max_age_ms, chunks }
    }

    /// The default age, by the clock of the trace.
    fn by_age(graph: &Graph) -> Self {
        let max_age_ms = TuningSettings::default().flush_max_age_ms;
        let age = |&(id, _): &(PostId, u32)| id.created_at().0 / max_age_ms;
        let (mut chunks, mut rounds, mut at) = (Vec::new(), Vec::new(), graph.newest(PAIRS_SMALL));
        for round in graph.posts[at..].chunk_by(|a, b| age(a) == age(b)) {
            rounds.push(at..at + round.len());
            at += round.len();
            if rounds.iter().map(Range::len).sum::<usize>() >= CHUNK {
                chunks.push(std::mem::take(&mut rounds));
            }
        }
        Self { name: "15 minutes of the trace a round", max_age_ms, chunks }
    }

    /// Age 0: classic fan-out. The flush itself makes a round of each event.
    fn by_event(graph: &Graph) -> Self {
        let posts: Vec<usize> = (graph.newest(PAIRS_SMALL)..graph.posts.len()).collect();
        let chunk = |posts: &[usize]| std::iter::once(posts[0]..posts[0] + posts.len()).collect();
        Self {
            name: "age 0: every event its own round",
            max_age_ms: 0,
            chunks: posts.chunks(CHUNK_BY_EVENT).map(chunk).collect(),
        }
    }

    fn pairs(&self, graph: &Graph) -> u64 {
        self.chunks.iter().flatten().map(|round| graph.pairs(round.clone())).sum()
    }

    /// Segments, and entries in them: a segment takes no more than a window has.
    fn tally(&self, graph: &Graph) -> (u64, u64) {
        if self.max_age_ms == 0 {
            return (self.pairs(graph), self.pairs(graph));
        }
        let (mut segments, mut entries) = (0, 0);
        for round in self.chunks.iter().flatten() {
            let mut counts = vec![0; graph.readers.len()];
            for &(_, author) in &graph.posts[round.clone()] {
                graph.audiences[author as usize].iter().for_each(|&reader| counts[reader as usize] += 1);
            }
            segments += counts.iter().filter(|count| **count > 0).count() as u64;
            entries += counts.iter().map(|&count: &usize| count.min(WINDOW_ENTRIES) as u64).sum::<u64>();
        }
        (segments, entries)
    }
}

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
        let mut position = self.position;
        let mut event = |&(post, author): &(PostId, u32)| {
            position = position.next();
            let audience = graph.audiences[author as usize].len() as u32 - 1;
            let (author, channel) = (user_id(author), Channel::Push);
            NumberedEvent { position, event: Event::Posted { post, author, channel, audience } }
        };
        let rounds: Vec<Vec<NumberedEvent>> =
            rounds.iter().map(|round| graph.posts[round.clone()].iter().map(&mut event).collect()).collect();
        self.position = position;
        let begun = Instant::now();
        for round in &rounds {
            for batch in round.chunks(EVENTS_BATCH) {
                self.flush.take(batch).await?;
            }
            self.flush.flush().await?;
        }
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

/// Median, least and most.
fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_unstable_by(f64::total_cmp);
    [values[values.len() / 2], values[0], values[values.len() - 1]]
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
    let path = folder.join("world");
    if let Some(trace) = std::env::var_os("TRACE_DIR").map(PathBuf::from) {
        tsv::make(&trace.join("follows.tsv.gz"), &trace.join("posts.tsv.gz"), &path)?;
        println!("the trace of TRACE_DIR");
    } else {
        made::make(made::Recipe { users: 20_000, seed: 1, mean_follows: None }, &path)?;
        println!("a MADE world (TRACE_DIR is unset)");
    }
    let store = EmbeddedStore::open(&folder.join("store"), Clock::System)?;
    let graph = load(&World::open(&path)?, &*store).await?;
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
    for case in [Case::by_pairs(&graph), Case::by_age(&graph), Case::by_event(&graph)] {
        measure(&mut engine, &graph, &case).await?;
    }
    weigh(&windows);
    Ok(())
}

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(run(folder.path()))
}

//! The flush into windows on one Redis server against raw pipelined APPENDs of one entry each, in one run.
//!
//! `TRIBUTARY_TEST_REDIS` names servers, of which the first is used: its keys are DELETED. `TRACE_DIR` names the world,
//! as in `flush.rs`. Every reader has a window. Arms take turns, chunk by chunk, on the same readers; before each chunk
//! (not timed) windows are fills again. The other arm knows every follower beforehand, and appends 6 bytes for each
//! (reader, post) without ever waiting for an answer. The median of the turns' ratios counts.

#![allow(clippy::print_stdout, reason = "a bench prints")]

mod compaction;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use compaction::{Case, EPOCH, Graph, compact, events, load, spread, world};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, InfoDict};
use tokio::sync::watch;
use tributary_engine::embedded::EmbeddedStore;
use tributary_engine::limits::WINDOW_ENTRIES;
use tributary_engine::model::{ChangedBy, Position, SlotRange, Tuning, TuningSettings};
use tributary_engine::ports::{Clock, Shard};
use tributary_engine::recent::BYTES_PER_ENTRY;
use tributary_engine::redis::{NodeOptions, RedisShards, Share, SlotMap};
use tributary_engine::timeline::{Window, fold};
use tributary_engine::work::Flush;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TURNS: usize = 5;
/// Deliveries of a turn.
const PAIRS: u64 = 12_000_000;
/// Deliveries of a turn where every event is a round.
const PAIRS_SMALL: u64 = 1_500_000;
const RING_BYTES: usize = 64 * 1024 * 1024;
const PREFIX: &str = "bench";
/// Bytes of an entry, as the bare arm has them.
const ENTRY: [u8; 6] = [7; 6];
/// Bytes that the bare arm writes at a time.
const BUFFER_BYTES: usize = 1 << 16;

struct Arms {
    flush: Flush,
    shards: Arc<RedisShards>,
    tuning: watch::Sender<Tuning>,
    position: Position,
    fills: Vec<Vec<u8>>,
    /// For questions.
    server: MultiplexedConnection,
    raw: Raw,
}

impl Arms {
    async fn reset(&self, graph: &Graph) -> Result<()> {
        let pairs: Vec<_> = graph.readers.iter().zip(&self.fills).collect();
        for some in pairs.chunks(256) {
            let sets = some.iter().map(|&(&reader, fill)| self.shards.set(reader, fill.clone().into()));
            for set in futures::future::join_all(sets).await {
                set?;
            }
        }
        Ok(())
    }

    async fn ours(&mut self, graph: &Graph, rounds: &[Range<usize>]) -> Result<Duration> {
        let rounds = events(graph, rounds, &mut self.position);
        let begun = Instant::now();
        compact(&mut self.flush, &rounds).await?;
        Ok(begun.elapsed())
    }

    /// Checks that windows begin with what was delivered.
    async fn check(&self, graph: &Graph, rounds: &[Range<usize>]) -> Result<()> {
        let mut delivered = vec![Vec::new(); graph.readers.len()];
        for &(id, author) in rounds.iter().flat_map(|round| &graph.posts[round.clone()]) {
            graph.audiences[author as usize].iter().for_each(|&reader| delivered[reader as usize].push(id));
        }
        for (&reader, delivered) in graph.readers.iter().zip(&delivered) {
            let string = self.shards.read(reader).await?.context("every reader has a window")?;
            let (window, _) = fold(&string, EPOCH).context("every string is a window")?;
            let newest = delivered.iter().rev().take(WINDOW_ENTRIES);
            ensure!(window.entries.iter().zip(newest).all(|(a, b)| a == b), "reader {reader} differs");
        }
        Ok(())
    }

    /// Seconds of the processor that the server has used.
    async fn server_seconds(&self) -> Result<f64> {
        let info: InfoDict = redis::cmd("INFO").arg("cpu").query_async(&mut self.server.clone()).await?;
        let used = |name| info.get::<f64>(name).with_context(|| format!("INFO has {name}"));
        Ok(used("used_cpu_user")? + used("used_cpu_sys")?)
    }
}

/// The bare arm: commands are written by hand into one buffer by this thread, replies counted by another. No client can
/// do it with less.
struct Raw {
    commands: TcpStream,
    /// Told how many replies to wait for; tells when they have come.
    expect: mpsc::Sender<u64>,
    come: mpsc::Receiver<io::Result<()>>,
}

impl Raw {
    fn connect(address: &str) -> Result<Self> {
        let commands = TcpStream::connect(address)?;
        commands.set_nodelay(true)?;
        let mut replies = commands.try_clone()?;
        let (expect, expected) = mpsc::channel::<u64>();
        let (told, come) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            for mut left in expected {
                let counted = loop {
                    if left == 0 {
                        break Ok(());
                    }
                    match replies.read(&mut buffer) {
                        // Each reply is a number and ends its line.
                        Ok(some) if some > 0 => {
                            left =
                                left.saturating_sub(buffer[..some].iter().filter(|byte| **byte == b'\n').count() as u64)
                        }
                        Ok(_) => break Err(io::ErrorKind::UnexpectedEof.into()),
                        Err(error) => break Err(error),
                    }
                };
                if told.send(counted).is_err() {
                    return;
                }
            }
        });
        Ok(Self { commands, expect, come })
    }

    fn append(&mut self, graph: &Graph, keys: &[Vec<u8>], rounds: &[Range<usize>]) -> Result<Duration> {
        let begun = Instant::now();
        self.expect.send(rounds.iter().map(|round| graph.pairs(round.clone())).sum())?;
        let mut buffer = Vec::with_capacity(2 * BUFFER_BYTES);
        for &(_, author) in rounds.iter().flat_map(|round| &graph.posts[round.clone()]) {
            for &reader in &graph.audiences[author as usize] {
                let key = &keys[reader as usize];
                write!(buffer, "*3\r\n$6\r\nAPPEND\r\n${}\r\n", key.len())?;
                buffer.extend_from_slice(key);
                buffer.extend_from_slice(b"\r\n$6\r\n");
                buffer.extend_from_slice(&ENTRY);
                buffer.extend_from_slice(b"\r\n");
                if buffer.len() >= BUFFER_BYTES {
                    self.commands.write_all(&buffer)?;
                    buffer.clear();
                }
            }
        }
        self.commands.write_all(&buffer)?;
        self.come.recv()??;
        Ok(begun.elapsed())
    }
}

async fn measure(arms: &mut Arms, graph: &Graph, keys: &[Vec<u8>], case: &Case) -> Result<()> {
    arms.tuning.send_modify(|tuning| tuning.settings.flush_max_age_ms = case.max_age_ms);
    let pairs = case.pairs(graph) as f64;
    let (segments, entries) = case.tally(graph);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut our_cpu, mut their_cpu) = (0.0, 0.0);
    for turn in 0..=TURNS {
        let (mut a, mut b) = (Duration::ZERO, Duration::ZERO);
        for rounds in &case.chunks {
            arms.reset(graph).await?;
            let start = arms.server_seconds().await?;
            a += arms.ours(graph, rounds).await?;
            let middle = arms.server_seconds().await?;
            if turn == 0 {
                arms.check(graph, rounds).await?;
            }
            arms.reset(graph).await?;
            let again = arms.server_seconds().await?;
            b += arms.raw.append(graph, keys, rounds)?;
            let end = arms.server_seconds().await?;
            if turn > 0 {
                our_cpu += middle - start;
                their_cpu += end - again;
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
    let all = pairs * TURNS as f64 / 1e6;
    println!(
        "| {} | {:.1} M | {a:.2} ({a0:.2}-{a1:.2}) | {b:.2} ({b0:.2}-{b1:.2}) | {r:.2} ({r0:.2}-{r1:.2}) | {:.1} | {:.2} | {:.2} |",
        case.name,
        pairs / 1e6,
        entries as f64 / segments as f64,
        all / our_cpu,
        all / their_cpu,
    );
    Ok(())
}

/// What full windows take in Redis, keys and all.
async fn weigh(arms: &Arms, graph: &Graph, keys: &[Vec<u8>], windows: &[Window]) -> Result<()> {
    arms.reset(graph).await?;
    let (mut bytes, mut count) = (0, 0_u64);
    for (key, _) in keys.iter().zip(windows).filter(|(_, window)| window.entries.len() == WINDOW_ENTRIES) {
        let mut usage = Cmd::new();
        usage.arg("MEMORY").arg("USAGE").arg(key);
        bytes += usage.query_async::<u64>(&mut arms.server.clone()).await?;
        count += 1;
    }
    let entries = (count * WINDOW_ENTRIES as u64).max(1) as f64;
    println!(
        "\n{count} readers have full windows: {:.2} bytes an entry in Redis, keys and all",
        bytes as f64 / entries
    );
    Ok(())
}

async fn run(folder: &Path) -> Result<()> {
    let Ok(servers) = std::env::var("TRIBUTARY_TEST_REDIS") else {
        println!("skipped: TRIBUTARY_TEST_REDIS is not set");
        return Ok(());
    };
    let url = servers.split(',').next().context("a server")?.to_owned();
    let client = redis::Client::open(url.as_str())?;
    let server = client.get_multiplexed_async_connection().await?;
    redis::cmd("FLUSHDB").exec_async(&mut server.clone()).await?;
    let raw = Raw::connect(&client.get_connection_info().addr().to_string())?;
    let store = EmbeddedStore::open(&folder.join("store"), Clock::System)?;
    let graph = load(&world(folder)?, &*store).await?;
    let windows = graph.windows(graph.newest(PAIRS));
    println!(
        "{} users, {} of them read, {} posts; {TURNS} turns: median (least-most)\n",
        graph.audiences.len(),
        graph.readers.len(),
        graph.posts.len(),
    );
    let fill = |window: &Window| {
        let mut string = Vec::new();
        window.encode(&mut string);
        string
    };
    let map = SlotMap::new(1, vec![Share { name: "a".into(), weight: 1 }])?;
    let shards = RedisShards::open(vec![NodeOptions { name: "a".into(), url }], map, PREFIX).await?;
    let (tuning, tuned) = watch::channel(Tuning {
        version: 1,
        settings: TuningSettings::default(),
        changed_by: ChangedBy::Default,
        changed_at: Clock::System.now(),
    });
    let share = watch::Sender::new(SlotRange::ALL).subscribe();
    let flush = Flush::new(store, shards.clone(), EPOCH, share, tuned, RING_BYTES / BYTES_PER_ENTRY, Position::ZERO);
    let fills = windows.iter().map(fill).collect();
    let mut arms = Arms { flush, shards, tuning, position: Position::ZERO, fills, server, raw };
    // As the adapter names them: both arms append to the same strings.
    let keys: Vec<Vec<u8>> = graph.readers.iter().map(|reader| format!("{PREFIX}:w:{reader}").into_bytes()).collect();
    arms.reset(&graph).await?;
    let known: u64 = redis::cmd("EXISTS").arg(&keys).query_async(&mut arms.server.clone()).await?;
    ensure!(
        known == keys.len() as u64,
        "the adapter names {} of {} windows otherwise",
        keys.len() as u64 - known,
        keys.len()
    );
    println!(
        "| rounds | deliveries a turn | flush, M/s | raw APPEND, M/s | ratio | entries a segment | flush, M a Redis CPU-second | raw |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let cases = [Case::by_pairs(&graph, PAIRS), Case::by_age(&graph, PAIRS_SMALL), Case::by_event(&graph, PAIRS_SMALL)];
    for case in cases {
        measure(&mut arms, &graph, &keys, &case).await?;
    }
    weigh(&arms, &graph, &keys, &windows).await
}

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(run(folder.path()))
}

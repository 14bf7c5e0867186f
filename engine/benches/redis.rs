//! Deliveries into one Redis: segments by the shard adapter against raw pipelined `APPEND`s of one entry each, in one
//! run, and what an entry takes there. The server is named by `TRIBUTARY_BENCH_REDIS`.
//!
//! Arms take turns on the same readers, all of whom have a full window; the median of the turns' ratios counts. The
//! raw arm is the best that a client can do: commands written by hand into one buffer by one thread, replies merely
//! counted by another, as many pipelines in flight, of the same size.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use redis::cmd;
use tributary_engine::limits::{PIPELINE_COMMANDS, WINDOW_ENTRIES};
use tributary_engine::model::{Epoch, Millis, Position, PostId, Stamp, UserId};
use tributary_engine::ports::{SegmentBatch, Shard};
use tributary_engine::redis::{NodeOptions, RedisShards, Share, SlotMap};
use tributary_engine::timeline::{SegmentHeader, Window};

const READERS: usize = 20_000;
const BATCHES: usize = 10;
const TURNS: usize = 5;
/// Entries of a segment on the real trace at the default flush bounds, on the average.
const COALESCED: f64 = 5.8;
/// Between two entries of a window: gives the 4.1 to 4.3 bytes an entry of the real trace.
const GAP_MS: f64 = 100_000.0;
const IN_FLIGHT: usize = 3;

type Outcome<T> = Result<T, Box<dyn Error>>;

struct World {
    random: fastrand::Rng,
    readers: Vec<UserId>,
    shards: Arc<RedisShards>,
    prefix: String,
    server: redis::Connection,
    address: String,
    now_ms: u64,
}

/// What one arm did in one turn.
struct Turn {
    deliveries: f64,
    appends: f64,
    seconds: f64,
    redis_seconds: f64,
    our_seconds: f64,
}

impl World {
    async fn new(url: String) -> Outcome<Self> {
        let mut random = fastrand::Rng::with_seed(1);
        let prefix = format!("bench-{:x}", fastrand::u64(..));
        let client = redis::Client::open(url.as_str())?;
        let address = client.get_connection_info().addr().to_string();
        let map = SlotMap::new(1, vec![Share { name: "a".into(), weight: 1 }])?;
        let shards = RedisShards::open(vec![NodeOptions { name: "a".into(), url }], map, &prefix).await?;
        let made = |n: usize| UserId::new(Millis(1_700_000_000_000 + n as u64), random.u16(..1_024), 0);
        let readers = (0..READERS).map(made).collect();
        let server = client.get_connection()?;
        Ok(Self { random, readers, shards, prefix, server, address, now_ms: 1_790_000_000_000 })
    }

    /// Ids that fall, as far apart as a timeline's.
    fn ids(&mut self, count: usize) -> Vec<PostId> {
        let mut ms = self.now_ms;
        let mut next = || {
            ms -= 1 + (-GAP_MS * (1.0 - self.random.f64()).ln()) as u64;
            PostId::new(Millis(ms), self.random.u16(..1_024), 0)
        };
        (0..count).map(|_| next()).collect()
    }

    /// Gives every reader a full window, and no segment.
    async fn fill(&mut self) -> Outcome<()> {
        let mut fills = Vec::new();
        for reader in self.readers.clone() {
            let entries = self.ids(WINDOW_ENTRIES);
            let floor = entries[entries.len() - 1];
            let position = Position(48_000_000);
            let mut string = Vec::new();
            Window { epoch: Epoch(7), floor, position, stamp: Stamp(1_000_000), entries }.encode(&mut string);
            fills.push((reader, string));
        }
        let shards = &self.shards;
        // On a busy machine one may take too long now and then.
        let set = |(reader, string): (UserId, Vec<u8>)| async move {
            let string = Bytes::from(string);
            for _ in 0..100 {
                if shards.set(reader, string.clone()).await.is_ok() {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err("the windows cannot be set")
        };
        let mut sets = stream::iter(fills).map(set).buffer_unordered(32);
        while let Some(set) = sets.next().await {
            set?;
        }
        Ok(())
    }

    /// Processor's time of the server and of this process.
    fn cpu_seconds(&mut self) -> Outcome<(f64, f64)> {
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        let ticks = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        // A tick is a hundredth of a second on every Linux.
        Ok((self.redis_seconds()?, ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0))
    }

    fn redis_seconds(&mut self) -> Outcome<f64> {
        let info: String = cmd("INFO").arg("cpu").query(&mut self.server)?;
        let number = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.parse::<f64>().ok());
        Ok(number("used_cpu_user:").unwrap_or(0.0) + number("used_cpu_sys:").unwrap_or(0.0))
    }

    /// Every reader gets a segment in every batch.
    async fn segments(&mut self, entries: f64) -> Outcome<Turn> {
        self.fill().await?;
        let (mut batches, mut deliveries) = (Vec::new(), 0);
        for n in 0..BATCHES as u64 {
            let mut batch = SegmentBatch::default();
            self.random.shuffle(&mut self.readers);
            for reader in self.readers.clone() {
                // Geometric above one: many small segments, a few large ones.
                let more = (-(entries - 1.0) * (1.0 - self.random.f64()).ln()).round() as usize;
                let ids = self.ids(1 + more);
                deliveries += ids.len();
                let from = Position(48_000_000 + n * 100_000);
                let header =
                    SegmentHeader { epoch: Epoch(7), from, to: Position(from.0 + 100_000), stamp: Stamp(1_000_000) };
                batch.push(reader, |out| header.encode(ids, out));
            }
            batches.push(batch);
        }
        let (before, begun) = (self.cpu_seconds()?, Instant::now());
        for batch in &batches {
            self.shards.append(batch).await?;
        }
        let seconds = begun.elapsed().as_secs_f64();
        let appends = (BATCHES * READERS) as f64;
        let after = self.cpu_seconds()?;
        let (redis_seconds, our_seconds) = (after.0 - before.0, after.1 - before.1);
        Ok(Turn { deliveries: deliveries as f64, appends, seconds, redis_seconds, our_seconds })
    }

    /// Every reader gets one entry of six bytes in every batch.
    async fn raw(&mut self) -> Outcome<Turn> {
        self.fill().await?;
        let mut writing = TcpStream::connect(&self.address)?;
        writing.set_nodelay(true)?;
        let mut reading = writing.try_clone()?;
        // In as many orders as the other arms have: the server's caches must not know the next key.
        let mut orders = vec![self.readers.clone(); BATCHES];
        orders.iter_mut().for_each(|order| self.random.shuffle(order));
        let (before, begun) = (self.cpu_seconds()?, Instant::now());
        let (free, taken) = mpsc::sync_channel(IN_FLIGHT);
        let (orders, prefix) = (&orders, &self.prefix);
        std::thread::scope(|scope| -> Outcome<()> {
            let writer = scope.spawn(move || -> std::io::Result<()> {
                for order in orders {
                    for some in order.chunks(PIPELINE_COMMANDS) {
                        let mut pipeline = Vec::with_capacity(some.len() * 80);
                        for reader in some {
                            let key = format!("{prefix}:w:{reader}");
                            write!(pipeline, "*3\r\n$6\r\nAPPEND\r\n${}\r\n{key}\r\n$6\r\nabcdef\r\n", key.len())?;
                        }
                        if free.send(some.len()).is_err() {
                            return Ok(());
                        }
                        writing.write_all(&pipeline)?;
                    }
                }
                Ok(())
            });
            let (mut replies, mut buffer) = (0, vec![0; 64 * 1024]);
            while let Ok(expected) = taken.recv() {
                while replies < expected {
                    let read = reading.read(&mut buffer)?;
                    assert!(read > 0 && !buffer[..read].contains(&b'-'), "Redis refuses");
                    replies += buffer[..read].iter().filter(|&&byte| byte == b'\n').count();
                }
                replies -= expected;
            }
            writer.join().map_err(|_| "the writer panicked")??;
            Ok(())
        })?;
        let seconds = begun.elapsed().as_secs_f64();
        let appends = (BATCHES * READERS) as f64;
        let after = self.cpu_seconds()?;
        let (redis_seconds, our_seconds) = (after.0 - before.0, after.1 - before.1);
        Ok(Turn { deliveries: appends, appends, seconds, redis_seconds, our_seconds })
    }

    /// Bytes that Redis takes for an entry of windows with so many, keys and all, and the bytes of the strings alone.
    fn bytes_per_entry(&mut self, entries: f64) -> Outcome<(f64, f64)> {
        let (mut taken, mut long, some) = (0_u64, 0_u64, 1_000);
        for reader in &self.readers[..some] {
            let key = format!("{}:w:{reader}", self.prefix);
            taken += cmd("MEMORY").arg("USAGE").arg(&key).query::<u64>(&mut self.server)?;
            long += cmd("STRLEN").arg(&key).query::<u64>(&mut self.server)?;
        }
        let entries = some as f64 * entries;
        Ok((taken as f64 / entries, long as f64 / entries))
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn tell(name: &str, turns: &[Turn], raw: &[Turn]) {
    let of = |each: fn(&Turn) -> f64| median(turns.iter().map(each).collect());
    let ratios =
        turns.iter().zip(raw).map(|(turn, raw)| turn.deliveries / turn.seconds / (raw.deliveries / raw.seconds));
    println!(
        "{name:28} {:>10.0} deliveries/s  {:>9.0} appends/s  {:>9.0} appends/Redis CPU-s  {:>5.2} us of our CPU/append  \
         {:>5.2} of raw",
        of(|turn| turn.deliveries / turn.seconds),
        of(|turn| turn.appends / turn.seconds),
        of(|turn| turn.appends / turn.redis_seconds),
        of(|turn| 1e6 * turn.our_seconds / turn.appends),
        median(ratios.collect()),
    );
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Outcome<()> {
    let Ok(url) = std::env::var("TRIBUTARY_BENCH_REDIS") else {
        println!("skipped: TRIBUTARY_BENCH_REDIS is not set");
        return Ok(());
    };
    let mut world = World::new(url).await?;
    world.fill().await?;
    let (taken, long) = world.bytes_per_entry(WINDOW_ENTRIES as f64)?;
    println!("full windows as set: {taken:.2} bytes an entry ({long:.2} in the string)");
    let (mut raw, mut coalesced, mut single) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        raw.push(world.raw().await?);
        single.push(world.segments(1.0).await?);
        coalesced.push(world.segments(COALESCED).await?);
    }
    let appended = coalesced[TURNS - 1].deliveries / READERS as f64;
    let (taken, long) = world.bytes_per_entry(WINDOW_ENTRIES as f64 + appended)?;
    println!("with {BATCHES} segments behind: {taken:.2} bytes an entry ({long:.2} in the string)");
    tell("raw APPEND of one entry", &raw, &raw);
    tell("segments of one entry", &single, &raw);
    tell(&format!("segments of {COALESCED} entries"), &coalesced, &raw);
    world.shards.remove(&world.readers).await?;
    cmd("DEL").arg(format!("{}:tributary", world.prefix)).exec(&mut world.server)?;
    Ok(())
}

//! Two nodes over PostgreSQL, Kafka and three Redis: how soon a post that one acknowledged is seen on the other, and what
//! readers notice when a shard is lost.
//!
//! The services are those of `TRIBUTARY_TEST_POSTGRES`, `_KAFKA`, `_REDIS` and, to kill one, `_SERVICES`. `visible` or
//! `lost` as an argument runs that part alone. Two arms in one run: before the loss and after it.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tributary_engine::kafka::{Driver, KafkaLog, KafkaOptions, migrate as make_topic};
use tributary_engine::limits::WINDOW_ENTRIES;
use tributary_engine::model::{Command, Handle, Millis, Outcome, Position, PostId, UserId};
use tributary_engine::ports::{Clock, ImportedPost, ImportedUser, Store};
use tributary_engine::postgres::{PostgresOptions, PostgresStore, migrate};
use tributary_engine::read::{PageRequest, Source};
use tributary_engine::redis::{NodeOptions, RedisShards, Share, SlotMap};
use tributary_engine::timeline::{Signer, Window};
use tributary_engine::{CacheBytes, Engine, Options, Ports, Roles};

type Outcomes<T> = Result<T, Box<dyn Error + Send + Sync>>;

const READERS: usize = 100_000;
const AUTHORS: usize = 5_000;
const POSTS_EACH: usize = 40;
const FOLLOWEES: usize = 20;
/// Reads at the same time.
const CLIENTS: usize = 4;
const PHASE: Duration = Duration::from_secs(20);
const IDLE_POSTS: usize = 400;
const BUSY: Duration = Duration::from_secs(20);
/// Posts a second that are asked for.
const BUSY_RATE: u64 = 2_000;
const WRITERS: usize = 400;

/// Services of this run's own: a database, a topic and a key space.
struct World {
    url: String,
    admin: tokio_postgres::Client,
    database: String,
    topic: KafkaOptions,
    shards: Vec<String>,
    prefix: String,
}

impl World {
    async fn new() -> Outcomes<Option<Self>> {
        let variable = |name: &str| std::env::var(format!("TRIBUTARY_TEST_{name}"));
        let (Ok(server), Ok(kafka), Ok(redis)) = (variable("POSTGRES"), variable("KAFKA"), variable("REDIS")) else {
            println!("skipped: TRIBUTARY_TEST_POSTGRES, _KAFKA and _REDIS are not set");
            return Ok(None);
        };
        let name = format!("tributary_bench_{:x}", fastrand::u32(..));
        let (admin, connection) = tokio_postgres::connect(&server, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        admin.batch_execute(&format!("CREATE DATABASE {name}")).await?;
        let base = server.rsplit_once('/').ok_or("the URL names a database")?.0;
        let url = format!("{base}/{name}");
        migrate(&url, Clock::System).await?;
        let topic = KafkaOptions { brokers: vec![kafka], topic: name.clone(), partitions: 12, driver: Driver::Rdkafka };
        make_topic(&topic).await?;
        let shards = redis.split(',').map(str::to_owned).collect();
        Ok(Some(Self { url, admin, database: name.clone(), topic, shards, prefix: name.replace('_', "-") }))
    }

    async fn node(&self, roles: Roles, windows: u64) -> Outcomes<(Engine, Ports)> {
        let options = PostgresOptions { url: self.url.clone(), pool_size: 16 };
        let store = PostgresStore::connect(options, Clock::System).await?;
        let name = |n: usize| -> Box<str> { ["a", "b", "c"][n].into() };
        let shares = (0..self.shards.len()).map(|n| Share { name: name(n), weight: 1 }).collect();
        let nodes = self.shards.iter().enumerate().map(|(n, url)| NodeOptions { name: name(n), url: url.clone() });
        let shard = RedisShards::open(nodes.collect(), SlotMap::new(1, shares)?, &self.prefix).await?;
        let ports = Ports { store, log: KafkaLog::open(self.topic.clone()).await?, shard };
        let cache = CacheBytes { ring: 32 << 20, windows, streams: 64 << 20, views: 1 << 30, posts: 512 << 20 };
        let options = Options { roles, cache, signer: Signer::new(&[7; 32]), clock: Clock::System };
        Ok((Engine::start(ports.clone(), options).await?, ports))
    }

    async fn end(self) -> Outcomes<()> {
        self.admin.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.database)).await?;
        Ok(())
    }
}

/// The value below which `share` of the sorted values lie.
fn quantile(values: &mut [Duration], share: f64) -> f64 {
    values.sort_unstable();
    let place = ((values.len() as f64 * share) as usize).min(values.len().saturating_sub(1));
    values.get(place).map_or(f64::NAN, |value| value.as_secs_f64() * 1_000.0)
}

/// Waits until `node` has the post in its ring; how long that took.
async fn seen(node: &Engine, author: UserId, post: PostId) -> Duration {
    let begun = Instant::now();
    let tier = node.reads().tier;
    loop {
        let ring = &tier.ring;
        let recent = ring.snapshot().of_author(author.into(), ring.floor_position(), 64);
        if recent.is_ok_and(|recent| recent.ids.contains(&post)) || begun.elapsed() > Duration::from_secs(30) {
            return begun.elapsed();
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

async fn publish(node: &Engine, author: UserId) -> Outcomes<PostId> {
    let text = "a post of some length, as people write them".into();
    match node.execute(author, Command::Publish { text }, None).await?.outcome {
        Outcome::Posted { post, .. } => Ok(post.id),
        other => Err(format!("a publish came to {other:?}").into()),
    }
}

async fn visible(world: &World) -> Outcomes<()> {
    let (here, _) = world.node(Roles { api: true, worker: false }, 64 << 20).await?;
    let (there, _) = world.node(Roles { api: true, worker: true }, 64 << 20).await?;
    let mut authors = Vec::new();
    for n in 0..WRITERS {
        let handle: Handle = format!("w{n}").parse().map_err(|()| "a handle")?;
        authors.push(here.make_user(&handle, handle.as_str()).await?.card.id);
    }
    println!("| | posts a second | p50, ms | p99, ms |\n|---|---|---|---|");
    let mut times = Vec::new();
    for n in 0..IDLE_POSTS {
        let author = authors[n % authors.len()];
        let post = publish(&here, author).await?;
        times.push(seen(&there, author, post).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("| idle | – | {:.1} | {:.1} |", quantile(&mut times, 0.5), quantile(&mut times, 0.99));

    // An open loop: posts do not wait for each other's answers.
    let (begun, mut posting, mut watching) = (Instant::now(), JoinSet::new(), JoinSet::new());
    let mut pulse = tokio::time::interval(Duration::from_millis(5));
    let (mut asked, mut refused) = (0u64, 0u64);
    while begun.elapsed() < BUSY {
        pulse.tick().await;
        while asked < begun.elapsed().as_millis() as u64 * BUSY_RATE / 1_000 {
            let (node, author) = (here.clone(), authors[asked as usize % authors.len()]);
            let sampled = asked % 16 == 0;
            posting.spawn(async move { publish(&node, author).await.map(|post| (author, post, sampled)) });
            asked += 1;
        }
        while let Some(posted) = posting.try_join_next() {
            match posted? {
                Ok((author, post, true)) => {
                    let node = there.clone();
                    watching.spawn(async move { seen(&node, author, post).await });
                }
                Ok(_) => {}
                Err(_) => refused += 1,
            }
        }
    }
    let rate = (asked - posting.len() as u64 - refused) as f64 / begun.elapsed().as_secs_f64();
    while posting.join_next().await.is_some() {}
    let mut times = watching.join_all().await;
    println!(
        "| {BUSY_RATE} asked for, {refused} refused | {rate:.0} | {:.1} | {:.1} |",
        quantile(&mut times, 0.5),
        quantile(&mut times, 0.99)
    );
    here.stop().await;
    there.stop().await;
    Ok(())
}

/// A hundred thousand readers with a window in their shard and a checkpoint.
struct Crowd {
    readers: Vec<UserId>,
}

impl Crowd {
    async fn new(store: &dyn Store) -> Outcomes<(Self, Vec<Window>)> {
        let mut random = fastrand::Rng::with_seed(1);
        let at = Millis(1_790_000_000_000);
        let user = |n: usize| UserId::new(at, (n % 1_024) as u16, (n / 1_024) as u16);
        let users: Vec<ImportedUser> = (0..READERS)
            .map(|n| ImportedUser { id: user(n), handle: format!("u{n}").parse().expect("a handle") })
            .collect();
        for some in users.chunks(20_000) {
            store.import_users(some).await?;
        }
        let mut follows: Vec<(UserId, Vec<UserId>)> = Vec::with_capacity(READERS);
        for n in 0..READERS {
            let followees = std::iter::repeat_with(|| random.usize(..AUTHORS)).filter(|other| *other != n);
            let mut followees: Vec<usize> = followees.take(FOLLOWEES).collect();
            followees.sort_unstable();
            followees.dedup();
            follows.push((user(n), followees.into_iter().map(user).collect()));
        }
        for some in follows.chunks(20_000) {
            store.import_follows(some).await?;
        }
        let mut written: Vec<Vec<PostId>> = vec![Vec::new(); AUTHORS];
        let mut posts = Vec::with_capacity(AUTHORS * POSTS_EACH);
        for n in 0..POSTS_EACH {
            for (author, written) in written.iter_mut().enumerate() {
                let time = Millis(at.0 + 60_000 * n as u64 + random.u64(..60_000));
                let id = PostId::new(time, user(author).shard(), (author / 1_024) as u16);
                written.push(id);
                posts.push(ImportedPost { id, author: user(author), text: "a post as people write them".into() });
            }
        }
        for some in posts.chunks(50_000) {
            store.import_posts(some).await?;
        }
        let epoch = store.finish_import().await?;
        let stamp = store.view(user(0)).await?.stamp;
        let index: BTreeMap<UserId, usize> = (0..AUTHORS).map(|n| (user(n), n)).collect();
        let windows = follows.iter().map(|(_, followees)| {
            let mut entries: Vec<PostId> =
                followees.iter().flat_map(|followee| written[index[followee]].iter().copied()).collect();
            entries.sort_unstable_by(|a, b| b.cmp(a));
            let (floor, position) = (PostId::MIN, Position::ZERO);
            let mut window = Window { epoch, floor, position, stamp, entries };
            window.cap(WINDOW_ENTRIES);
            window
        });
        let windows = windows.collect();
        Ok((Self { readers: follows.into_iter().map(|(reader, _)| reader).collect() }, windows))
    }

    async fn fill(&self, ports: &Ports, windows: &[Window]) -> Outcomes<()> {
        let strings: Vec<(UserId, bytes::Bytes)> = self
            .readers
            .iter()
            .zip(windows)
            .map(|(&reader, window)| {
                let mut string = Vec::new();
                window.encode(&mut string);
                (reader, string.into())
            })
            .collect();
        for some in strings.chunks(500) {
            let sets = some.iter().map(|(reader, string)| ports.shard.set(*reader, string.clone()));
            for set in futures::future::join_all(sets).await {
                set?;
            }
            ports.store.save_checkpoints(some).await?;
        }
        Ok(())
    }
}

/// What reads took, and where their entries came from.
#[derive(Default)]
struct Reads {
    times: Vec<Duration>,
    sources: BTreeMap<&'static str, usize>,
    failed: usize,
}

impl Reads {
    async fn of(node: &Engine, crowd: &Arc<Crowd>, phase: Duration) -> Outcomes<Self> {
        let mut clients = JoinSet::new();
        for n in 0..CLIENTS {
            let (node, crowd) = (node.clone(), crowd.clone());
            clients.spawn(async move {
                let (mut random, until) = (fastrand::Rng::with_seed(n as u64), Instant::now() + phase);
                let mut reads = Self::default();
                while Instant::now() < until {
                    let reader = crowd.readers[random.usize(..crowd.readers.len())];
                    let begun = Instant::now();
                    match node.home(reader, &PageRequest { limit: 20, cursor: None }).await {
                        Ok(feed) => {
                            reads.times.push(begun.elapsed());
                            let from = feed.items.first().map_or(Source::Store, |item| item.from);
                            *reads.sources.entry(from.name()).or_default() += 1;
                        }
                        Err(_) => reads.failed += 1,
                    }
                }
                reads
            });
        }
        let mut all = Self::default();
        for reads in clients.join_all().await {
            all.times.extend(reads.times);
            all.failed += reads.failed;
            for (source, count) in reads.sources {
                *all.sources.entry(source).or_default() += count;
            }
        }
        Ok(all)
    }

    fn told(mut self, what: &str) -> f64 {
        let (count, p50) = (self.times.len(), quantile(&mut self.times, 0.5));
        let p99 = quantile(&mut self.times, 0.99);
        let share = |source: &str| 100.0 * *self.sources.get(source).unwrap_or(&0) as f64 / count.max(1) as f64;
        println!(
            "| {what} | {count} | {p50:.2} | {p99:.2} | {:.1} | {:.1} | {:.1} | {:.1} | {} |",
            share("l1"),
            share("shard"),
            share("checkpoint"),
            share("store"),
            self.failed
        );
        p99
    }
}

async fn view(node: &Engine, reader: UserId) -> bool {
    node.reads().tier.view(reader).await.is_ok()
}

async fn lost(world: &World) -> Outcomes<()> {
    let options = PostgresOptions { url: world.url.clone(), pool_size: 16 };
    let store = PostgresStore::connect(options, Clock::System).await?;
    let (crowd, windows) = Crowd::new(&*store).await?;
    // L1 holds next to nothing: what is measured is the tier below it.
    let (node, ports) = world.node(Roles { api: true, worker: false }, 1 << 20).await?;
    crowd.fill(&ports, &windows).await?;
    let crowd = Arc::new(crowd);
    // Views and posts are warm before, as they are on a node that has run for a while.
    let begun = Instant::now();
    for some in crowd.readers.chunks(64) {
        futures::future::join_all(some.iter().map(|&reader| view(&node, reader))).await;
    }
    println!("{READERS} views loaded in {:.0} s\n", begun.elapsed().as_secs_f64());
    Reads::of(&node, &crowd, PHASE / 2).await?;
    println!(
        "| | reads | p50, ms | p99, ms | l1 % | shard % | checkpoint % | store % | failed |\n|---|---|---|---|---|---|---|---|---|"
    );
    let before = Reads::of(&node, &crowd, PHASE).await?.told("before");
    let client = redis::Client::open(world.shards[0].as_str())?;
    let mut server = client.get_multiplexed_async_connection().await?;
    redis::cmd("FLUSHALL").exec_async(&mut server).await?;
    let emptied = Reads::of(&node, &crowd, PHASE).await?.told("one of three shards emptied");
    crowd.fill(&ports, &windows).await?;
    let mut down = f64::NAN;
    if let Ok(folder) = std::env::var("TRIBUTARY_TEST_SERVICES") {
        let native = |what: &str| {
            let command = ["compose/native.py", "--folder", &folder, what, "redis-a"].map(str::to_owned);
            std::process::Command::new("python3").args(command).current_dir(root()).status()
        };
        native("kill")?;
        down = Reads::of(&node, &crowd, PHASE).await?.told("one of three shards down");
        native("start")?;
    }
    println!("\np99 against before: {:.2} emptied, {:.2} down (goal: at most 3)", emptied / before, down / before);
    node.stop().await;
    Ok(())
}

fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

async fn run() -> Outcomes<()> {
    let asked = |part: &str| {
        let parts: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
        parts.is_empty() || parts.iter().any(|asked| asked == part)
    };
    for (part, name) in [(0, "visible"), (1, "lost")] {
        if !asked(name) {
            continue;
        }
        let Some(world) = World::new().await? else { return Ok(()) };
        println!("\n{name}\n");
        let done = if part == 0 { visible(&world).await } else { lost(&world).await };
        world.end().await?;
        done?;
    }
    Ok(())
}

fn main() -> Outcomes<()> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(run())
}

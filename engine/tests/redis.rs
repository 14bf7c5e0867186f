//! The Shard port over real servers: the suite of the port, what is left behind, and what a dead server costs.
//!
//! Wants `TRIBUTARY_TEST_REDIS`, three URLs with commas between. What stops, pauses or refuses is a server that the
//! test starts itself, so `redis-server` must be installed as well.

mod redis_servers;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use redis::cmd;
use redis_servers::{Server, Space, shared_urls};
use tributary_engine::limits::{WINDOW_STRING_BYTES, WINDOW_TTL};
use tributary_engine::model::UserId;
use tributary_engine::ports::{SegmentBatch, Shard};
use tributary_engine::redis::{NodeOptions, OpenError, RedisShards, Share, SharedRates, SlotMap};
use tributary_engine::testkit::contract;
use tributary_engine::testkit::faulty::{Faults, FaultyShard};

/// Long enough for anything that does not hang.
const PATIENCE: Duration = Duration::from_secs(20);

fn map(version: u64, weights: &[u32]) -> SlotMap {
    let share = |(n, &weight): (usize, &u32)| Share { name: name(n), weight };
    SlotMap::new(version, weights.iter().enumerate().map(share).collect()).expect("a map")
}

fn name(n: usize) -> Box<str> {
    ["a", "b", "c"][n].into()
}

async fn open(urls: &[String], weights: &[u32], prefix: &str) -> Result<Arc<RedisShards>, OpenError> {
    let nodes = urls.iter().enumerate().map(|(n, url)| NodeOptions { name: name(n), url: url.clone() }).collect();
    RedisShards::open(nodes, map(1, weights), prefix).await
}

fn batch(segments: &[(UserId, &[u8])]) -> SegmentBatch {
    let mut batch = SegmentBatch::default();
    for (reader, bytes) in segments {
        batch.push(*reader, |out| out.extend_from_slice(bytes));
    }
    batch
}

/// Ids as far apart as a real world's.
fn readers(count: u64) -> Vec<UserId> {
    (1..=count).map(|n| UserId(n * 0x3_0000_1003)).collect()
}

async fn until(what: &str, mut happens: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !happens().await {
        assert!(begun.elapsed() < PATIENCE, "{what} does not happen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_keeps_the_laws_of_shards_on_one_server_and_on_three() {
    let Some(urls) = shared_urls() else { return };
    for (count, weights) in [(1, &[1][..]), (3, &[1, 5, 2])] {
        let spaces = RefCell::new(Vec::new());
        contract::shard::run(async || {
            let space = Space::new(&urls[..count]);
            let shards = open(&urls[..count], weights, &space.prefix).await.expect("the servers are there");
            spaces.borrow_mut().push(space);
            shards as Arc<dyn Shard>
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_redis_switched_off_keeps_the_laws_of_shards() {
    let Some(urls) = shared_urls() else { return };
    let faults = Faults::new(fastrand::u64(..));
    faults.set_all(1.0);
    faults.switch(false);
    let spaces = RefCell::new(Vec::new());
    contract::shard::run(async || {
        let space = Space::new(&urls);
        let shards = open(&urls, &[1, 1, 1], &space.prefix).await.expect("the servers are there");
        spaces.borrow_mut().push(space);
        Arc::new(FaultyShard::new(shards, faults.clone())) as Arc<dyn Shard>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_without_a_window_leave_nothing_behind() {
    let Some(urls) = shared_urls() else { return };
    let mut space = Space::new(&urls);
    let shards = open(&urls, &[1, 1, 1], &space.prefix).await.unwrap();
    let (all, mut segments) = (readers(10_000), SegmentBatch::default());
    for &reader in all.iter().step_by(100) {
        shards.set(reader, Bytes::from_static(b"fill")).await.unwrap();
    }
    // Some get several, next to each other and in pipelines far apart.
    for _ in 0..2 {
        for (n, &reader) in all.iter().enumerate() {
            for _ in 0..=n % 3 {
                segments.push(reader, |out| out.extend_from_slice(b"+segment"));
            }
        }
    }
    shards.append(&segments).await.unwrap();
    assert_eq!(space.windows().len(), all.len() / 100);
    for (n, &reader) in all.iter().enumerate().step_by(100) {
        let string = shards.read(reader).await.unwrap().expect("a window with its fill stays");
        assert_eq!(string.len(), 4 + 8 * 2 * (n % 3 + 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_string_over_its_bound_is_dropped() {
    let Some(urls) = shared_urls() else { return };
    let mut space = Space::new(&urls[..1]);
    let shards = open(&urls[..1], &[1], &space.prefix).await.unwrap();
    let reader = UserId(1);
    let full = Bytes::from(vec![0; WINDOW_STRING_BYTES]);
    shards.set(reader, full.clone()).await.unwrap();
    shards.append(&batch(&[(reader, b"")])).await.unwrap();
    assert_eq!(shards.read(reader).await.unwrap(), Some(full.clone()));
    shards.append(&batch(&[(reader, b"x"), (reader, b"y")])).await.unwrap();
    assert_eq!((shards.read(reader).await.unwrap(), space.windows().len()), (None, 0));
    shards.set(reader, full).await.unwrap();
    shards.set(reader, vec![0; WINDOW_STRING_BYTES + 1].into()).await.unwrap();
    assert_eq!((shards.read(reader).await.unwrap(), space.windows().len()), (None, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_readers_renew_a_windows_time_to_live() {
    let Some(urls) = shared_urls() else { return };
    let mut space = Space::new(&urls[..1]);
    let shards = open(&urls[..1], &[1], &space.prefix).await.unwrap();
    let (reader, whole) = (UserId(5), WINDOW_TTL.as_secs() as i64);
    let key = format!("{}:w:{reader}", space.prefix);
    shards.set(reader, Bytes::from_static(b"fill")).await.unwrap();
    assert!((whole - 60..=whole).contains(&space.ask(cmd("TTL").arg(&key))));
    let _: i64 = space.ask(cmd("EXPIRE").arg(&key).arg(1_000));
    shards.append(&batch(&[(reader, b"+")])).await.unwrap();
    assert!(space.ask::<i64>(cmd("TTL").arg(&key)) <= 1_000);
    assert_eq!(shards.read(reader).await.unwrap().as_deref(), Some(&b"fill+"[..]));
    assert!((whole - 60..=whole).contains(&space.ask(cmd("TTL").arg(&key))));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_popular_posts_have_a_time_to_live_and_their_key_is_ours() {
    let Some(urls) = shared_urls() else { return };
    let mut space = Space::new(&urls[..1]);
    let shards = open(&urls[..1], &[1], &space.prefix).await.unwrap();
    shards.set_popular(Bytes::from_static(b"popular")).await.unwrap();
    let (key, whole) = (format!("{}:popular", space.prefix), WINDOW_TTL.as_secs() as i64);
    assert!((whole - 60..=whole).contains(&space.ask(cmd("TTL").arg(&key))));
    let _: () = space.ask(cmd("DEL").arg(format!("{}:tributary", space.prefix)));
    let again = open(&urls[..1], &[1], &space.prefix).await.expect("a server that lost its mark is still ours");
    assert_eq!(again.read_popular().await.unwrap().as_deref(), Some(&b"popular"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_removes_strings_without_a_fill_and_keeps_windows() {
    let Some(urls) = shared_urls() else { return };
    let mut space = Space::new(&urls[..1]);
    let shards = open(&urls[..1], &[1], &space.prefix).await.unwrap();
    for reader in readers(2_000) {
        if reader.0 % 2 == 0 {
            shards.set(reader, Bytes::from_static(b"fill")).await.unwrap();
        } else {
            let _: i64 = space.ask(cmd("APPEND").arg(format!("{}:w:{reader}", space.prefix)).arg("+"));
            assert_eq!(shards.read(reader).await.unwrap(), None, "without a time to live it is no window");
        }
    }
    assert_eq!(space.windows().len(), 2_000);
    shards.sweep().await.unwrap();
    assert_eq!(space.windows().len(), 1_000);
    let marker: Option<String> = space.ask(cmd("GET").arg(format!("{}:tributary", space.prefix)));
    assert_eq!(marker.as_deref(), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_map_moves_readers_and_a_sweep_clears_what_they_left() {
    let Some(urls) = shared_urls() else { return };
    let mut space = Space::new(&urls);
    let shards = open(&urls, &[1, 1, 1], &space.prefix).await.unwrap();
    let all = readers(2_000);
    for &reader in &all {
        shards.set(reader, Bytes::from_static(b"fill")).await.unwrap();
    }
    let (before, after) = (shards.map(), map(2, &[1, 1, 4]));
    let moved = before.moved(&after);
    shards.set_map(after.clone()).unwrap();
    assert_eq!(shards.map(), after);
    let mut kept = 0;
    for &reader in &all {
        let is_there = shards.read(reader).await.unwrap().is_some();
        assert_eq!(is_there, !moved.contains(&reader.slot()), "{reader}");
        kept += usize::from(is_there);
    }
    assert!(kept < all.len() && kept > all.len() / 3);
    shards.sweep().await.unwrap();
    assert_eq!(space.windows().len(), kept);
    let two = SlotMap::new(3, vec![Share { name: "a".into(), weight: 1 }, Share { name: "x".into(), weight: 1 }]);
    let error = shards.set_map(two.unwrap()).unwrap_err().to_string();
    assert!(error.contains("has the shards a, x, the configuration has a, b, c"), "{error}");
    assert_eq!(shards.map().version(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_server_costs_no_wait_after_the_first_and_the_others_go_on() {
    if shared_urls().is_none() {
        return;
    }
    let servers = [Server::start(&[]), Server::start(&[])];
    let urls = servers.each_ref().map(Server::url);
    let shards = open(&urls, &[1, 1], "test").await.unwrap();
    let all = readers(200);
    for &reader in &all {
        shards.set(reader, Bytes::from_static(b"fill")).await.unwrap();
    }
    assert!(shards.states().iter().all(|state| state.up));
    servers[0].signal("STOP");
    let segments: Vec<(UserId, &[u8])> = all.iter().map(|&reader| (reader, &b"+"[..])).collect();
    let error = shards.append(&batch(&segments)).await.unwrap_err().to_string();
    assert!(error.contains("a: ") && !error.contains("b: "), "{error}");
    until("the breaker opens", async || {
        let _ = shards.read(all[0]).await;
        let _ = shards.read(all[1]).await;
        let _ = shards.append(&batch(&segments)).await;
        !shards.states()[0].up
    })
    .await;
    // A call that waited would take a fifth of a second: two hundred readers, ten times each, minutes.
    let (begun, mut read) = (Instant::now(), 0);
    for _ in 0..10 {
        for &reader in &all {
            read += u32::from(shards.read(reader).await.is_ok_and(|string| string.is_some()));
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!((500..1_500).contains(&read), "{read}: the other server's readers are served");
    assert!(shards.states()[1].up);
    servers[0].signal("CONT");
    until("the breaker closes", async || shards.states()[0].up).await;
    for &reader in &all {
        assert!(shards.read(reader).await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_down_at_the_start_or_restarted_empty_works_again() {
    if shared_urls().is_none() {
        return;
    }
    let mut server = Server::start(&[]);
    let urls = [server.url()];
    server.kill();
    let begun = Instant::now();
    let shards = open(&urls, &[1], "test").await.expect("a server that is away is no reason not to start");
    assert!(begun.elapsed() < PATIENCE / 2);
    let reader = UserId(7);
    for _ in 0..2 {
        assert!(!shards.states()[0].up);
        assert!(shards.read(reader).await.is_err());
        server.restart();
        until("the breaker closes", async || shards.states()[0].up).await;
        assert_eq!(shards.read(reader).await.unwrap(), None);
        shards.set(reader, Bytes::from_static(b"fill")).await.unwrap();
        shards.append(&batch(&[(reader, b"+")])).await.unwrap();
        assert_eq!(shards.read(reader).await.unwrap().as_deref(), Some(&b"fill+"[..]));
        server.kill();
        until("the breaker opens", async || shards.read(reader).await.is_err() && !shards.states()[0].up).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_an_operator_can_mend_is_told_at_the_start_with_the_setting() {
    let Some(urls) = shared_urls() else { return };
    let error = async |url: &str, prefix: &str| match open(&[url.to_owned()], &[1], prefix).await {
        Ok(_) => panic!("{prefix} opens"),
        Err(error) => error.to_string(),
    };
    let locked = Server::start(&["--requirepass", "secret-1"]);
    for (url, _) in [(locked.url(), ""), (locked.url().replace("://", "://:secret-2@"), "wrong")] {
        let error = error(&url, "test").await;
        assert!(error.contains("[[shard]] name = \"a\"") && error.contains("password"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
    let shards = open(&[locked.url().replace("://", "://:secret-1@") + "/3"], &[1], "test").await.unwrap();
    shards.set(UserId(1), Bytes::from_static(b"fill")).await.unwrap();
    shards.append(&batch(&[(UserId(1), b"+")])).await.unwrap();
    assert_eq!(shards.read(UserId(1)).await.unwrap().as_deref(), Some(&b"fill+"[..]), "appends sign in too");

    let mut space = Space::new(&urls[..1]);
    let _: () = space.ask(cmd("SET").arg(format!("{}:something", space.prefix)).arg(1));
    let foreign = error(&urls[0], &space.prefix).await;
    assert!(foreign.contains("[[shard]] name = \"a\": foreign data under our keys"), "{foreign}");
    let _: () = space.ask(cmd("DEL").arg(format!("{}:something", space.prefix)));
    let _: () = space.ask(cmd("SADD").arg(format!("{}:w:17", space.prefix)).arg(1));
    assert!(error(&urls[0], &space.prefix).await.contains("foreign data"));
    let _: () = space.ask(cmd("SET").arg(format!("{}:w:17", space.prefix)).arg(1));
    open(&urls[..1], &[1], &space.prefix).await.expect("windows in our form are ours");
    let _: () = space.ask(cmd("SET").arg(format!("{}:tributary", space.prefix)).arg("0"));
    assert!(error(&urls[0], &space.prefix).await.contains("says \"0\", not \"1\""));

    assert!(error("rediss://:secret@localhost", "test").await.contains("TLS"));
    for url in ["http://:secret@localhost", "localhost", ""] {
        let error = error(url, "test").await;
        assert!(error.contains("`url` is not a Redis URL") && !error.contains("secret@"), "{error}");
    }
    assert!(error(&urls[0], "a:b").await.contains("key prefix"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_share_a_rate_and_decide_alone_when_redis_is_away() {
    if shared_urls().is_none() {
        return;
    }
    let mut server = Server::start(&[]);
    let (one, other) = (open(&[server.url()], &[1], "test").await, open(&[server.url()], &[1], "test").await);
    let rates = [SharedRates::new(one.unwrap()), SharedRates::new(other.unwrap())];
    let (cost, burst) = (Duration::from_secs(10), Duration::from_secs(200));
    let mut passed = 0;
    let mut told = 0;
    let begun = Instant::now();
    while told < 60 {
        assert!(begun.elapsed() < PATIENCE, "Redis does not tell");
        // On a busy machine five milliseconds may be too short now and then.
        match rates[told % 2].charge(b"ann", cost, burst).await {
            Some(Ok(left)) => {
                assert!(left <= burst - cost, "{left:?}");
                (passed, told) = (passed + 1, told + 1);
            }
            Some(Err(wait)) => {
                assert!(wait <= cost && wait > Duration::ZERO, "{wait:?}");
                told += 1;
            }
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    // A charge may have been counted whose answer came too late.
    assert!((15..=21).contains(&passed), "{passed}");
    let alone = Some(Ok(burst - cost));
    until("another caller pays alone", async || rates[0].charge(b"ben", cost, burst).await == alone).await;
    // Who comes late enough passes again: a burst of one, 30 ms each.
    let cost = Duration::from_millis(30);
    let passes = Some(Ok(Duration::ZERO));
    until("the rate lets one pass", async || rates[0].charge(b"cat", cost, cost).await == passes).await;
    until("the rate refuses", async || matches!(rates[1].charge(b"cat", cost, cost).await, Some(Err(_)))).await;
    until("the rate lets one pass again", async || rates[1].charge(b"cat", cost, cost).await == passes).await;
    server.restart();
    until("the restarted server counts", async || rates[0].charge(b"ann", cost, cost).await == passes).await;
    server.kill();
    assert_eq!(rates[0].charge(b"ann", cost, cost).await, None);
}

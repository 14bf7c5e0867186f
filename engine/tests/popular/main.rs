//! The popular posts of two nodes over one store, compared with the likes that the truth counts; and what a node makes
//! up for that did not hear of them. Also over Redis, where `TRIBUTARY_TEST_REDIS` names three servers.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test stops at what it did not expect, and tells what it did"
)]

#[allow(dead_code, reason = "servers of its own are for other tests")]
#[path = "../redis_servers/mod.rs"]
mod redis_servers;
mod world;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis_servers::{Space, shared_urls};
use tributary_engine::embedded::EmbeddedLog;
use tributary_engine::limits::POPULAR_POSTS;
use tributary_engine::model::{Command, PostId};
use tributary_engine::ports::{Clock, Shard};
use tributary_engine::read::{PageRequest, ReadError};
use tributary_engine::redis::{NodeOptions, RedisShards, Share, SlotMap};
use tributary_engine::testkit::faulty::Fault;
use tributary_engine::{Engine, Ports};
use world::{LONG_RING, USERS, World, in_process, options};

const WORLDS: u64 = 8;
const OPERATIONS: usize = 1_500;

#[tokio::test]
async fn the_popular_posts_are_those_of_the_decayed_likes() {
    let start = fastrand::u64(..) >> 16;
    for seed in start..start + WORLDS {
        println!("seed {seed}");
        let mut world = World::new(seed, in_process()).await;
        world.start_node(LONG_RING).await;
        let probability = [0.0, 0.3][world.random.usize(..2)];
        world.faults.set_all(probability);
        for _ in 0..OPERATIONS {
            world.step().await;
        }
        for node in 0..2 {
            world.compare(node).await;
        }
        println!("{} posts, {} rankings equal", world.posts.len(), world.compared);
        assert!(world.compared > 50 && world.posts.len() > 80);
    }
}

/// Shards to hold the copy: in process, and Redis where there is some.
async fn shards() -> Vec<(Arc<dyn Shard>, Option<Space>)> {
    let mut shards = vec![(in_process(), None)];
    if let Some(urls) = shared_urls() {
        let space = Space::new(&urls);
        let node = |(name, url): (&str, &String)| NodeOptions { name: name.into(), url: url.clone() };
        let share = |name: &str| Share { name: name.into(), weight: 1 };
        let names = ["a", "b", "c"];
        let map = SlotMap::new(1, names.map(share).to_vec()).unwrap();
        let nodes = names.into_iter().zip(&urls).map(node).collect();
        let redis = RedisShards::open(nodes, map, &space.prefix).await.unwrap();
        shards.push((redis as Arc<dyn Shard>, Some(space)));
    }
    shards
}

#[tokio::test]
async fn a_node_that_the_log_tells_nothing_has_the_ranking_from_another_and_counts_anew() {
    for (shard, _space) in shards().await {
        let mut world = World::new(1, shard).await;
        for n in 0..30 {
            world.publish(1 + n % USERS).await;
        }
        world.nodes[0].follower.warm().await.unwrap();
        assert!(world.copy(0).await);
        // After the copy was made, some are liked no longer, and one is removed.
        for n in 0..USERS {
            world.execute(0, world.users[n], Command::Unlike { post: world.posts[29] }).await;
            world.execute(0, world.users[n], Command::Remove { post: world.posts[28] }).await;
        }
        world.execute(0, world.users[11], Command::Like { post: world.posts[0] }).await;
        world.nodes[0].follower.warm().await.unwrap();
        world.trim_log().await;
        world.start_node(LONG_RING).await;
        assert!(world.pages(1, None, 100).await.is_empty());
        assert!(world.copy(1).await);
        world.compare(1).await;
        assert_eq!(world.pages(1, None, 100).await.len(), 28);
        assert!(world.copy(0).await && world.copy(1).await);
        world.compare(0).await;
    }
}

#[tokio::test]
async fn a_node_that_cannot_read_the_copy_serves_what_it_knows_and_does_not_write_it() {
    let mut world = World::new(2, in_process()).await;
    for _ in 0..10 {
        world.publish(3).await;
    }
    world.nodes[0].follower.warm().await.unwrap();
    assert!(world.copy(0).await);
    world.trim_log().await;
    world.start_node(LONG_RING).await;
    let own = world.publish(5).await;
    world.faults.set(Fault::ShardUnavailable, 1.0);
    world.nodes[1].follower.warm().await.unwrap();
    assert!(!world.copy(1).await);
    assert_eq!(world.pages(1, None, 100).await, [own]);
    world.faults.switch(false);
    world.faults.set(Fault::ShardReplyLost, 1.0);
    let before = world.shard.read_popular().await.unwrap();
    world.faults.switch(true);
    world.faults.set(Fault::ShardUnavailable, 0.0);
    assert!(!world.copy(1).await, "what was read is not known");
    world.faults.switch(false);
    assert_eq!(world.shard.read_popular().await.unwrap(), before);
    assert!(world.copy(1).await);
    world.compare(1).await;
    assert_eq!(world.pages(1, None, 100).await.len(), 11);
}

#[tokio::test]
async fn a_node_that_skipped_a_part_of_the_log_makes_up_for_it() {
    let mut world = World::new(3, in_process()).await;
    let old = world.publish(2).await;
    world.start_node(40).await;
    assert!(world.copy(1).await);
    world.execute(0, world.users[2], Command::Like { post: old }).await;
    for _ in 0..20 {
        world.publish(6).await;
    }
    world.nodes[0].follower.warm().await.unwrap();
    assert!(world.copy(0).await);
    world.trim_log().await;
    world.nodes[1].follower.warm().await.unwrap();
    assert_eq!(world.pages(1, None, 100).await, [old]);
    assert!(world.copy(1).await);
    world.compare(1).await;
    assert_eq!(world.pages(1, None, 100).await.len(), 21);
}

#[tokio::test]
async fn whatever_the_copy_holds_is_harmless() {
    let mut world = World::new(4, in_process()).await;
    let post = world.publish(1).await;
    for string in [&b""[..], b"\xff", &[0xff; 100], &[1; 30_000], b"\x05\x09\x09"] {
        world.shard.set_popular(bytes::Bytes::copy_from_slice(string)).await.unwrap();
        world.start_node(LONG_RING).await;
        let node = world.nodes.len() - 1;
        assert!(world.copy(node).await, "{string:?}");
        assert_eq!(world.pages(node, None, 100).await, [post]);
    }
}

#[tokio::test]
async fn a_ranking_has_500_posts_and_its_cursor_is_good_for_its_list_and_key_alone() {
    let mut world = World::new(5, in_process()).await;
    for _ in 0..POPULAR_POSTS + 20 {
        world.clock.fetch_add(30_000, Ordering::Relaxed);
        world.publish(1).await;
    }
    world.nodes[0].follower.warm().await.unwrap();
    let newest: Vec<PostId> = world.posts.iter().rev().take(POPULAR_POSTS).copied().collect();
    assert_eq!(world.pages(0, None, 100).await, newest);
    let reads = &world.nodes[0].reads;
    let first = reads.popular(None, &PageRequest { limit: 1, cursor: None }).await.unwrap().next.unwrap();
    println!("a cursor of {} posts of the last four hours has {} characters", POPULAR_POSTS - 1, first.len());
    let ask = async |cursor: String| reads.popular(None, &PageRequest { limit: 1, cursor: Some(cursor) }).await;
    assert!(ask(first.clone()).await.is_ok());
    for at in (0..first.len()).step_by(97).chain([first.len() - 1]) {
        let mut changed = first.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let refused = ask(String::from_utf8(changed).unwrap()).await;
        assert!(matches!(refused, Err(ReadError::BadCursor)), "{at}");
    }
    let posts_of = PageRequest { limit: 1, cursor: Some(first) };
    let refused = reads.posts_of(world.users[0], world.users[0], &posts_of).await;
    assert!(matches!(refused, Err(ReadError::BadCursor)));
}

/// A node that runs makes its copy without being asked.
#[tokio::test]
async fn a_running_node_makes_the_copy() {
    let mut world = World::new(6, in_process()).await;
    let post = world.publish(1).await;
    let ports = Ports {
        store: world.store.clone(),
        log: Arc::new(EmbeddedLog::new(world.store.clone())),
        shard: world.shard.clone(),
    };
    let engine = Engine::start(ports, options(1_000, Clock::System)).await.unwrap();
    let copied = async {
        while world.shard.read_popular().await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), copied).await.expect("it is copied");
    let page = engine.popular(None, &PageRequest { limit: 20, cursor: None }).await.unwrap();
    assert_eq!(page.items.iter().map(|post| post.id()).collect::<Vec<_>>(), [post]);
    engine.stop().await;
}

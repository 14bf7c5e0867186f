//! The popular posts of two nodes over one store, compared with the likes that the truth counts; and what a node makes
//! up for that did not hear of them. Also over Redis, where `TRIBUTARY_TEST_REDIS` names three servers.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test stops at what it did not expect, and tells what it did"
)]

#[allow(dead_code, reason = "servers of its own are for other tests")]
mod redis_servers;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis_servers::{Space, shared_urls};
use tempfile::TempDir;
use tributary_engine::embedded::{EmbeddedLog, EmbeddedStore, ProcessShard};
use tributary_engine::limits::{POPULAR_HALF_LIFE, POPULAR_POSTS};
use tributary_engine::model::{Command, Handle, Millis, Outcome, Position, PostId, UserId};
use tributary_engine::ports::{Clock, Removable, Shard, Store};
use tributary_engine::read::{PageRequest, ReadError};
use tributary_engine::recent::BYTES_PER_ENTRY;
use tributary_engine::redis::{NodeOptions, RedisShards, Share, SlotMap};
use tributary_engine::testkit::Truth;
use tributary_engine::testkit::faulty::{Fault, Faults, FaultyShard};
use tributary_engine::work::PopularCopy;
use tributary_engine::{CacheBytes, Engine, Options, Parts, Ports, Roles};

const WORLDS: u64 = 8;
const OPERATIONS: usize = 1_500;
const USERS: usize = 12;
/// A ring that holds every event of these tests.
const LONG_RING: usize = 100_000;

struct World {
    random: fastrand::Rng,
    truth: Truth,
    users: Vec<UserId>,
    posts: Vec<PostId>,
    nodes: Vec<Parts>,
    store: Arc<EmbeddedStore>,
    shard: Arc<dyn Shard>,
    faults: Arc<Faults>,
    clock: Arc<AtomicU64>,
    compared: usize,
    _folder: TempDir,
}

fn in_process() -> Arc<dyn Shard> {
    Arc::new(ProcessShard::new(1 << 20, Clock::System))
}

fn options(ring_entries: usize, clock: Clock) -> Options {
    let cache = CacheBytes {
        ring: BYTES_PER_ENTRY * ring_entries,
        windows: 1 << 20,
        streams: 1 << 20,
        views: 1 << 20,
        posts: 1 << 20,
    };
    Options { roles: Roles { api: true, worker: true }, cache, cursor_key: [7; 32], clock }
}

impl World {
    async fn new(seed: u64, shard: Arc<dyn Shard>) -> Self {
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let clock = Arc::new(AtomicU64::new(1_790_000_000_000));
        let store = EmbeddedStore::open(folder.path(), Clock::Manual(clock.clone())).unwrap();
        let faults = Faults::new(seed);
        let mut world = Self {
            random: fastrand::Rng::with_seed(seed),
            truth: Truth::new(),
            users: Vec::new(),
            posts: Vec::new(),
            nodes: Vec::new(),
            store,
            shard: Arc::new(FaultyShard::new(shard, faults.clone())),
            faults,
            clock,
            compared: 0,
            _folder: folder,
        };
        for n in 0..USERS {
            let handle: Handle = format!("u{n}").parse().unwrap();
            let user = world.store.make_user(&handle, handle.as_str()).await.unwrap().card.id;
            world.truth.make_user(user, &handle, handle.as_str());
            world.users.push(user);
        }
        world.start_node(LONG_RING).await;
        world
    }

    async fn start_node(&mut self, ring_entries: usize) {
        let log = Arc::new(EmbeddedLog::new(self.store.clone()));
        let options = options(ring_entries, Clock::Manual(self.clock.clone()));
        let parts = Parts::assemble(self.store.clone(), log, self.shard.clone(), &options).await.unwrap();
        self.nodes.push(parts);
    }

    /// The copy of a node is read or made.
    async fn copy(&self, node: usize) -> bool {
        PopularCopy::new(self.nodes[node].reads.tier.clone(), self.shard.clone()).step().await.is_ok()
    }

    fn user(&mut self) -> UserId {
        self.users[self.random.usize(..USERS)]
    }

    async fn execute(&mut self, node: usize, actor: UserId, command: Command) {
        let committed = self.nodes[node].commands.execute(actor, command.clone(), None).await;
        match (self.truth.predict(actor, &command), committed) {
            (Ok(()), Ok(committed)) => {
                if let Outcome::Posted { post, .. } = &committed.outcome {
                    self.posts.push(post.id);
                }
                self.truth.apply(actor, &command, &committed.outcome);
            }
            (predicted, committed) => assert!(predicted.is_err() && committed.is_err(), "{actor:?} {command:?}"),
        }
    }

    async fn publish(&mut self, likes: usize) -> PostId {
        let author = self.user();
        self.execute(0, author, Command::Publish { text: "text".into() }).await;
        let post = *self.posts.last().unwrap();
        for n in 0..likes {
            self.execute(0, self.users[n], Command::Like { post }).await;
        }
        post
    }

    async fn command(&mut self, node: usize) {
        let (actor, user) = (self.user(), self.user());
        let recent = self.posts.len().min(40);
        let post = match self.random.u8(..3) {
            _ if recent == 0 => PostId(1),
            0 => self.posts[self.random.usize(..self.posts.len())],
            _ => self.posts[self.posts.len() - 1 - self.random.usize(..recent)],
        };
        let command = match self.random.u32(0..100) {
            0..15 => Command::Publish { text: "text".into() },
            15..70 => Command::Like { post },
            70..85 => Command::Unlike { post },
            85..92 => Command::Remove { post },
            92..94 => Command::Mute { user },
            94..96 => Command::Unmute { user },
            96..98 => Command::Block { user },
            _ => Command::Unblock { user },
        };
        self.execute(node, actor, command).await;
    }

    /// A node takes some of what is logged, beginning with what it has already.
    async fn follow_some(&mut self, node: usize) {
        self.store.number_events(0).await.unwrap();
        let position = self.nodes[node].reads.tier.ring.position();
        let (_, mut events) = self.store.events(position, 1_000).await.unwrap();
        events.truncate(self.random.usize(..=events.len()));
        let again = self.random.u64(..=position.0.min(50));
        let (_, old) = self.store.events(Position(position.0 - again), again as usize).await.unwrap();
        let told: Vec<_> = old.into_iter().chain(events).collect();
        self.nodes[node].follower.take(&told).await.unwrap();
    }

    fn visible(&self, caller: Option<UserId>, post: PostId) -> bool {
        let Some(found) = self.truth.post(post) else { return false };
        let seen = |caller| {
            !self.truth.mutes(caller).contains(&found.author.id) && self.truth.visible_post(caller, post).is_some()
        };
        caller.is_none_or(seen)
    }

    /// What a like decays to, as the docs say it.
    fn worth(&self, post: PostId) -> f64 {
        let age_ms = self.clock.load(Ordering::Relaxed) as f64 - post.created_at().0 as f64;
        self.truth.likes(post) as f64 * 0.5_f64.powf(age_ms / POPULAR_HALF_LIFE.as_millis() as f64)
    }

    async fn pages(&self, node: usize, caller: Option<UserId>, limit: usize) -> Vec<PostId> {
        let (mut told, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.nodes[node].reads.popular(caller, &PageRequest { limit, cursor }).await.unwrap();
            told.extend(page.items.iter().map(|post| post.id()));
            cursor = page.next;
            if cursor.is_none() {
                return told;
            }
            assert_eq!(page.items.len(), limit, "a page is full unless next is null");
        }
    }

    async fn compare(&mut self, node: usize) {
        self.nodes[node].follower.warm().await.unwrap();
        let caller = Some(self.user()).filter(|_| self.random.bool());
        let limit = [1, 7, 100][self.random.usize(..3)];
        let told = self.pages(node, caller, limit).await;
        let liked = |post: &PostId| self.truth.likes(*post) > 0 && self.visible(caller, *post);
        let expected: HashSet<PostId> = self.truth.post_ids().into_iter().filter(liked).collect();
        assert_eq!(told.iter().copied().collect::<HashSet<_>>(), expected, "of {caller:?}");
        assert_eq!(told.len(), expected.len(), "each once");
        for pair in told.windows(2) {
            let (better, worse) = (self.worth(pair[0]), self.worth(pair[1]));
            assert!(better >= worse * (1.0 - 1e-6), "{pair:?}: {better} before {worse}");
        }
        self.compared += 1;
    }

    /// The ranking that a first page began with is told to its end, by any node, whatever happens meanwhile.
    async fn scroll(&mut self) {
        for node in 0..2 {
            self.nodes[node].follower.warm().await.unwrap();
        }
        let mut expected = self.pages(0, None, 100).await;
        let (limit, mut cursor, mut told, mut node) = (1 + self.random.usize(..10), None, Vec::new(), 0);
        loop {
            let page = self.nodes[node].reads.popular(None, &PageRequest { limit, cursor }).await.unwrap();
            told.extend(page.items.iter().map(|post| post.id()));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
            for _ in 0..5 {
                self.command(node).await;
            }
            node = self.random.usize(..2);
            self.nodes[node].follower.warm().await.unwrap();
            // What was told may be removed by now, and what is removed by now is not told any more.
            expected.retain(|post| told.contains(post) || self.truth.post(*post).is_some());
        }
        assert_eq!(told, expected);
    }

    async fn step(&mut self) {
        self.clock.fetch_add(self.random.u64(0..600_000), Ordering::Relaxed);
        if self.random.u8(..100) == 0 {
            self.clock.fetch_add(20 * 3_600_000, Ordering::Relaxed);
        }
        let node = self.random.usize(..2);
        match self.random.u32(0..100) {
            0..70 => self.command(node).await,
            70..84 => self.follow_some(node).await,
            84..90 => drop(self.copy(node).await),
            90..97 => self.compare(node).await,
            97..99 => self.scroll().await,
            _ => {
                self.start_node(LONG_RING).await;
                self.nodes.swap_remove(node);
            }
        }
    }
}

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

/// Removes what is logged, so that a node that starts hears of nothing before.
async fn trim_log(world: &World) {
    world.store.number_events(0).await.unwrap();
    let events_to = world.store.last_position().await.unwrap();
    let old = Removable { keys_before: Millis(0), events_to };
    while world.store.remove_old(old, 1_000).await.unwrap() > 0 {}
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
        trim_log(&world).await;
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
    trim_log(&world).await;
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
    trim_log(&world).await;
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

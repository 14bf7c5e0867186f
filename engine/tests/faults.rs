//! A whole node, running, over ports that fail: commands fail cleanly or succeed, a retry under the same key settles
//! them, and reads are exact or say that the store is gone (laws 1, 2, 4, 7 and 8).

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test stops at what it did not expect, and tells what it did"
)]

use std::sync::Arc;
use std::time::Duration;

use tributary_engine::embedded::{EmbeddedLog, EmbeddedStore, ProcessShard};
use tributary_engine::model::{ChangedBy, Channel, Command, Handle, Mode, Outcome, PostId, TuningSettings, UserId};
use tributary_engine::ports::{Clock, Store};
use tributary_engine::read::{PageRequest, ReadError};
use tributary_engine::recent::BYTES_PER_ENTRY;
use tributary_engine::testkit::Truth;
use tributary_engine::testkit::faulty::{Fault, Faults, FaultyLog, FaultyShard, FaultyStore};
use tributary_engine::timeline::Signer;
use tributary_engine::{CacheBytes, ClientKey, CommandError, Engine, Options, Ports, Roles};

const OPERATIONS: usize = 1_500;
const FAILED_ONCE: &[u64] = &[];

struct Node {
    random: fastrand::Rng,
    truth: Truth,
    users: Vec<UserId>,
    posts: Vec<PostId>,
    faults: Arc<Faults>,
    /// The store itself, without faults.
    store: Arc<EmbeddedStore>,
    engine: Engine,
    keys: u64,
    refused: usize,
    compared: usize,
}

impl Node {
    async fn new(seed: u64, folder: &std::path::Path) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let faults = Faults::new(seed);
        faults.switch(false);
        let store = EmbeddedStore::open(folder, Clock::System).unwrap();
        let ports = Ports {
            store: Arc::new(FaultyStore::new(store.clone(), faults.clone())),
            log: Arc::new(FaultyLog::new(Arc::new(EmbeddedLog::new(store.clone())), faults.clone())),
            shard: Arc::new(FaultyShard::new(Arc::new(ProcessShard::new(8 << 20, Clock::System)), faults.clone())),
        };
        let caches = [20_000, 20_000_000][random.usize(..2)];
        let ring = BYTES_PER_ENTRY * [100, 5_000][random.usize(..2)];
        let options = Options {
            roles: Roles { api: true, worker: true },
            cache: CacheBytes { ring, windows: caches, streams: caches, views: caches, posts: caches },
            signer: Signer::new(&[7; 32]),
            clock: Clock::System,
        };
        let engine = Engine::start(ports, options).await.unwrap();
        let (mut truth, mut users) = (Truth::new(), Vec::new());
        for n in 0..15 {
            let handle: Handle = format!("u{n}").parse().unwrap();
            let user = store.make_user(&handle, handle.as_str()).await.unwrap();
            truth.make_user(user.card.id, &handle, handle.as_str());
            users.push(user.card.id);
        }
        let (posts, keys, refused, compared) = (Vec::new(), 0, 0, 0);
        Self { random, truth, users, posts, faults, store, engine, keys, refused, compared }
    }

    fn user(&mut self) -> UserId {
        self.users[self.random.usize(..self.users.len())]
    }

    async fn command(&mut self) {
        let (actor, user) = (self.user(), self.user());
        let post = self.posts.get(self.random.usize(..=self.posts.len())).copied().unwrap_or(PostId(1));
        let command = match self.random.u32(0..100) {
            0..50 => Command::Publish { text: "text".into() },
            50..66 => Command::Follow { user, limit: 0 },
            66..72 => Command::Unfollow { user },
            72..76 => Command::Mute { user },
            76..79 => Command::Unmute { user },
            79..81 => Command::Block { user },
            81..85 => Command::Unblock { user },
            85..91 => Command::Like { post },
            91..95 => Command::Remove { post },
            95..97 => Command::Pin { author: user, pin: [None, Some(Channel::Pull)][self.random.usize(..2)] },
            _ => {
                let enter = self.random.u64(1..16);
                let settings = TuningSettings {
                    mode: Mode::Threshold,
                    enter_followers: enter,
                    leave_followers: enter,
                    flush_max_age_ms: self.random.u64(0..20),
                    flush_max_pairs: self.random.u64(1..100),
                };
                Command::Tune { expected: None, settings, by: ChangedBy::Operator(actor) }
            }
        };
        let expected = self.truth.predict(actor, &command);
        self.keys += 1;
        let key = ClientKey { key: format!("key-{}", self.keys), fingerprint: [self.keys as u8; 16] };
        loop {
            match self.engine.execute(actor, command.clone(), Some(key.clone())).await {
                Ok(committed) => {
                    assert_eq!(expected, Ok(()), "{actor:?} {command:?}");
                    if let Outcome::Posted { post, .. } = &committed.outcome {
                        self.posts.push(post.id);
                    }
                    self.truth.apply(actor, &command, &committed.outcome);
                    return self.sees_own(actor, &command).await;
                }
                Err(CommandError::Rejected(rejection)) => {
                    assert_eq!(expected, Err(rejection), "{actor:?} {command:?}");
                    return;
                }
                Err(CommandError::Unavailable(_)) => self.refused += 1,
            }
        }
    }

    /// The actor sees a new post of their own in the very next read that is answered.
    async fn sees_own(&mut self, actor: UserId, command: &Command) {
        if let Command::Publish { .. } = command {
            let own = self.posts.last().copied().unwrap();
            for _ in 0..3 {
                if let Ok(feed) = self.engine.home(actor, &PageRequest { limit: 100, cursor: None }).await {
                    assert!(feed.items.iter().any(|item| item.post.id() == own), "an own post is missing: {own:?}");
                    return;
                }
                self.refused += 1;
            }
        }
    }

    async fn caught_up(&self) {
        // The relay may not come to it: its log may be silent.
        self.store.number_events(0).await.unwrap();
        let last = self.store.last_position().await.unwrap().0;
        let reached = async {
            while self.engine.status().position < last {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), reached).await.expect("the node follows the log");
    }

    async fn compare(&mut self, reader: UserId) {
        self.caught_up().await;
        let expected = self.truth.home(reader);
        let (mut cursor, mut told) = (None, Vec::new());
        loop {
            match self.engine.home(reader, &PageRequest { limit: 50, cursor: cursor.clone() }).await {
                Ok(feed) => {
                    told.extend(feed.items.iter().map(|item| item.post.id()));
                    cursor = feed.next;
                    if cursor.is_none() {
                        break;
                    }
                }
                Err(ReadError::Unavailable(_)) => self.refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(told, expected, "the timeline of {reader:?}");
        self.compared += 1;
    }
}

async fn run(seed: u64) {
    println!("seed {seed}");
    let memory = std::path::Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let mut node = Node::new(seed, folder.path()).await;
    // At least as many as the floor of faults below needs: a run with next to none shows nothing.
    let probability = 0.01 + node.random.f64() * 0.14;
    node.faults.set_all(probability);
    node.faults.switch(true);
    for _ in 0..OPERATIONS {
        match node.random.u32(0..100) {
            0..85 => node.command().await,
            85..98 => {
                let reader = node.user();
                node.compare(reader).await;
            }
            98 => gone(&mut node).await,
            _ => silent(&mut node).await,
        }
    }
    node.faults.switch(false);
    for reader in node.users.clone() {
        node.compare(reader).await;
    }
    let injected: u64 = Fault::ALL.iter().map(|fault| node.faults.injected(*fault)).sum();
    println!(
        "{injected} faults at {probability:.3}, {} answers refused, {} timelines equal",
        node.refused, node.compared
    );
    assert!(injected > 100 && node.compared > 100);
    node.engine.stop().await;
}

/// Without a store, commands are refused and change nothing; what is cached is still exact.
async fn gone(node: &mut Node) {
    let reader = node.user();
    node.compare(reader).await;
    node.faults.set_store_gone(true);
    let actor = node.user();
    let refused = node.engine.execute(actor, Command::Publish { text: "lost".into() }, None).await;
    assert!(matches!(refused, Err(CommandError::Unavailable(_))), "{refused:?}");
    match node.engine.home(reader, &PageRequest { limit: 20, cursor: None }).await {
        Ok(feed) => {
            let told: Vec<PostId> = feed.items.iter().map(|item| item.post.id()).collect();
            assert_eq!(told, node.truth.home(reader).into_iter().take(20).collect::<Vec<_>>());
        }
        Err(ReadError::Unavailable(_)) => {}
        Err(error) => panic!("{error}"),
    }
    node.faults.set_store_gone(false);
}

/// While the log neither takes nor gives anything, and says nothing, everything acknowledged is visible all the same.
async fn silent(node: &mut Node) {
    node.faults.set_log_silent(true);
    for _ in 0..3 {
        node.command().await;
        let reader = node.user();
        node.compare(reader).await;
    }
    node.faults.set_log_silent(false);
}

#[test]
fn a_running_node_over_failing_ports_stays_exact() {
    let start = fastrand::u64(..) >> 16;
    for seed in FAILED_ONCE.iter().copied().chain(start..start + 6) {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(run(seed));
    }
}

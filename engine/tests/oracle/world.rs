//! One random world: an engine driven step by step beside the truth.

mod work;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;
use tokio::sync::watch;
use tributary_engine::embedded::{EmbeddedLog, EmbeddedStore, ProcessShard};
use tributary_engine::model::{
    ChangedBy, Channel, Command, Handle, NumberedEvent, Outcome, Position, PostId, SlotRange, TuningSettings, UserId,
};
use tributary_engine::ports::{Clock, Log, Shard, Store};
use tributary_engine::recent::BYTES_PER_ENTRY;
use tributary_engine::testkit::faulty::{Fault, Faults, FaultyShard};
use tributary_engine::testkit::{HeldShard, Truth};
use tributary_engine::timeline::Signer;
use tributary_engine::work::{Checkpointer, Flush, Janitor, Relay};
use tributary_engine::{CacheBytes, CommandError, Options, Parts, Roles};

/// What was done, to show that a run did something.
#[derive(Clone, Copy, Default, Debug)]
pub struct Done {
    pub commands: u32,
    pub refused: u32,
    pub pages: u32,
    pub timelines: u32,
    pub entries: u64,
    pub since: u32,
    pub gaps: u32,
    pub rounds: u32,
    pub restarts: u32,
}

/// Signs the cursors and tokens of every node.
pub const CURSOR_KEY: [u8; 32] = [7; 32];

pub struct World {
    pub random: fastrand::Rng,
    pub truth: Truth,
    pub users: Vec<UserId>,
    /// Two nodes over the same store, log and shard. `here` is the one that is asked.
    pub nodes: [Parts; 2],
    pub here: usize,
    /// For each node: who has changed something on the other that this one may not have heard of.
    pub changed_elsewhere: [BTreeSet<UserId>; 2],
    pub done: Done,
    /// Draws when channels are chosen by cost, and by which; none where they never are.
    costs: Option<fastrand::Rng>,
    /// Whether authors write very much at times.
    long: bool,
    /// Posts ever written, also removed ones.
    posts: Vec<PostId>,
    store: Arc<EmbeddedStore>,
    log: Arc<dyn Log>,
    shard: Arc<dyn Shard>,
    relay: Relay,
    flush: Flush,
    /// Every event since the world began.
    pub events: Vec<NumberedEvent>,
    options: Options,
    /// Segments that were made and not yet appended.
    held: Arc<HeldShard>,
    /// Checkpoints as they once were.
    old_checkpoints: Vec<(UserId, bytes::Bytes)>,
    clock: Arc<AtomicU64>,
    folder: TempDir,
}

fn folder() -> TempDir {
    // Memory where there is some: the same code, without waiting for a disk at every commit.
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

impl World {
    pub async fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let folder = folder();
        let clock = Arc::new(AtomicU64::new(1_790_000_000_000));
        let manual = Clock::Manual(clock.clone());
        let store = EmbeddedStore::open(folder.path(), manual.clone()).unwrap();
        let log: Arc<dyn Log> = Arc::new(EmbeddedLog::new(store.clone()));
        let faults = Faults::new(seed);
        let probability = if random.bool() { 0.0 } else { random.f64() * 0.1 };
        for fault in [
            Fault::ShardUnavailable,
            Fault::ShardReplyLost,
            Fault::StringLost,
            Fault::StringOlder,
            Fault::SetLost,
            Fault::AppendedTwice,
            Fault::AppendedLate,
        ] {
            faults.set(fault, probability);
        }
        let shard: Arc<dyn Shard> =
            Arc::new(FaultyShard::new(Arc::new(ProcessShard::new(8 << 20, manual.clone())), faults));
        // From rings that lap readers all the time to rings that hold everything; from caches that evict all the
        // time to caches that hold everything.
        let ring = BYTES_PER_ENTRY * [40, 150, 600, 5_000][random.usize(..4)];
        let caches = [20_000, 200_000, 20_000_000][random.usize(..3)];
        let options = Options {
            roles: Roles { api: true, worker: true },
            cache: CacheBytes { ring, windows: caches, streams: caches, views: caches, posts: caches },
            signer: Signer::new(&CURSOR_KEY),
            clock: manual,
        };
        let nodes = [
            Parts::assemble(store.clone(), log.clone(), shard.clone(), &options).await.unwrap(),
            Parts::assemble(store.clone(), log.clone(), shard.clone(), &options).await.unwrap(),
        ];
        let relay = Relay::new(store.clone(), log.clone());
        let flush = new_flush(&store, shard.clone(), &nodes[0], Position::ZERO);
        let long = random.u8(..3) == 0;
        let mut world = Self {
            random,
            truth: Truth::new(),
            users: Vec::new(),
            nodes,
            here: 0,
            changed_elsewhere: Default::default(),
            done: Done::default(),
            costs: (seed & 2 != 0).then(|| fastrand::Rng::with_seed(seed)),
            long,
            posts: Vec::new(),
            store,
            log,
            shard,
            relay,
            flush,
            events: Vec::new(),
            options,
            held: Arc::default(),
            old_checkpoints: Vec::new(),
            clock,
            folder,
        };
        world.people().await;
        world
    }

    async fn people(&mut self) {
        let count = self.random.usize(3..40);
        for n in 0..count {
            let handle: Handle = format!("u{n}").parse().unwrap();
            let user = self.store.make_user(&handle, handle.as_str()).await.unwrap();
            self.truth.make_user(user.card.id, &handle, handle.as_str());
            self.users.push(user.card.id);
        }
        let follows = count * self.random.usize(0..12).min(count);
        for _ in 0..follows {
            let (actor, user) = (self.user(), self.user());
            self.execute(actor, Command::Follow { user, limit: 0 }).await;
        }
        self.tune().await;
    }

    pub fn node(&mut self) -> &mut Parts {
        &mut self.nodes[self.here]
    }

    pub fn user(&mut self) -> UserId {
        // Some are in more of what happens than others.
        let n = self.random.usize(..self.users.len());
        self.users[if self.random.bool() { n } else { n / 3 }]
    }

    fn post(&mut self) -> PostId {
        if self.posts.is_empty() {
            return PostId(1);
        }
        let recent = self.posts.len().min(if self.random.bool() { 30 } else { usize::MAX });
        self.posts[self.posts.len() - 1 - self.random.usize(..recent)]
    }

    /// One random operation.
    pub async fn step(&mut self) {
        self.clock.fetch_add(self.random.u64(0..2_000), Ordering::Relaxed);
        if self.random.u8(..4) == 0 {
            self.here = 1 - self.here;
        }
        if self.random.u8(..) == 0 {
            // A clock that steps back.
            self.clock.fetch_sub(30_000, Ordering::Relaxed);
        }
        match self.random.u32(0..1_000) {
            0..300 => self.command().await,
            300..500 => self.publish().await,
            500..640 => self.read_page().await,
            640..700 => self.read_since().await,
            700..720 => self.read_behind().await,
            720..760 => self.read_timeline().await,
            760..830 => drop(self.relay.step().await.unwrap()),
            830..890 => self.follow_some().await,
            890..920 => self.flush_round().await,
            920..940 => self.flush_any().await,
            940..950 => self.append_held().await,
            950..980 => self.lose_something().await,
            980..988 => self.checkpoint().await,
            988..992 => drop(self.janitor().await),
            992..996 => self.tune().await,
            996..999 => self.burst().await,
            _ => self.restart().await,
        }
    }

    /// Executes a command on the engine and on the truth, and compares how it ends.
    pub async fn execute(&mut self, actor: UserId, command: Command) {
        let expected = self.truth.predict(actor, &command);
        match self.node().commands.execute(actor, command.clone(), None).await {
            Ok(committed) => {
                assert_eq!(expected, Ok(()), "{actor:?} {command:?}");
                self.done.commands += 1;
                self.changed_elsewhere[1 - self.here].insert(actor);
                if let Outcome::Posted { post, .. } = &committed.outcome {
                    self.posts.push(post.id);
                }
                self.truth.apply(actor, &command, &committed.outcome);
            }
            Err(CommandError::Rejected(rejection)) => {
                self.done.refused += 1;
                assert_eq!(expected, Err(rejection), "{actor:?} {command:?}");
            }
            Err(error) => panic!("{command:?}: {error}"),
        }
    }

    async fn publish(&mut self) {
        let actor = self.user();
        let text = format!("post {}", self.posts.len()).into();
        self.execute(actor, Command::Publish { text }).await;
    }

    pub async fn publish_as(&mut self, actor: UserId) {
        self.execute(actor, Command::Publish { text: "own".into() }).await;
    }

    /// An operation between two reads.
    pub async fn step_between(&mut self) {
        match self.random.u32(0..10) {
            0..6 => self.publish().await,
            6 => self.command().await,
            7 => self.flush_round().await,
            8 => self.follow_some().await,
            _ => self.lose_something().await,
        }
    }

    async fn burst(&mut self) {
        let actor = self.user();
        // In some worlds also more than a stream keeps of its author, who is then followed.
        let long = self.long && self.random.u8(..6) == 0;
        let count = if long { self.random.usize(700..1_100) } else { self.random.usize(1..120) };
        for _ in 0..count {
            let text = "burst".into();
            let author = if !long && self.random.u8(..4) == 0 { self.user() } else { actor };
            self.execute(author, Command::Publish { text }).await;
        }
        for _ in 0..if long { 6 } else { 0 } {
            let reader = self.user();
            self.execute(reader, Command::Unfollow { user: actor }).await;
            self.follow_all().await;
            self.read_first(reader).await;
            self.execute(reader, Command::Follow { user: actor, limit: 0 }).await;
            self.follow_all().await;
            self.compare_timeline(reader).await;
        }
    }

    async fn command(&mut self) {
        let (actor, user) = (self.user(), self.user());
        let command = match self.random.u32(0..100) {
            0..25 => Command::Follow { user, limit: 0 },
            25..40 => Command::Unfollow { user },
            40..47 => Command::Mute { user },
            47..54 => Command::Unmute { user },
            54..57 => Command::Block { user },
            57..63 => Command::Unblock { user },
            63..75 => Command::Like { post: self.post() },
            75..80 => Command::Unlike { post: self.post() },
            80..82 => Command::Remove { post: self.post() },
            82..96 => {
                let post = self.post();
                let author = self
                    .users
                    .iter()
                    .copied()
                    .find(|&user| matches!(self.truth.predict(user, &Command::Remove { post }), Ok(())));
                return self.execute(author.unwrap_or(actor), Command::Remove { post }).await;
            }
            _ => {
                let pin = [None, Some(Channel::Push), Some(Channel::Pull)][self.random.usize(..3)];
                Command::Pin { author: user, pin }
            }
        };
        // Refollowing at once is the hard case for stamps.
        let refollow = matches!(command, Command::Unfollow { .. }) && self.random.bool();
        self.execute(actor, command).await;
        if refollow {
            self.execute(actor, Command::Follow { user, limit: 0 }).await;
        }
    }

    async fn tune(&mut self) {
        let mode = self.mode().await;
        let enter = self.random.u64(1..self.users.len() as u64 + 3);
        let settings = TuningSettings {
            mode,
            enter_followers: enter,
            leave_followers: self.random.u64(..=enter),
            flush_max_age_ms: if self.random.bool() { 0 } else { 900_000 },
            flush_max_pairs: self.random.u64(1..200),
        };
        let actor = self.user();
        self.execute(actor, Command::Tune { expected: None, settings, by: ChangedBy::Operator(actor) }).await;
    }

    /// The node applies some of what is published.
    async fn follow_some(&mut self) {
        let position = self.node().reads.tier.ring.position();
        let (oldest, events) = self.store.events(position, 4_096).await.unwrap();
        if oldest > position {
            // What is left does not join on: a node that has fallen so far behind takes all there is.
            return self.follow_all().await;
        }
        let some = self.random.usize(..=events.len());
        self.node().follower.take(&events[..some]).await.unwrap();
        self.node().follower.retune().await.unwrap();
    }

    /// The node applies everything.
    pub async fn follow_all(&mut self) {
        self.node().follower.warm().await.unwrap();
        self.changed_elsewhere[self.here].clear();
        self.node().follower.retune().await.unwrap();
    }

    async fn lose_something(&mut self) {
        let (user, post) = (self.user(), self.post());
        let what = self.random.u32(0..7);
        let tier = self.node().reads.tier.clone();
        match what {
            0 => tier.windows.invalidate(user),
            1 => tier.views.invalidate(user),
            2 => tier.streams.invalidate(user),
            3 => tier.posts.invalidate(post),
            4 => tier.likes.invalidate(user),
            5 => drop(self.shard.remove(&[user]).await),
            _ => self.users.iter().for_each(|&user| tier.windows.invalidate(user)),
        }
    }

    async fn checkpoint(&mut self) {
        let user = self.user();
        match self.random.u32(0..4) {
            0 => drop(self.node().checkpointer.step().await.unwrap()),
            1 => Checkpointer::save(&self.node().reads.tier, &[user]).await.unwrap(),
            2 => {
                let saved = self.store.checkpoint(user).await.unwrap();
                self.old_checkpoints.extend(saved.map(|bytes| (user, bytes)));
            }
            _ if self.old_checkpoints.is_empty() => {}
            _ => {
                let n = self.random.usize(..self.old_checkpoints.len());
                self.store.save_checkpoints(&[self.old_checkpoints[n].clone()]).await.unwrap();
            }
        }
    }

    async fn janitor(&mut self) -> bool {
        self.note_events().await;
        let janitor = Janitor::new(self.node().reads.tier.clone(), self.shard.clone(), self.options.clock.clone());
        janitor.step().await.unwrap()
    }

    /// A node ends and another starts in its place; the shard may have lost everything.
    async fn restart(&mut self) {
        self.done.restarts += 1;
        self.note_events().await;
        if self.random.bool() {
            let users = self.users.clone();
            drop(self.shard.remove(&users).await);
        }
        let parts = Parts::assemble(self.store.clone(), self.log.clone(), self.shard.clone(), &self.options);
        *self.node() = parts.await.unwrap();
        let position = self.node().reads.tier.ring.position();
        self.flush = new_flush(&self.store, self.shard.clone(), &self.nodes[0], position);
        assert!(self.folder.path().exists());
    }
}

fn new_flush(store: &Arc<EmbeddedStore>, shard: Arc<dyn Shard>, parts: &Parts, position: Position) -> Flush {
    let tier = &parts.reads.tier;
    let share = watch::Sender::new(SlotRange::ALL).subscribe();
    Flush::new(store.clone(), shard, tier.epoch, share, parts.tuning.clone(), tier.ring.capacity(), position)
}

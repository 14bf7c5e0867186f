//! Two nodes over one store, beside the truth: what is done to them, and how their popular posts are compared.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;
use tributary_engine::embedded::{EmbeddedLog, EmbeddedStore, ProcessShard};
use tributary_engine::limits::{POPULAR_HALF_LIFE, POPULAR_POSTS};
use tributary_engine::model::{Command, Handle, Millis, Outcome, Position, PostId, UserId};
use tributary_engine::ports::{Clock, Removable, Shard, Store};
use tributary_engine::read::PageRequest;
use tributary_engine::recent::BYTES_PER_ENTRY;
use tributary_engine::testkit::Truth;
use tributary_engine::testkit::faulty::{Faults, FaultyShard};
use tributary_engine::timeline::Signer;
use tributary_engine::work::PopularCopy;
use tributary_engine::{CacheBytes, Options, Parts, Roles};

pub const USERS: usize = 12;
/// A ring that holds every event of these tests.
pub const LONG_RING: usize = 100_000;

pub struct World {
    pub random: fastrand::Rng,
    pub truth: Truth,
    pub users: Vec<UserId>,
    pub posts: Vec<PostId>,
    pub nodes: Vec<Parts>,
    pub store: Arc<EmbeddedStore>,
    pub shard: Arc<dyn Shard>,
    pub faults: Arc<Faults>,
    pub clock: Arc<AtomicU64>,
    pub compared: usize,
    _folder: TempDir,
}

pub fn in_process() -> Arc<dyn Shard> {
    Arc::new(ProcessShard::new(1 << 20, Clock::System))
}

pub fn options(ring_entries: usize, clock: Clock) -> Options {
    let cache = CacheBytes {
        ring: BYTES_PER_ENTRY * ring_entries,
        windows: 1 << 20,
        streams: 1 << 20,
        views: 1 << 20,
        posts: 1 << 20,
    };
    Options { roles: Roles { api: true, worker: true }, cache, signer: Signer::new(&[7; 32]), clock }
}

impl World {
    pub async fn new(seed: u64, shard: Arc<dyn Shard>) -> Self {
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

    pub async fn start_node(&mut self, ring_entries: usize) {
        let log = Arc::new(EmbeddedLog::new(self.store.clone()));
        let options = options(ring_entries, Clock::Manual(self.clock.clone()));
        let parts = Parts::assemble(self.store.clone(), log, self.shard.clone(), &options).await.unwrap();
        self.nodes.push(parts);
    }

    /// The copy of a node is read or made.
    pub async fn copy(&self, node: usize) -> bool {
        PopularCopy::new(self.nodes[node].reads.tier.clone(), self.shard.clone()).step().await.is_ok()
    }

    fn user(&mut self) -> UserId {
        self.users[self.random.usize(..USERS)]
    }

    pub async fn execute(&mut self, node: usize, actor: UserId, command: Command) {
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

    pub async fn publish(&mut self, likes: usize) -> PostId {
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
        let few = self.truth.post_ids().len() < POPULAR_POSTS / 2;
        let command = match self.random.u32(0..100) {
            0..15 if few => Command::Publish { text: "text".into() },
            0..70 => Command::Like { post },
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

    pub async fn pages(&self, node: usize, caller: Option<UserId>, limit: usize) -> Vec<PostId> {
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

    pub async fn compare(&mut self, node: usize) {
        self.nodes[node].follower.warm().await.unwrap();
        let caller = Some(self.user()).filter(|_| self.random.bool());
        let limit = [1, 7, 100][self.random.usize(..3)];
        let ranking = self.nodes[node].reads.tier.popular.ranking().best(POPULAR_POSTS);
        assert!(ranking.iter().all(|post| self.truth.post(*post).is_some()), "a removed post is ranked");
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

    /// Removes what is logged, so that a node that starts hears of nothing before.
    pub async fn trim_log(&self) {
        self.store.number_events(0).await.unwrap();
        let events_to = self.store.last_position().await.unwrap();
        self.store.mark_published(events_to).await.unwrap();
        let old = Removable { keys_before: Millis(0), sessions_before: Millis(0), events_to };
        while self.store.remove_old(old, 1_000).await.unwrap() > 0 {}
    }

    pub async fn step(&mut self) {
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

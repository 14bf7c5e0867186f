//! The facade: what a server, a test or another program asks of a node.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cache::{CacheBytes, RenderedPost, Tier};
use crate::command::{ClientKey, CommandError, Commands};
use crate::model::{AuthorState, Command, Committed, Handle, Position, PostId, Tuning, User, UserId};
use crate::ports::{Clock, ListedTuning, Log, Shard, Store, StoreError, UserList};
use crate::read::{Feed, Page, PageRequest, ReadError, Reads};
use crate::timeline::Signer;
use crate::work::{Checkpointer, Flush, FlushState, Follower, Janitor, Relay};

/// The world around a node.
#[derive(Clone)]
pub struct Ports {
    /// Truth.
    pub store: Arc<dyn Store>,
    /// The events.
    pub log: Arc<dyn Log>,
    /// The readers' windows.
    pub shard: Arc<dyn Shard>,
}

/// What a process does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Roles {
    /// Serves reads and commands, relays events.
    pub api: bool,
    /// Compacts posts into windows.
    pub worker: bool,
}

/// The settings of a node, checked by whoever resolved them.
#[derive(Clone, Debug)]
pub struct Options {
    /// What it does.
    pub roles: Roles,
    /// Bytes of each cache.
    pub cache: CacheBytes,
    /// Signs cursors and tokens; the same on all nodes.
    pub cursor_key: [u8; 32],
    /// Times.
    pub clock: Clock,
}

/// The state of a node, for operators.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Status {
    /// The log position this node has applied.
    pub position: u64,
    /// Position and backlog of each shard.
    pub shards: Vec<ShardStatus>,
    /// The ring.
    pub ring: RingStatus,
    /// Each cache by name: `windows`, `streams`, `views`, `likes`, `posts`.
    pub caches: Vec<CacheStatus>,
    /// Microseconds to deliver one entry by flush, where measured.
    pub h_us: Option<f64>,
    /// Microseconds to merge one author's stream at a fill, where measured.
    pub l_us: Option<f64>,
}

/// A shard as its flush sees it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ShardStatus {
    /// Its name.
    pub name: String,
    /// Up to where posts are compacted into it.
    pub position: u64,
    /// Events behind the log.
    pub backlog_events: u64,
    /// Whether it answered lately.
    pub up: bool,
}

/// The recent ring.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RingStatus {
    /// The position it covers everything after.
    pub floor: u64,
    /// Posts in it.
    pub entries: u64,
    /// Bytes it takes.
    pub bytes: u64,
}

/// A cache.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CacheStatus {
    /// Its name.
    pub name: &'static str,
    /// Values in it.
    pub entries: u64,
    /// Their weight.
    pub bytes: u64,
    /// Hits by all look-ups since the start; none before the first look-up.
    pub hit_rate: Option<f64>,
}

/// One check of a node's health.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was checked: `store`, `log`, `shard`, `ring`.
    pub name: &'static str,
    /// `ok`, or what is wrong (safe to show).
    pub state: Result<(), &'static str>,
    /// Whether the node cannot serve without it.
    pub vital: bool,
}

struct Node {
    reads: Reads,
    commands: Commands,
    log: Arc<dyn Log>,
    tuning: watch::Receiver<Tuning>,
    flush: Option<Arc<FlushState>>,
    stop: watch::Sender<bool>,
    tasks: Mutex<JoinSet<()>>,
}

/// A node: caches, work in the background, and the ways to ask it. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Node>);

impl Engine {
    /// Loads what a node needs to know, warms the ring and starts the work of its roles.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn start(ports: Ports, options: Options) -> Result<Self, StoreError> {
        let Ports { store, log, shard } = ports;
        let parts = Parts::assemble(store.clone(), log.clone(), shard.clone(), &options).await?;
        let Parts { reads, commands, follower, checkpointer, tuning } = parts;
        let tier = reads.tier.clone();
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let mut flush_state = None;
        if options.roles.api {
            tasks.spawn(Relay::new(store.clone(), log.clone()).run(stopped.clone()));
            tasks.spawn(checkpointer.run(stopped.clone()));
        }
        if options.roles.worker {
            let position = tier.ring.position();
            let capacity = tier.ring.capacity();
            let flush = Flush::new(store, shard, tier.epoch, tuning.clone(), capacity, position);
            flush_state = Some(flush.state());
            tasks.spawn(flush.run(log.clone(), stopped.clone()));
            tasks.spawn(Janitor::new(tier, options.clock.clone()).run(stopped.clone()));
        }
        tasks.spawn(follower.run(stopped));
        let tasks = Mutex::new(tasks);
        Ok(Self(Arc::new(Node { reads, commands, log, tuning, flush: flush_state, stop, tasks })))
    }

    /// Ends the work in the background and waits for it. Requests that are still under way may fail.
    pub async fn stop(&self) {
        self.0.stop.send_replace(true);
        let mut tasks = std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }

    /// The reads, for those who want them directly.
    pub fn reads(&self) -> &Reads {
        &self.0.reads
    }

    /// Commits a command (law 7) and shows its effect to the actor at once.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn execute(
        &self,
        actor: UserId,
        command: Command,
        key: Option<ClientKey>,
    ) -> Result<Committed, CommandError> {
        self.0.commands.execute(actor, command, key).await
    }

    /// The user with this handle, made if there is none.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn make_user(&self, handle: &Handle, name: &str) -> Result<User, CommandError> {
        let made = self.0.reads.tier.store.make_user(handle, name).await;
        made.map_err(|error| CommandError::Unavailable(error.to_string()))
    }

    /// A page of the reader's home timeline.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn home(&self, reader: UserId, page: &PageRequest) -> Result<Feed, ReadError> {
        self.0.reads.home(reader, page).await
    }

    /// What was logged since the page that gave `fresh`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn home_since(&self, reader: UserId, fresh: &str, page: &PageRequest) -> Result<Feed, ReadError> {
        self.0.reads.home_since(reader, fresh, page).await
    }

    /// A page of an author's posts, newest first.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn posts_of(
        &self,
        caller: UserId,
        author: UserId,
        page: &PageRequest,
    ) -> Result<Page<Arc<RenderedPost>>, ReadError> {
        self.0.reads.posts_of(caller, author, page).await
    }

    /// One post.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn post(&self, caller: UserId, id: PostId) -> Result<Arc<RenderedPost>, ReadError> {
        self.0.reads.post(caller, id).await
    }

    /// One user, unless that user has blocked the caller.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn user(&self, caller: UserId, id: UserId) -> Result<User, ReadError> {
        self.0.reads.user(caller, id).await
    }

    /// The user with this handle, unless that user has blocked the caller.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn user_by_handle(&self, caller: UserId, handle: &Handle) -> Result<User, ReadError> {
        self.0.reads.user_by_handle(caller, handle).await
    }

    /// A page of one of a user's lists, without those who have blocked the caller. Mutes and blocks: the caller's own only.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn user_list(
        &self,
        caller: UserId,
        user: UserId,
        list: UserList,
        page: &PageRequest,
    ) -> Result<Page<User>, ReadError> {
        self.0.reads.user_list(caller, user, list, page).await
    }

    /// The present tuning.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn tuning(&self) -> Result<Tuning, ReadError> {
        Ok(self.0.reads.tier.store.tuning().await?)
    }

    /// A page of tuning versions, newest first.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn tunings(&self, page: &PageRequest) -> Result<Page<ListedTuning>, ReadError> {
        self.0.reads.tunings(page).await
    }

    /// An author as operators see it.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn author(&self, id: UserId) -> Result<AuthorState, ReadError> {
        self.0.reads.author(id).await
    }

    /// The state of the node.
    pub fn status(&self) -> Status {
        let tier = &self.0.reads.tier;
        let cache = |(name, entries, bytes, hit_rate)| CacheStatus { name, entries, bytes, hit_rate };
        let shard = |flush: &Arc<FlushState>| ShardStatus {
            name: "local".to_owned(),
            position: flush.position().0,
            backlog_events: tier.ring.position().0.saturating_sub(flush.position().0),
            up: flush.shard_up(),
        };
        Status {
            position: tier.ring.position().0,
            shards: self.0.flush.iter().map(shard).collect(),
            ring: RingStatus {
                floor: tier.ring.floor_position().0,
                entries: tier.ring.len() as u64,
                bytes: tier.ring.bytes() as u64,
            },
            caches: vec![
                cache(tier.windows.figures()),
                cache(tier.streams.figures()),
                cache(tier.views.figures()),
                cache(tier.likes.figures()),
                cache(tier.posts.figures()),
            ],
            h_us: self.0.flush.as_ref().and_then(|flush| flush.h_us()),
            l_us: self.0.reads.l_us(),
        }
    }

    /// Whether it can serve.
    pub async fn health(&self) -> Vec<Check> {
        let store = self.0.reads.tier.store.last_position();
        let store = tokio::time::timeout(Duration::from_secs(1), store).await;
        let answers = matches!(store, Ok(Ok(_)));
        let log =
            tokio::time::timeout(Duration::from_secs(1), self.0.log.follow(self.0.reads.tier.ring.position())).await;
        let shard_up = self.0.flush.as_ref().is_none_or(|flush| flush.shard_up());
        let state = |ok: bool, wrong: &'static str| if ok { Ok(()) } else { Err(wrong) };
        vec![
            Check { name: "store", state: state(answers, "does not answer"), vital: true },
            Check { name: "ring", state: Ok(()), vital: true },
            Check { name: "log", state: state(matches!(log, Ok(Ok(_))), "cannot be reached"), vital: false },
            Check { name: "shard", state: state(shard_up, "does not answer"), vital: false },
        ]
    }

    /// The tuning as this node works with it.
    pub fn tuning_now(&self) -> Tuning {
        *self.0.tuning.borrow()
    }
}

/// The pieces of a node, not yet running: what [`Engine::start`] runs, and what a test drives step by step.
pub struct Parts {
    /// Reads.
    pub reads: Reads,
    /// Commands.
    pub commands: Commands,
    /// The log's follower, with the ring warm.
    pub follower: Follower,
    /// Saves checkpoints.
    pub checkpointer: Checkpointer,
    /// The tuning, kept up to date by the follower.
    pub tuning: watch::Receiver<Tuning>,
}

impl Parts {
    /// Loads what a node needs to know and warms the ring.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn assemble(
        store: Arc<dyn Store>,
        log: Arc<dyn Log>,
        shard: Arc<dyn Shard>,
        options: &Options,
    ) -> Result<Self, StoreError> {
        let epoch = store.epoch().await?;
        let (tuning_teller, tuning) = watch::channel(store.tuning().await?);
        let (tier, writer) = Tier::new(store.clone(), epoch, &options.cache, Position::ZERO);
        let mut follower = Follower::new(tier.clone(), log, writer, tuning_teller, options.clock.clone());
        tier.load_pulls().await?;
        follower.warm().await?;
        let (queue, checkpointer) = Checkpointer::new(tier.clone());
        let commands = Commands::new(store, tier.clone());
        let reads = Reads::new(tier, shard, Signer::new(&options.cursor_key), queue);
        Ok(Self { reads, commands, follower, checkpointer, tuning })
    }
}

//! The facade: what a server, a test or another program asks of a node.

use std::sync::Arc;

use thiserror::Error;

use crate::cache::RenderedPost;
use crate::model::{AuthorState, Command, Committed, Handle, PostId, Rejection, Tuning, User, UserId};
use crate::ports::{Clock, ListedTuning, Log, Shard, Store, StoreError, UserList};
use crate::read::{Feed, Page, PageRequest, ReadError};

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

/// Bytes of each cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CacheBytes {
    /// The recent ring.
    pub ring: usize,
    /// L1 windows.
    pub windows: u64,
    /// Author streams.
    pub streams: u64,
    /// Follow views and recent likes.
    pub views: u64,
    /// Rendered posts.
    pub posts: u64,
}

/// The settings of a node, checked by whoever resolved them.
#[derive(Clone, Debug)]
pub struct Options {
    /// What it does.
    pub roles: Roles,
    /// Bytes of each cache.
    pub cache: CacheBytes,
    /// Follows a user may have; 0: no limit.
    pub follows: u64,
    /// Signs cursors and tokens; the same on all nodes.
    pub cursor_key: [u8; 32],
    /// Times.
    pub clock: Clock,
}

/// A client's idempotency key, validated at the edge, with a digest of the request it came with.
#[derive(Clone, Debug)]
pub struct ClientKey {
    /// 1 to 255 visible ASCII characters.
    pub key: String,
    /// Digest of method, path and body.
    pub fingerprint: [u8; 16],
}

/// Why a command was not acknowledged.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum CommandError {
    /// It breaks a rule; nothing was changed.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The store is gone or the outcome unknown: trying again with the same key settles it. The text is for the log.
    #[error("unavailable: {0}")]
    Unavailable(String),
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

/// A node: caches, work in the background, and the ways to ask it. Cheap to clone.
#[derive(Clone)]
pub struct Engine {}

#[allow(unused_variables, clippy::todo)]
impl Engine {
    /// Loads what a node needs to know, warms the ring and starts the work of its roles.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn start(ports: Ports, options: Options) -> Result<Self, StoreError> { todo!() }
    /// Ends the work in the background and waits for it.
    pub async fn stop(&self) { todo!() }
    /// Commits a command (law 7) and shows its effect to the actor at once.
    pub async fn execute(&self, actor: UserId, command: Command, key: Option<ClientKey>) -> Result<Committed, CommandError> { todo!() }
    /// The user with this handle, made if there is none.
    pub async fn make_user(&self, handle: &Handle, name: &str) -> Result<User, CommandError> { todo!() }
    /// A page of the reader's home timeline.
    pub async fn home(&self, reader: UserId, page: &PageRequest) -> Result<Feed, ReadError> { todo!() }
    /// What was logged since the page that gave `fresh`.
    pub async fn home_since(&self, reader: UserId, fresh: &str, page: &PageRequest) -> Result<Feed, ReadError> { todo!() }
    /// A page of an author's posts, newest first.
    pub async fn posts_of(&self, caller: UserId, author: UserId, page: &PageRequest) -> Result<Page<Arc<RenderedPost>>, ReadError> { todo!() }
    /// One post.
    pub async fn post(&self, caller: UserId, id: PostId) -> Result<Arc<RenderedPost>, ReadError> { todo!() }
    /// One user, unless that user has blocked the caller.
    pub async fn user(&self, caller: UserId, id: UserId) -> Result<User, ReadError> { todo!() }
    /// The user with this handle, unless that user has blocked the caller.
    pub async fn user_by_handle(&self, caller: UserId, handle: &Handle) -> Result<User, ReadError> { todo!() }
    /// A page of one of a user's lists, without those who have blocked the caller. Mutes and blocks: the caller's own only.
    pub async fn user_list(&self, caller: UserId, user: UserId, list: UserList, page: &PageRequest) -> Result<Page<User>, ReadError> { todo!() }
    /// The present tuning.
    pub async fn tuning(&self) -> Result<Tuning, ReadError> { todo!() }
    /// A page of tuning versions, newest first.
    pub async fn tunings(&self, page: &PageRequest) -> Result<Page<ListedTuning>, ReadError> { todo!() }
    /// An author as operators see it.
    pub async fn author(&self, id: UserId) -> Result<AuthorState, ReadError> { todo!() }
    /// The state of the node.
    pub fn status(&self) -> Status { todo!() }
    /// Whether it can serve.
    pub async fn health(&self) -> Vec<Check> { todo!() }
}

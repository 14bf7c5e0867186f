//! The facade: what a server, a test or another program asks of a node.
//!
//! A node belongs to one history of the store. Where the store was restored, the node that knew the old history is
//! retired at once, and another takes its place ([`keeper`]): an epoch is never mixed with another (law 2).

mod keeper;
mod meter;
mod node;
mod parts;
mod status;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cache::{CacheBytes, RenderedPost};
use crate::command::{ClientKey, CommandError, Sessions};
use crate::model::{AuthorState, Command, Committed, Handle, Identity, PostId, Tuning, User, UserId};
use crate::ports::{Clock, ListedTuning, Log, Shard, Store, StoreError, UserList};
use crate::read::{Feed, Live, Page, PageRequest, ReadError, Reads};
use crate::timeline::Signer;
use node::Node;

pub use parts::Parts;
pub use status::{CacheStatus, Check, CostsStatus, RingStatus, ShardStatus, Status};

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
    /// Signs cursors and `fresh` tokens; all nodes open what any of them seals.
    pub signer: Signer,
    /// Times.
    pub clock: Clock,
}

struct Shared {
    ports: Ports,
    /// The node that serves; replaced when the store has another history.
    node: RwLock<Arc<Node>>,
    stop: watch::Sender<bool>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

/// A node: caches, work in the background, and the ways to ask it. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

impl Engine {
    /// Loads what a node needs to know, warms the ring and starts the work of its roles.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn start(ports: Ports, options: Options) -> Result<Self, StoreError> {
        let node = RwLock::new(Arc::new(Node::start(&ports, &options).await?));
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared { ports, node, stop, keeper: Mutex::default() });
        let keeper = tokio::spawn(keeper::run(Arc::downgrade(&shared), options, stopped));
        *shared.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(keeper);
        Ok(Self(shared))
    }

    /// Ends the work in the background and waits for it. Requests that are still under way may fail.
    pub async fn stop(&self) {
        self.0.stop.send_replace(true);
        let keeper = self.0.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper {
            // It ends as soon as it is told; that it died would have been told already.
            let _ = keeper.await;
        }
        self.0.any_node().stop().await;
    }

    /// The node, if it knows the history that the store has.
    fn node(&self) -> Result<Arc<Node>, StoreError> {
        let node = self.0.any_node();
        if !node.is_current() {
            return Err(StoreError::Unavailable("the store's history has changed; caches begin anew".to_owned()));
        }
        Ok(node)
    }

    /// The reads, for those who want them directly.
    pub fn reads(&self) -> Reads {
        self.0.any_node().reads.clone()
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
        self.node()?.commands.execute(actor, command, key).await
    }

    /// The user with this handle, made if there is none.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn make_user(&self, handle: &Handle, name: &str) -> Result<User, CommandError> {
        let made = self.0.ports.store.make_user(handle, name).await;
        made.map_err(|error| CommandError::Unavailable(error.to_string()))
    }

    /// Who is signed in.
    pub fn sessions(&self) -> Sessions {
        Sessions::new(self.0.ports.store.clone())
    }

    /// The user of this identity; at its first sight a new one, with the first of `handles` that nobody has.
    ///
    /// # Errors
    /// When the store does not answer, or none of the handles is free.
    pub async fn user_of_identity(
        &self,
        identity: &Identity,
        handles: &[Handle],
        name: &str,
    ) -> Result<User, CommandError> {
        let user = self.0.ports.store.user_of_identity(identity, handles, name).await;
        user.map_err(|error| CommandError::Unavailable(error.to_string()))
    }

    /// Makes an identity that is nobody's one of `user`'s; whose it is then. None: there is no such user.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn link_identity(&self, identity: &Identity, user: UserId) -> Result<Option<User>, CommandError> {
        let holder = self.0.ports.store.link_identity(identity, user).await;
        holder.map_err(|error| CommandError::Unavailable(error.to_string()))
    }

    /// A page of the reader's home timeline.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn home(&self, reader: UserId, page: &PageRequest) -> Result<Feed, ReadError> {
        self.node()?.reads.home(reader, page).await
    }

    /// What was logged since the page that gave `fresh`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn home_since(&self, reader: UserId, fresh: &str, page: &PageRequest) -> Result<Feed, ReadError> {
        self.node()?.reads.home_since(reader, fresh, page).await
    }

    /// A live stream of the reader's home timeline: from the page or event that gave the token `since`, else from now.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn live(&self, reader: UserId, since: Option<&str>) -> Result<Live, ReadError> {
        self.node()?.reads.live(reader, since).await
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
        self.node()?.reads.posts_of(caller, author, page).await
    }

    /// One post.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn post(&self, caller: UserId, id: PostId) -> Result<Arc<RenderedPost>, ReadError> {
        self.node()?.reads.post(caller, id).await
    }

    /// A page of the popular posts, for guests too.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn popular(
        &self,
        caller: Option<UserId>,
        page: &PageRequest,
    ) -> Result<Page<Arc<RenderedPost>>, ReadError> {
        self.node()?.reads.popular(caller, page).await
    }

    /// One user, unless that user has blocked the caller.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn user(&self, caller: UserId, id: UserId) -> Result<User, ReadError> {
        self.node()?.reads.user(caller, id).await
    }

    /// The user with this handle, unless that user has blocked the caller.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn user_by_handle(&self, caller: UserId, handle: &Handle) -> Result<User, ReadError> {
        self.node()?.reads.user_by_handle(caller, handle).await
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
        self.node()?.reads.user_list(caller, user, list, page).await
    }

    /// The present tuning.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn tuning(&self) -> Result<Tuning, ReadError> {
        Ok(self.0.ports.store.tuning().await?)
    }

    /// A page of tuning versions, newest first.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn tunings(&self, page: &PageRequest) -> Result<Page<ListedTuning>, ReadError> {
        self.node()?.reads.tunings(page).await
    }

    /// An author as operators see it.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn author(&self, id: UserId) -> Result<AuthorState, ReadError> {
        self.node()?.reads.author(id).await
    }

    /// The state of the node.
    pub fn status(&self) -> Status {
        status::status(&self.0.any_node(), &*self.0.ports.shard)
    }

    /// Whether it can serve.
    pub async fn health(&self) -> Vec<Check> {
        status::health(&self.0.any_node(), &*self.0.ports.log, &*self.0.ports.shard).await
    }

    /// The tuning as this node works with it.
    pub fn tuning_now(&self) -> Tuning {
        *self.0.any_node().tuning.borrow()
    }
}

impl Shared {
    fn any_node(&self) -> Arc<Node> {
        self.node.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

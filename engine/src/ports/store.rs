//! The Store port: truth. Rows, events, idempotency and read tables, in whole units of work.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

use crate::model::{
    AuthorState, Committed, Costs, Epoch, Event, FollowView, Handle, Identity, LoggedEvent, Measured, Millis,
    NewSession, Position, Post, PostId, Refresh, Refreshed, Rejection, Request, SessionId, SlotRange, Stamp, Tuning,
    User, UserId,
};

/// Why the store did not answer.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum StoreError {
    /// It cannot be reached, is overloaded, or did not answer in time. For a command: nothing was committed.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The command may or may not be committed: look its key up with [`Store::settled`].
    #[error("the outcome of the commit is unknown: {0}")]
    OutcomeUnknown(String),
    /// What it holds cannot be understood.
    #[error("the store holds something malformed: {0}")]
    Corrupt(String),
}

/// Why a command was not committed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum CommitError {
    /// It breaks a rule; nothing was changed.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A page of an author's followers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Followers {
    /// Followers within the slots asked for, by rising id; the author is not among them.
    pub readers: Vec<UserId>,
    /// Where the next page begins after; none: there is no more.
    pub next: Option<UserId>,
    /// A follow made at or after this stamp may be missing.
    pub stamp: Stamp,
}

/// A list of users that belongs to one user.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UserList {
    /// Who follows the user.
    Followers,
    /// Whom the user follows.
    Following,
    /// Whom the user mutes.
    Mutes,
    /// Whom the user blocks.
    Blocks,
}

/// A tuning version with its author's handle resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedTuning {
    /// The version.
    pub tuning: Tuning,
    /// Handle of the operator, or `config` or `default`.
    pub changed_by: Box<str>,
}

/// What the janitor may take away by now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Removable {
    /// Idempotency records made before this.
    pub keys_before: Millis,
    /// Events up to and including this number.
    pub events_to: Position,
    /// Sessions whose token ended before this.
    pub sessions_before: Millis,
}

/// A user to import.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportedUser {
    /// The id to have.
    pub id: UserId,
    /// The handle to have.
    pub handle: Handle,
}

/// A post to import.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportedPost {
    /// The id to have; rising within its author.
    pub id: PostId,
    /// Who wrote it.
    pub author: UserId,
    /// What it says.
    pub text: Box<str>,
}

/// The store.
///
/// A read sees every command that was acknowledged before it began.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The identity of this history. `witness` is an event that the caller knows to have been numbered in it: where
    /// the store has another event under that number, or has not come to it yet, its history is not what the caller
    /// knows (it was restored), and is given a new identity first.
    async fn epoch(&self, witness: Option<&LoggedEvent>) -> Result<Epoch, StoreError>;

    // Users.

    /// The user with this handle, made if there is none (`name` is then its name).
    async fn make_user(&self, handle: &Handle, name: &str) -> Result<User, StoreError>;
    /// The user of this identity. At its first sight the user is made in the same transaction, with the first of
    /// `handles` that nobody has and with this name; that none of them is free is [`StoreError::Unavailable`].
    async fn user_of_identity(&self, identity: &Identity, handles: &[Handle], name: &str) -> Result<User, StoreError>;
    /// Makes an identity that is nobody's one of `user`'s; whose it is then. None: it is nobody's, for there is no such
    /// user.
    async fn link_identity(&self, identity: &Identity, user: UserId) -> Result<Option<User>, StoreError>;
    /// The users with these ids, in the same order.
    async fn users(&self, ids: &[UserId]) -> Result<Vec<Option<User>>, StoreError>;
    /// The user with this handle.
    async fn user_by_handle(&self, handle: &Handle) -> Result<Option<User>, StoreError>;
    /// Whether there is any user.
    async fn has_users(&self) -> Result<bool, StoreError>;
    /// Up to `limit` users, in an order of the store's own, behind `after`, the last one told before (at first id 0). For
    /// going over the whole graph.
    async fn all_users(&self, after: UserId, limit: usize) -> Result<Vec<UserId>, StoreError>;
    /// Up to `limit` ids of one of `user`'s lists, by rising id, after `after`.
    async fn user_list(
        &self,
        user: UserId,
        list: UserList,
        after: UserId,
        limit: usize,
    ) -> Result<Vec<UserId>, StoreError>;

    // Sessions. They are durable once acknowledged (law 7). Where the outcome is unknown, the same call again tells it,
    // for it names its session and tokens itself: what has happened does not happen twice.

    /// Begins a session of a user that exists. The user then has [`SESSIONS_PER_USER`] at the most: of more, those end
    /// whose token ends first.
    ///
    /// [`SESSIONS_PER_USER`]: crate::limits::SESSIONS_PER_USER
    async fn begin_session(&self, session: &NewSession) -> Result<(), StoreError>;
    /// Spends a token for the next one. Of several at the same time that spend one token, one gets its next; a token
    /// that was spent before ends its session.
    async fn refresh_session(&self, refresh: &Refresh) -> Result<Refreshed, StoreError>;
    /// Ends a session, if there is one.
    async fn end_session(&self, session: &SessionId) -> Result<(), StoreError>;

    // Commands.

    /// Commits a command with its events and its key in one transaction (law 7), or refuses it and changes nothing.
    /// The rules of each command are those of [`Rejection`]. A request whose key has been committed gets that
    /// outcome, marked as replayed; with another fingerprint, [`Rejection::KeyReused`].
    async fn commit(&self, request: &Request) -> Result<Committed, CommitError>;
    /// What became of a request whose commit was interrupted: its outcome, or none if it never will be committed
    /// under an interrupted attempt. [`Rejection::KeyReused`] as for `commit`.
    async fn settled(&self, request: &Request) -> Result<Option<Committed>, CommitError>;

    // Posts.

    /// The posts with these ids, in the same order; none where it was removed or never was.
    async fn posts(&self, ids: &[PostId]) -> Result<Vec<Option<Post>>, StoreError>;
    /// Up to `limit` posts of each author below `before`, newest first, in the order of the authors.
    async fn posts_by(&self, authors: &[UserId], before: PostId, limit: usize) -> Result<Vec<Vec<PostId>>, StoreError>;
    /// The pull truth, whatever is muted or blocked: up to `limit` posts below `before` by those whom the reader
    /// follows and by the reader, newest first. For fills.
    async fn home_all(&self, reader: UserId, before: PostId, limit: usize) -> Result<Vec<PostId>, StoreError>;
    /// The pull truth as the reader may see it: as [`home_all`](Self::home_all), without muted authors and
    /// without a block either way. For pages below every cache.
    async fn home_page(&self, reader: UserId, before: PostId, limit: usize) -> Result<Vec<PostId>, StoreError>;
    /// The newest posts that the reader likes (highest ids first), up to `limit`.
    async fn likes(&self, reader: UserId, limit: usize) -> Result<Vec<PostId>, StoreError>;
    /// Which of these posts the reader likes, in the order given.
    async fn liked(&self, reader: UserId, posts: &[PostId]) -> Result<Vec<PostId>, StoreError>;

    // Follows.

    /// Whom the reader follows, mutes and blocks, with the stamp of this very snapshot.
    async fn view(&self, reader: UserId) -> Result<FollowView, StoreError>;
    /// Up to `limit` followers of `author` in `slots` after `after`, with the stamp of the snapshot.
    async fn followers(
        &self,
        author: UserId,
        slots: SlotRange,
        after: UserId,
        limit: usize,
    ) -> Result<Followers, StoreError>;

    // The outbox and its numbering.

    /// Gives unnumbered events the next numbers, and returns up to `limit` numbered events that are not yet
    /// marked as published, in order of number. Of several nodes that ask, the store may choose one to publish, and
    /// tell the others of none: ask only to publish what is told. With `limit` 0 everything committed has its number
    /// afterwards, and the node is not chosen.
    async fn number_events(&self, limit: usize) -> Result<Vec<LoggedEvent>, StoreError>;
    /// Marks every event up to `position` as published.
    async fn mark_published(&self, position: Position) -> Result<(), StoreError>;
    /// Returns when there may be events to number. May return for nothing, and may miss: poll besides.
    async fn wait_for_events(&self);
    /// The highest number given so far.
    async fn last_position(&self) -> Result<Position, StoreError>;
    /// Up to `limit` numbered events after `after`, in order of number, and the position before the oldest that is
    /// kept: a reader below it has missed events.
    async fn events(&self, after: Position, limit: usize) -> Result<(Position, Vec<LoggedEvent>), StoreError>;
    /// Puts an event into the outbox once more, to be numbered anew: a dead letter that can be applied by now.
    async fn emit(&self, event: &Event) -> Result<(), StoreError>;

    // Leases.

    /// Renews the lease of `holder` in `role` for `ttl` (zero gives it up), and returns who holds one now, by rising
    /// number. Leases only save work: whoever relies on one that has run out does harmless double work.
    async fn lease(&self, role: &str, holder: u64, ttl: Duration) -> Result<Vec<u64>, StoreError>;

    // Read tables.

    /// The reader's checkpoint: the bytes last saved.
    async fn checkpoint(&self, reader: UserId) -> Result<Option<Bytes>, StoreError>;
    /// Saves checkpoints. Losing some in a crash is allowed.
    async fn save_checkpoints(&self, checkpoints: &[(UserId, Bytes)]) -> Result<(), StoreError>;

    // Channels and tuning.

    /// Every author that has ever posted on pull, with its newest pull post, by rising id after `after`.
    async fn pull_authors(&self, after: UserId, limit: usize) -> Result<Vec<(UserId, PostId)>, StoreError>;
    /// An author as operators see it: its heat is reckoned against the present tuning.
    async fn author(&self, author: UserId) -> Result<Option<AuthorState>, StoreError>;
    /// The present tuning. A new store has version 1, by default.
    async fn tuning(&self) -> Result<Tuning, StoreError>;
    /// Up to `limit` versions below `before`, newest first.
    async fn tunings(&self, before: u64, limit: usize) -> Result<Vec<ListedTuning>, StoreError>;
    /// Adds a sample, taken at `at`, to what all nodes have measured, in one step; what has come of it, which the commands
    /// that follow choose channels by.
    async fn add_costs(&self, sample: &Measured, at: Millis) -> Result<Costs, StoreError>;
    /// A text kept under a name: small facts of the node's operator, such as what the configuration file last said.
    async fn note(&self, name: &str) -> Result<Option<String>, StoreError>;
    /// Keeps a text (at most 4 KiB) under a name, durably.
    async fn set_note(&self, name: &str, text: &str) -> Result<(), StoreError>;
    /// Keeps a text (at most 4 KiB) under a name that has none; the text that is kept there then, for all who ask.
    async fn agree_on_note(&self, name: &str, text: &str) -> Result<String, StoreError>;
    /// Keeps a text (at most 4 KiB) under a name in the place of `known`; whether that was still what was kept.
    async fn replace_note(&self, name: &str, known: &str, text: &str) -> Result<bool, StoreError>;

    // Upkeep.

    /// Removes up to `limit` rows that nobody needs any more; returns how many.
    async fn remove_old(&self, what: Removable, limit: usize) -> Result<usize, StoreError>;

    // Bulk import, for a store that no node serves. Repeating a batch changes nothing.

    /// Imports users.
    async fn import_users(&self, users: &[ImportedUser]) -> Result<(), StoreError>;
    /// Imports whom one user follows; the users exist. Follows of oneself are dropped.
    async fn import_follows(&self, follows: &[(UserId, Vec<UserId>)]) -> Result<(), StoreError>;
    /// Imports posts; the authors exist. The channel is chosen by the tuning and the followers of that moment.
    async fn import_posts(&self, posts: &[ImportedPost]) -> Result<(), StoreError>;
    /// Ends an import: counters and read tables are right, and the epoch is a new one.
    async fn finish_import(&self) -> Result<Epoch, StoreError>;
}

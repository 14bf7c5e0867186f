//! The Store port over one redb file: commands go to the writer, reads are snapshots taken where they are asked.
//! A snapshot taken after an acknowledgement holds what was acknowledged (law 7).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable};
use tokio::sync::Notify;

use super::codec::UserRow;
use super::fault::Fault;
use super::tables::{META_EPOCH, META_POSITION, META_SCHEMA, SCHEMA};
use super::writer::Writer;
use super::writing::{Need, Writing};
use super::{commands, events, home, import, reads};
use crate::limits::LOGICAL_SHARDS;
use crate::model::{
    AuthorState, ChangedBy, Committed, Epoch, FollowView, Handle, Millis, NumberedEvent, Position, Post, PostId,
    Request, SlotRange, Tuning, TuningSettings, User, UserId,
};
use crate::ports::{
    Clock, CommitError, Followers, ImportedPost, ImportedUser, ListedTuning, Removable, Store, StoreError, UserList,
};

/// The file within the store's folder.
const FILE: &str = "tributary.redb";
/// Pages of the file kept in memory, in bytes.
const CACHE_BYTES: usize = 512 * 1024 * 1024;
/// A merge over more authors than this takes milliseconds: it leaves the runtime's thread.
const INLINE_AUTHORS: usize = 2_000;

/// The store of one process. Dropping it ends its writer and closes the file.
pub struct EmbeddedStore {
    database: Arc<Database>,
    writer: Writer,
    /// Notified when a commit gave new numbers.
    numbered: Arc<Notify>,
    /// Up to where the relay has published.
    published: AtomicU64,
}

impl EmbeddedStore {
    /// Opens the store in `folder`, and makes both where they are missing.
    ///
    /// # Errors
    /// When the folder cannot be made or written, another process has the store open, or another version wrote it.
    pub fn open(folder: &Path, clock: Clock) -> Result<Arc<Self>, StoreError> {
        let doing = |what: &str, why: &dyn std::fmt::Display| {
            StoreError::Unavailable(format!("{what} {}: {why}", folder.display()))
        };
        std::fs::create_dir_all(folder).map_err(|why| doing("making the folder", &why))?;
        let file = folder.join(FILE);
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(file).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => {
                doing("opening the store in", &"it is open already; end the other process, or use another folder")
            }
            DatabaseError::Storage(redb::StorageError::Corrupted(why)) => {
                StoreError::Corrupt(format!("opening the store in {}: {why}", folder.display()))
            }
            error => doing("opening the store in", &error),
        })?;
        prepare(&database, clock.now()).map_err(|fault| fault.during("preparing the store"))?;
        let database = Arc::new(database);
        let numbered = Arc::new(Notify::new());
        let writer = Writer::start(database.clone(), clock, numbered.clone())
            .map_err(|why| doing("starting the writing thread of", &why))?;
        let store = Self { database, writer, numbered, published: AtomicU64::new(0) };
        let last = store.read("reading the last position", |t| reads::number(t, META_POSITION))?;
        store.published.store(last, Ordering::Release);
        Ok(Arc::new(store))
    }

    #[cfg(test)]
    pub(super) fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Up to where events count as published.
    pub(super) fn published(&self) -> Position {
        Position(self.published.load(Ordering::Acquire))
    }

    /// Reads from a snapshot of now.
    pub(super) fn read<T>(
        &self,
        doing: &'static str,
        read: impl FnOnce(&ReadTransaction) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let begun = self.database.begin_read().map_err(Fault::from);
        begun.and_then(|t| read(&t)).map_err(|fault| fault.during(doing))
    }

    /// Merges the posts of the authors that `authors` names in the same snapshot.
    async fn home(
        &self,
        doing: &'static str,
        authors: impl FnOnce(&ReadTransaction) -> Result<Vec<UserId>, Fault>,
        before: PostId,
        limit: usize,
    ) -> Result<Vec<PostId>, StoreError> {
        let long = {
            let t = self.database.begin_read().map_err(|error| Fault::from(error).during(doing))?;
            let authors = authors(&t).map_err(|fault| fault.during(doing))?;
            if authors.len() <= INLINE_AUTHORS {
                return home::merge(&t, &authors, before, limit).map_err(|fault| fault.during(doing));
            }
            tokio::task::spawn_blocking(move || home::merge(&t, &authors, before, limit))
        };
        let merged = long.await.map_err(|error| StoreError::Unavailable(format!("{doing}: {error}")))?;
        merged.map_err(|fault| fault.during(doing))
    }
}

/// Makes the tables and first rows of a new store; refuses one of another schema.
fn prepare(database: &Database, now: Millis) -> Result<(), Fault> {
    let transaction = database.begin_write()?;
    {
        let mut w = Writing::open(&transaction, now)?;
        let schema = w.meta.get(META_SCHEMA)?.map(|version| version.value());
        match schema {
            Some(SCHEMA) => {}
            Some(version) => {
                let why = format!("its schema is version {version}, this program knows version {SCHEMA}");
                return Err(Fault::Conflict(why));
            }
            None => {
                w.meta.insert(META_SCHEMA, SCHEMA)?;
                w.meta.insert(META_EPOCH, import::new_epoch().0)?;
                let settings = TuningSettings::default();
                w.put_tuning(Tuning { version: 1, settings, changed_by: ChangedBy::Default, changed_at: now })?;
            }
        }
    }
    Ok(transaction.commit()?)
}

/// The user with this handle, made if there is none.
fn make_user(w: &mut Writing<'_>, handle: &Handle, name: &str) -> Result<User, Fault> {
    let known = w.handles.get(handle.as_str())?.map(|id| UserId(id.value()));
    if let Some(id) = known {
        let row = w.user(id)?.ok_or(Fault::Malformed("a handle names an unknown user"))?;
        return Ok(row.user(id));
    }
    // FNV-1a: handles spread over the logical shards, the same on every machine.
    let hash = handle
        .as_str()
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    let shard = (hash % u64::from(LOGICAL_SHARDS)) as u16;
    let mut id = UserId::new(w.now, shard, 0);
    while w.users.get(id.0)?.is_some() {
        // The same scheme as a post's: the next sequence, else the next millisecond.
        id = UserId(PostId::after(PostId(id.0), w.now, shard).0);
    }
    let row = UserRow::new(handle.clone(), name);
    w.put_user(id, &row)?;
    w.handles.insert(handle.as_str(), id.0)?;
    w.must(Need::Durable);
    Ok(row.user(id))
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn epoch(&self) -> Result<Epoch, StoreError> {
        self.read("reading the epoch", |t| reads::number(t, META_EPOCH).map(Epoch))
    }

    async fn make_user(&self, handle: &Handle, name: &str) -> Result<User, StoreError> {
        if let Some(user) = self.user_by_handle(handle).await? {
            return Ok(user);
        }
        let (handle, name) = (handle.clone(), name.to_owned());
        self.writer.write("making a user", move |w| make_user(w, &handle, &name)).await
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<Option<User>>, StoreError> {
        self.read("reading users", |t| reads::users(t, ids))
    }

    async fn has_users(&self) -> Result<bool, StoreError> {
        self.read("looking for users", reads::has_users)
    }

    async fn user_by_handle(&self, handle: &Handle) -> Result<Option<User>, StoreError> {
        self.read("reading a user by handle", |t| reads::user_by_handle(t, handle))
    }

    async fn user_list(
        &self,
        user: UserId,
        list: UserList,
        after: UserId,
        limit: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        self.read("reading a list of users", |t| reads::user_list(t, user, list, after, limit))
    }

    async fn commit(&self, request: &Request) -> Result<Committed, CommitError> {
        let request = request.clone();
        Ok(self.writer.write("applying a command", move |w| commands::commit(w, &request)).await??)
    }

    /// Waits in the same queue as commands: an interrupted attempt is either found, or was skipped.
    async fn settled(&self, request: &Request) -> Result<Option<Committed>, CommitError> {
        let request = request.clone();
        Ok(self.writer.write("looking up a command", move |w| commands::settled(w, &request)).await??)
    }

    async fn posts(&self, ids: &[PostId]) -> Result<Vec<Option<Post>>, StoreError> {
        self.read("reading posts", |t| reads::posts(t, ids))
    }

    async fn posts_by(&self, authors: &[UserId], before: PostId, limit: usize) -> Result<Vec<Vec<PostId>>, StoreError> {
        self.read("reading the posts of authors", |t| reads::posts_by(t, authors, before, limit))
    }

    async fn home_all(&self, reader: UserId, before: PostId, limit: usize) -> Result<Vec<PostId>, StoreError> {
        self.home("reading a whole home timeline", |t| home::authors(t, reader), before, limit).await
    }

    async fn home_page(&self, reader: UserId, before: PostId, limit: usize) -> Result<Vec<PostId>, StoreError> {
        self.home("reading a home timeline", |t| home::visible_authors(t, reader), before, limit).await
    }

    async fn likes(&self, reader: UserId, limit: usize) -> Result<Vec<PostId>, StoreError> {
        self.read("reading likes", |t| reads::likes(t, reader, limit))
    }

    async fn liked(&self, reader: UserId, posts: &[PostId]) -> Result<Vec<PostId>, StoreError> {
        self.read("reading which posts are liked", |t| reads::liked(t, reader, posts))
    }

    async fn view(&self, reader: UserId) -> Result<FollowView, StoreError> {
        self.read("reading a follow view", |t| reads::view(t, reader))
    }

    async fn followers(
        &self,
        author: UserId,
        slots: SlotRange,
        after: UserId,
        limit: usize,
    ) -> Result<Followers, StoreError> {
        self.read("reading followers", |t| reads::followers(t, author, slots, after, limit))
    }

    async fn number_events(&self, limit: usize) -> Result<Vec<NumberedEvent>, StoreError> {
        let after = self.published();
        self.read("reading unpublished events", |t| events::numbered(t, after, Position(u64::MAX), limit))
    }

    async fn mark_published(&self, position: Position) -> Result<(), StoreError> {
        self.published.fetch_max(position.0, Ordering::AcqRel);
        Ok(())
    }

    async fn wait_for_events(&self) {
        self.numbered.notified().await;
    }

    async fn last_position(&self) -> Result<Position, StoreError> {
        self.read("reading the last position", |t| reads::number(t, META_POSITION).map(Position))
    }

    async fn events(&self, after: Position, limit: usize) -> Result<(Position, Vec<NumberedEvent>), StoreError> {
        self.read("reading events", |t| Ok((events::floor(t)?, events::numbered(t, after, Position(u64::MAX), limit)?)))
    }

    async fn checkpoint(&self, reader: UserId) -> Result<Option<Bytes>, StoreError> {
        self.read("reading a checkpoint", |t| reads::checkpoint(t, reader))
    }

    /// Without an fsync of its own: durable with the next command, or lost in a crash.
    async fn save_checkpoints(&self, checkpoints: &[(UserId, Bytes)]) -> Result<(), StoreError> {
        let checkpoints = checkpoints.to_vec();
        let save = move |w: &mut Writing<'_>| {
            for (reader, bytes) in &checkpoints {
                w.checkpoints.insert(reader.0, &**bytes)?;
            }
            w.must(Need::Visible);
            Ok(())
        };
        self.writer.write("saving checkpoints", save).await
    }

    async fn pull_authors(&self, after: UserId, limit: usize) -> Result<Vec<(UserId, PostId)>, StoreError> {
        self.read("reading authors on pull", |t| reads::pull_authors(t, after, limit))
    }

    async fn author(&self, author: UserId) -> Result<Option<AuthorState>, StoreError> {
        self.read("reading an author", |t| reads::author(t, author))
    }

    async fn tuning(&self) -> Result<Tuning, StoreError> {
        self.read("reading the tuning", reads::tuning)
    }

    async fn tunings(&self, before: u64, limit: usize) -> Result<Vec<ListedTuning>, StoreError> {
        self.read("reading tunings", |t| reads::tunings(t, before, limit))
    }

    async fn note(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.read("reading a note", |t| reads::note(t, name))
    }

    async fn set_note(&self, name: &str, text: &str) -> Result<(), StoreError> {
        let (name, text) = (name.to_owned(), text.to_owned());
        let set = move |w: &mut Writing<'_>| {
            w.notes.insert(name.as_str(), text.as_str())?;
            w.must(Need::Durable);
            Ok(())
        };
        self.writer.write("keeping a note", set).await
    }

    async fn remove_old(&self, what: Removable, limit: usize) -> Result<usize, StoreError> {
        let what = Removable { events_to: what.events_to.min(self.published()), ..what };
        self.writer.write("removing old rows", move |w| events::remove_old(w, what, limit)).await
    }

    async fn import_users(&self, users: &[ImportedUser]) -> Result<(), StoreError> {
        let users = users.to_vec();
        self.writer.write("importing users", move |w| import::users(w, &users)).await
    }

    async fn import_follows(&self, follows: &[(UserId, Vec<UserId>)]) -> Result<(), StoreError> {
        let follows = follows.to_vec();
        self.writer.write("importing follows", move |w| import::follows(w, &follows)).await
    }

    async fn import_posts(&self, posts: &[ImportedPost]) -> Result<(), StoreError> {
        let posts = posts.to_vec();
        self.writer.write("importing posts", move |w| import::posts(w, &posts)).await
    }

    async fn finish_import(&self) -> Result<Epoch, StoreError> {
        self.writer.write("finishing an import", import::finish).await
    }
}

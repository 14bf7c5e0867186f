//! The store itself: one redb file, opened and closed, its writer, and snapshots to read from. What the port asks of
//! it stands in [`port`](super::port).

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable};
use tokio::sync::Notify;

use super::fault::Fault;
use super::tables::{META_EPOCH, META_POSITION, META_SCHEMA, SCHEMA};
use super::writer::Writer;
use super::writing::Writing;
use super::{home, import, reads};
use crate::model::{ChangedBy, Millis, Position, PostId, Tuning, TuningSettings, UserId};
use crate::ports::{Clock, StoreError};

/// The file within the store's folder.
const FILE: &str = "tributary.redb";
/// Pages of the file kept in memory, in bytes.
const CACHE_BYTES: usize = 512 * 1024 * 1024;
/// A merge over more authors than this takes milliseconds: it leaves the runtime's thread.
const INLINE_AUTHORS: usize = 2_000;

/// The store of one process. Dropping it ends its writer and closes the file.
pub struct EmbeddedStore {
    database: Arc<Database>,
    pub(super) writer: Writer,
    /// Notified when a commit gave new numbers.
    pub(super) numbered: Arc<Notify>,
    /// Up to where the relay has published.
    pub(super) published: AtomicU64,
    /// Who holds a lease in each role, and until when.
    pub(super) leases: Mutex<HashMap<Box<str>, BTreeMap<u64, Instant>>>,
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
        let store = Self { database, writer, numbered, published: AtomicU64::new(0), leases: Mutex::default() };
        let last = store.read("reading the last position", |t| reads::number(t, META_POSITION))?;
        store.published.store(last, Ordering::Release);
        Ok(Arc::new(store))
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
    pub(super) async fn home(
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

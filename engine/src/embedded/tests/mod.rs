//! What is this adapter's own: groups, chunks, numbers, files. The laws of the ports are in the contract suites.

mod commands;
mod fuzz;
mod groups;
mod import;
mod log;
mod reads;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use super::EmbeddedStore;
use crate::model::{
    Command, CommandKey, Committed, Event, Outcome, Position, PostId, Rejection, Request, TuningSettings, UserId,
};
use crate::ports::{Clock, CommitError, Store};

/// 2026-01-01.
const START_MS: u64 = 1_767_225_600_000;

/// A store in a folder of its own, with a clock in the test's hand.
struct World {
    store: Arc<EmbeddedStore>,
    time: Arc<AtomicU64>,
    folder: TempDir,
    keys: AtomicU64,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let time = Arc::new(AtomicU64::new(START_MS));
        let store = EmbeddedStore::open(folder.path(), Clock::Manual(time.clone())).expect("a new store");
        Self { store, time, folder, keys: AtomicU64::new(0) }
    }

    /// Closes the store and opens it again.
    fn reopen(self) -> Self {
        let Self { store, time, folder, keys } = self;
        drop(store);
        let store = EmbeddedStore::open(folder.path(), Clock::Manual(time.clone())).expect("the same store");
        Self { store, time, folder, keys }
    }

    fn pass_ms(&self, ms: u64) {
        self.time.fetch_add(ms, Ordering::Relaxed);
    }

    async fn user(&self, handle: &str) -> UserId {
        self.store.make_user(&handle.parse().expect("a handle"), handle).await.expect("a user").card.id
    }

    fn request(&self, actor: UserId, command: Command) -> Request {
        let key = self.keys.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        Request { actor, key: CommandKey { key: key.into(), fingerprint: [0; 16] }, command }
    }

    async fn commit(&self, actor: UserId, command: Command) -> Result<Committed, CommitError> {
        self.store.commit(&self.request(actor, command)).await
    }

    /// Commits a command that must succeed.
    async fn done(&self, actor: UserId, command: Command) -> Outcome {
        self.commit(actor, command.clone()).await.unwrap_or_else(|error| panic!("{command:?}: {error}")).outcome
    }

    async fn rejected(&self, actor: UserId, command: Command) -> Rejection {
        let before = self.events().await;
        match self.commit(actor, command.clone()).await {
            Err(CommitError::Rejected(rejection)) => {
                assert_eq!(self.events().await, before, "a rejection leaves no trace");
                rejection
            }
            other => panic!("{command:?}: {other:?}"),
        }
    }

    async fn post(&self, author: UserId, text: &str) -> PostId {
        match self.done(author, Command::Publish { text: text.into() }).await {
            Outcome::Posted { post, .. } => post.id,
            other => panic!("{other:?}"),
        }
    }

    async fn follow(&self, reader: UserId, author: UserId) {
        self.done(reader, Command::Follow { user: author, limit: 0 }).await;
    }

    async fn thresholds(&self, enter_followers: u64, leave_followers: u64) {
        let settings = TuningSettings { enter_followers, leave_followers, ..TuningSettings::default() };
        let by = crate::model::ChangedBy::Config;
        self.done(UserId(0), Command::Tune { expected: None, settings, by }).await;
    }

    /// Every event so far, asserting that their numbers have no gap.
    async fn events(&self) -> Vec<Event> {
        let (floor, events) = self.store.events(Position::ZERO, usize::MAX).await.expect("events");
        for (event, number) in events.iter().zip(floor.0 + 1..) {
            assert_eq!(event.position.0, number);
        }
        events.into_iter().map(|event| event.decode().expect("an event").event).collect()
    }
}

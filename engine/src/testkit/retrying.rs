//! A store that never gives up: it tries again what was unavailable, and looks a commit's key up when its outcome
//! is unknown, as law 7 asks of whoever commands. Over a faulty store it must behave as the store itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::model::{
    AuthorState, Committed, Costs, Epoch, Event, FollowView, Handle, Identity, LoggedEvent, Measured, Millis,
    NewSession, Position, Post, PostId, Refresh, Refreshed, Request, SessionId, SlotRange, Tuning, User, UserId,
};
use crate::ports::{
    CommitError, Followers, ImportedPost, ImportedUser, ListedTuning, Removable, Store, StoreError, UserList,
};

/// Attempts at the most: enough for any probability of faults below 1.
const ATTEMPTS: usize = 10_000;

/// Any store, tried again until it answers.
pub struct RetryingStore {
    inner: Arc<dyn Store>,
}

impl RetryingStore {
    /// `inner`, tried again until it answers.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner }
    }
}

/// An error after which the same call may succeed.
trait Passing {
    fn passes(&self) -> bool;
}

impl Passing for StoreError {
    fn passes(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl Passing for CommitError {
    fn passes(&self) -> bool {
        matches!(self, Self::Store(error) if error.passes())
    }
}

async fn retry<T, E: Passing, F: Future<Output = Result<T, E>>>(call: impl Fn() -> F) -> Result<T, E> {
    for _ in 1..ATTEMPTS {
        match call().await {
            Err(error) if error.passes() => tokio::task::yield_now().await,
            answer => return answer,
        }
    }
    call().await
}

/// What became of a call that tells it when it is made again.
async fn settle<T, F: Future<Output = Result<T, StoreError>>>(call: impl Fn() -> F) -> Result<T, StoreError> {
    for _ in 1..ATTEMPTS {
        match retry(&call).await {
            Err(StoreError::OutcomeUnknown(_)) => {}
            answer => return answer,
        }
    }
    retry(&call).await
}

#[async_trait]
impl Store for RetryingStore {
    async fn commit(&self, request: &Request) -> Result<Committed, CommitError> {
        for _ in 1..ATTEMPTS {
            match retry(|| self.inner.commit(request)).await {
                Err(CommitError::Store(StoreError::OutcomeUnknown(_))) => {}
                answer => return answer,
            }
            // Only "never will be committed" allows another attempt.
            if let Some(committed) = retry(|| self.inner.settled(request)).await? {
                return Ok(committed);
            }
        }
        retry(|| self.inner.commit(request)).await
    }

    async fn settled(&self, request: &Request) -> Result<Option<Committed>, CommitError> {
        retry(|| self.inner.settled(request)).await
    }

    async fn begin_session(&self, session: &NewSession) -> Result<(), StoreError> {
        settle(|| self.inner.begin_session(session)).await
    }

    async fn refresh_session(&self, refresh: &Refresh) -> Result<Refreshed, StoreError> {
        settle(|| self.inner.refresh_session(refresh)).await
    }

    async fn end_session(&self, session: &SessionId) -> Result<(), StoreError> {
        settle(|| self.inner.end_session(session)).await
    }

    async fn wait_for_events(&self) {
        self.inner.wait_for_events().await;
    }

    async fn epoch(&self, witness: Option<&LoggedEvent>) -> Result<Epoch, StoreError> {
        retry(|| self.inner.epoch(witness)).await
    }

    async fn make_user(&self, handle: &Handle, name: &str) -> Result<User, StoreError> {
        retry(|| self.inner.make_user(handle, name)).await
    }

    async fn user_of_identity(&self, identity: &Identity, handles: &[Handle], name: &str) -> Result<User, StoreError> {
        retry(|| self.inner.user_of_identity(identity, handles, name)).await
    }

    async fn link_identity(&self, identity: &Identity, user: UserId) -> Result<Option<User>, StoreError> {
        retry(|| self.inner.link_identity(identity, user)).await
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<Option<User>>, StoreError> {
        retry(|| self.inner.users(ids)).await
    }

    async fn has_users(&self) -> Result<bool, StoreError> {
        retry(|| self.inner.has_users()).await
    }

    async fn user_by_handle(&self, handle: &Handle) -> Result<Option<User>, StoreError> {
        retry(|| self.inner.user_by_handle(handle)).await
    }

    async fn all_users(&self, after: UserId, limit: usize) -> Result<Vec<UserId>, StoreError> {
        retry(|| self.inner.all_users(after, limit)).await
    }

    async fn user_list(
        &self,
        user: UserId,
        list: UserList,
        after: UserId,
        limit: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        retry(|| self.inner.user_list(user, list, after, limit)).await
    }

    async fn posts(&self, ids: &[PostId]) -> Result<Vec<Option<Post>>, StoreError> {
        retry(|| self.inner.posts(ids)).await
    }

    async fn posts_by(&self, authors: &[UserId], before: PostId, limit: usize) -> Result<Vec<Vec<PostId>>, StoreError> {
        retry(|| self.inner.posts_by(authors, before, limit)).await
    }

    async fn home_all(&self, reader: UserId, before: PostId, limit: usize) -> Result<Vec<PostId>, StoreError> {
        retry(|| self.inner.home_all(reader, before, limit)).await
    }

    async fn home_page(&self, reader: UserId, before: PostId, limit: usize) -> Result<Vec<PostId>, StoreError> {
        retry(|| self.inner.home_page(reader, before, limit)).await
    }

    async fn likes(&self, reader: UserId, limit: usize) -> Result<Vec<PostId>, StoreError> {
        retry(|| self.inner.likes(reader, limit)).await
    }

    async fn liked(&self, reader: UserId, posts: &[PostId]) -> Result<Vec<PostId>, StoreError> {
        retry(|| self.inner.liked(reader, posts)).await
    }

    async fn view(&self, reader: UserId) -> Result<FollowView, StoreError> {
        retry(|| self.inner.view(reader)).await
    }

    async fn followers(
        &self,
        author: UserId,
        slots: SlotRange,
        after: UserId,
        limit: usize,
    ) -> Result<Followers, StoreError> {
        retry(|| self.inner.followers(author, slots, after, limit)).await
    }

    async fn number_events(&self, limit: usize) -> Result<Vec<LoggedEvent>, StoreError> {
        retry(|| self.inner.number_events(limit)).await
    }

    async fn mark_published(&self, position: Position) -> Result<(), StoreError> {
        retry(|| self.inner.mark_published(position)).await
    }

    async fn last_position(&self) -> Result<Position, StoreError> {
        retry(|| self.inner.last_position()).await
    }

    async fn events(&self, after: Position, limit: usize) -> Result<(Position, Vec<LoggedEvent>), StoreError> {
        retry(|| self.inner.events(after, limit)).await
    }

    async fn emit(&self, event: &Event) -> Result<(), StoreError> {
        retry(|| self.inner.emit(event)).await
    }

    async fn lease(&self, role: &str, holder: u64, ttl: Duration) -> Result<Vec<u64>, StoreError> {
        retry(|| self.inner.lease(role, holder, ttl)).await
    }

    async fn checkpoint(&self, reader: UserId) -> Result<Option<Bytes>, StoreError> {
        retry(|| self.inner.checkpoint(reader)).await
    }

    async fn pull_authors(&self, after: UserId, limit: usize) -> Result<Vec<(UserId, PostId)>, StoreError> {
        retry(|| self.inner.pull_authors(after, limit)).await
    }

    async fn author(&self, author: UserId) -> Result<Option<AuthorState>, StoreError> {
        retry(|| self.inner.author(author)).await
    }

    async fn tuning(&self) -> Result<Tuning, StoreError> {
        retry(|| self.inner.tuning()).await
    }

    async fn tunings(&self, before: u64, limit: usize) -> Result<Vec<ListedTuning>, StoreError> {
        retry(|| self.inner.tunings(before, limit)).await
    }

    async fn add_costs(&self, sample: &Measured, at: Millis) -> Result<Costs, StoreError> {
        retry(|| self.inner.add_costs(sample, at)).await
    }

    async fn note(&self, name: &str) -> Result<Option<String>, StoreError> {
        retry(|| self.inner.note(name)).await
    }

    async fn set_note(&self, name: &str, text: &str) -> Result<(), StoreError> {
        retry(|| self.inner.set_note(name, text)).await
    }

    async fn agree_on_note(&self, name: &str, text: &str) -> Result<String, StoreError> {
        retry(|| self.inner.agree_on_note(name, text)).await
    }

    async fn replace_note(&self, name: &str, known: &str, text: &str) -> Result<bool, StoreError> {
        retry(|| self.inner.replace_note(name, known, text)).await
    }

    async fn remove_old(&self, what: Removable, limit: usize) -> Result<usize, StoreError> {
        retry(|| self.inner.remove_old(what, limit)).await
    }

    async fn import_users(&self, users: &[ImportedUser]) -> Result<(), StoreError> {
        retry(|| self.inner.import_users(users)).await
    }

    async fn import_posts(&self, posts: &[ImportedPost]) -> Result<(), StoreError> {
        retry(|| self.inner.import_posts(posts)).await
    }

    async fn finish_import(&self) -> Result<Epoch, StoreError> {
        retry(|| self.inner.finish_import()).await
    }

    async fn save_checkpoints(&self, checkpoints: &[(UserId, Bytes)]) -> Result<(), StoreError> {
        retry(|| self.inner.save_checkpoints(checkpoints)).await
    }

    async fn import_follows(&self, follows: &[(UserId, Vec<UserId>)]) -> Result<(), StoreError> {
        retry(|| self.inner.import_follows(follows)).await
    }
}

//! A store that fails on purpose: it refuses, and it leaves the outcome of a commit unknown, whether or not it
//! happened. Retrying by key must settle every command (law 7).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Fault, Faults};
use crate::model::{
    AuthorState, Committed, Costs, Epoch, Event, FollowView, Handle, Identity, LoggedEvent, Measured, Millis,
    NewSession, Position, Post, PostId, Refresh, Refreshed, Request, SessionId, SlotRange, Tuning, User, UserId,
};
use crate::ports::{
    CommitError, Followers, ImportedPost, ImportedUser, ListedTuning, Removable, Store, StoreError, UserList,
};

/// Any store, with faults.
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    faults: Arc<Faults>,
}

impl FaultyStore {
    /// `inner` with `faults`.
    pub fn new(inner: Arc<dyn Store>, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }

    fn available(&self) -> Result<(), StoreError> {
        if self.faults.store_is_gone() || self.faults.strikes(Fault::StoreUnavailable) {
            return Err(StoreError::Unavailable("an injected fault".into()));
        }
        Ok(())
    }

    /// As [`available`](Self::available), for what requests ask; noted in [`Faults::asked`].
    fn asked(&self, what: &'static str) -> Result<(), StoreError> {
        self.faults.note(what);
        self.available()
    }

    /// A commit that may be lost, or only its reply.
    async fn committed<T, E: From<StoreError>, F: Future<Output = Result<T, E>>>(
        &self,
        commit: impl FnOnce() -> F,
    ) -> Result<T, E> {
        self.available()?;
        let unknown = || StoreError::OutcomeUnknown("an injected fault".into());
        if self.faults.strikes(Fault::CommitLost) {
            return Err(unknown().into());
        }
        let committed = commit().await?;
        if self.faults.strikes(Fault::CommitReplyLost) {
            return Err(unknown().into());
        }
        Ok(committed)
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn commit(&self, request: &Request) -> Result<Committed, CommitError> {
        self.faults.note("commit");
        self.committed(|| self.inner.commit(request)).await
    }

    async fn begin_session(&self, session: &NewSession) -> Result<(), StoreError> {
        self.committed(|| self.inner.begin_session(session)).await
    }

    async fn refresh_session(&self, refresh: &Refresh) -> Result<Refreshed, StoreError> {
        self.committed(|| self.inner.refresh_session(refresh)).await
    }

    async fn end_session(&self, session: &SessionId) -> Result<(), StoreError> {
        self.committed(|| self.inner.end_session(session)).await
    }

    async fn wait_for_events(&self) {
        self.inner.wait_for_events().await;
    }

    async fn epoch(&self, witness: Option<&LoggedEvent>) -> Result<Epoch, StoreError> {
        self.available()?;
        self.inner.epoch(witness).await
    }

    async fn make_user(&self, handle: &Handle, name: &str) -> Result<User, StoreError> {
        self.asked("make_user")?;
        self.inner.make_user(handle, name).await
    }

    async fn user_of_identity(&self, identity: &Identity, handles: &[Handle], name: &str) -> Result<User, StoreError> {
        self.available()?;
        self.inner.user_of_identity(identity, handles, name).await
    }

    async fn link_identity(&self, identity: &Identity, user: UserId) -> Result<Option<User>, StoreError> {
        self.available()?;
        self.inner.link_identity(identity, user).await
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<Option<User>>, StoreError> {
        self.asked("users")?;
        self.inner.users(ids).await
    }

    async fn has_users(&self) -> Result<bool, StoreError> {
        self.available()?;
        self.inner.has_users().await
    }

    async fn user_by_handle(&self, handle: &Handle) -> Result<Option<User>, StoreError> {
        self.asked("user_by_handle")?;
        self.inner.user_by_handle(handle).await
    }

    async fn all_users(&self, after: UserId, limit: usize) -> Result<Vec<UserId>, StoreError> {
        self.available()?;
        self.inner.all_users(after, limit).await
    }

    async fn user_list(
        &self,
        user: UserId,
        list: UserList,
        after: UserId,
        limit: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        self.asked("user_list")?;
        self.inner.user_list(user, list, after, limit).await
    }

    async fn settled(&self, request: &Request) -> Result<Option<Committed>, CommitError> {
        self.available()?;
        self.inner.settled(request).await
    }

    async fn posts(&self, ids: &[PostId]) -> Result<Vec<Option<Post>>, StoreError> {
        self.asked("posts")?;
        self.inner.posts(ids).await
    }

    async fn posts_by(&self, authors: &[UserId], before: PostId, limit: usize) -> Result<Vec<Vec<PostId>>, StoreError> {
        self.asked("posts_by")?;
        self.inner.posts_by(authors, before, limit).await
    }

    async fn home_all(&self, reader: UserId, before: PostId, limit: usize) -> Result<Vec<PostId>, StoreError> {
        self.available()?;
        self.inner.home_all(reader, before, limit).await
    }

    async fn home_page(&self, reader: UserId, before: PostId, limit: usize) -> Result<Vec<PostId>, StoreError> {
        self.asked("home_page")?;
        self.inner.home_page(reader, before, limit).await
    }

    async fn likes(&self, reader: UserId, limit: usize) -> Result<Vec<PostId>, StoreError> {
        self.available()?;
        self.inner.likes(reader, limit).await
    }

    async fn liked(&self, reader: UserId, posts: &[PostId]) -> Result<Vec<PostId>, StoreError> {
        self.asked("liked")?;
        self.inner.liked(reader, posts).await
    }

    async fn view(&self, reader: UserId) -> Result<FollowView, StoreError> {
        self.asked("view")?;
        self.inner.view(reader).await
    }

    async fn followers(
        &self,
        author: UserId,
        slots: SlotRange,
        after: UserId,
        limit: usize,
    ) -> Result<Followers, StoreError> {
        self.available()?;
        let limit = if self.faults.strikes(Fault::FollowersFew) { limit.min(2) } else { limit };
        self.inner.followers(author, slots, after, limit).await
    }

    async fn number_events(&self, limit: usize) -> Result<Vec<LoggedEvent>, StoreError> {
        self.available()?;
        self.inner.number_events(limit).await
    }

    async fn mark_published(&self, position: Position) -> Result<(), StoreError> {
        self.available()?;
        self.inner.mark_published(position).await
    }

    async fn last_position(&self) -> Result<Position, StoreError> {
        self.available()?;
        self.inner.last_position().await
    }

    async fn events(&self, after: Position, limit: usize) -> Result<(Position, Vec<LoggedEvent>), StoreError> {
        self.available()?;
        self.inner.events(after, limit).await
    }

    async fn emit(&self, event: &Event) -> Result<(), StoreError> {
        self.available()?;
        self.inner.emit(event).await
    }

    async fn lease(&self, role: &str, holder: u64, ttl: Duration) -> Result<Vec<u64>, StoreError> {
        self.available()?;
        self.inner.lease(role, holder, ttl).await
    }

    async fn checkpoint(&self, reader: UserId) -> Result<Option<Bytes>, StoreError> {
        self.available()?;
        self.inner.checkpoint(reader).await
    }

    async fn pull_authors(&self, after: UserId, limit: usize) -> Result<Vec<(UserId, PostId)>, StoreError> {
        self.available()?;
        self.inner.pull_authors(after, limit).await
    }

    async fn author(&self, author: UserId) -> Result<Option<AuthorState>, StoreError> {
        self.asked("author")?;
        self.inner.author(author).await
    }

    async fn tuning(&self) -> Result<Tuning, StoreError> {
        self.available()?;
        self.inner.tuning().await
    }

    async fn tunings(&self, before: u64, limit: usize) -> Result<Vec<ListedTuning>, StoreError> {
        self.available()?;
        self.inner.tunings(before, limit).await
    }

    async fn add_costs(&self, sample: &Measured, at: Millis) -> Result<Costs, StoreError> {
        self.available()?;
        self.inner.add_costs(sample, at).await
    }

    async fn note(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.available()?;
        self.inner.note(name).await
    }

    async fn set_note(&self, name: &str, text: &str) -> Result<(), StoreError> {
        self.available()?;
        self.inner.set_note(name, text).await
    }

    async fn agree_on_note(&self, name: &str, text: &str) -> Result<String, StoreError> {
        self.available()?;
        self.inner.agree_on_note(name, text).await
    }

    async fn replace_note(&self, name: &str, known: &str, text: &str) -> Result<bool, StoreError> {
        self.available()?;
        self.inner.replace_note(name, known, text).await
    }

    async fn remove_old(&self, what: Removable, limit: usize) -> Result<usize, StoreError> {
        self.available()?;
        self.inner.remove_old(what, limit).await
    }

    async fn import_users(&self, users: &[ImportedUser]) -> Result<(), StoreError> {
        self.available()?;
        self.inner.import_users(users).await
    }

    async fn import_posts(&self, posts: &[ImportedPost]) -> Result<(), StoreError> {
        self.available()?;
        self.inner.import_posts(posts).await
    }

    async fn finish_import(&self) -> Result<Epoch, StoreError> {
        self.available()?;
        self.inner.finish_import().await
    }

    async fn save_checkpoints(&self, checkpoints: &[(UserId, Bytes)]) -> Result<(), StoreError> {
        self.available()?;
        self.inner.save_checkpoints(checkpoints).await
    }

    async fn import_follows(&self, follows: &[(UserId, Vec<UserId>)]) -> Result<(), StoreError> {
        self.available()?;
        self.inner.import_follows(follows).await
    }
}

//! The Store port over PostgreSQL. A read is one statement (or a few that say why) on a connection of the pool, begun
//! after it was asked for: it holds what was acknowledged before (law 7).

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::store::PostgresStore;
use crate::model::{
    AuthorState, Committed, Costs, Epoch, Event, FollowView, Handle, Identity, LoggedEvent, Measured, Millis,
    NewSession, Position, Post, PostId, Refresh, Refreshed, Request, SessionId, SlotRange, Tuning, User, UserId,
};
use crate::ports::{
    CommitError, Followers, ImportedPost, ImportedUser, ListedTuning, Removable, Store, StoreError, UserList,
};

#[async_trait]
impl Store for PostgresStore {
    async fn epoch(&self, witness: Option<&LoggedEvent>) -> Result<Epoch, StoreError> {
        self.inner.confirm_epoch(witness).await
    }

    async fn make_user(&self, handle: &Handle, name: &str) -> Result<User, StoreError> {
        self.inner.make_user(handle, name).await
    }

    async fn user_of_identity(&self, identity: &Identity, handles: &[Handle], name: &str) -> Result<User, StoreError> {
        self.inner.user_of_identity(identity, handles, name).await
    }

    async fn link_identity(&self, identity: &Identity, user: UserId) -> Result<Option<User>, StoreError> {
        self.inner.link_identity(identity, user).await
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<Option<User>>, StoreError> {
        self.inner.users(ids).await
    }

    async fn user_by_handle(&self, handle: &Handle) -> Result<Option<User>, StoreError> {
        self.inner.user_by_handle(handle).await
    }

    async fn has_users(&self) -> Result<bool, StoreError> {
        self.inner.has_users().await
    }

    async fn all_users(&self, after: UserId, limit: usize) -> Result<Vec<UserId>, StoreError> {
        self.inner.all_users(after, limit).await
    }

    async fn user_list(
        &self,
        user: UserId,
        list: UserList,
        after: UserId,
        limit: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        self.inner.user_list(user, list, after, limit).await
    }

    async fn begin_session(&self, session: &NewSession) -> Result<(), StoreError> {
        self.inner.begin_session(session).await
    }

    async fn refresh_session(&self, refresh: &Refresh) -> Result<Refreshed, StoreError> {
        self.inner.refresh_session(refresh).await
    }

    async fn end_session(&self, session: &SessionId) -> Result<(), StoreError> {
        self.inner.end_session(session).await
    }

    async fn commit(&self, request: &Request) -> Result<Committed, CommitError> {
        self.commit_command(request).await
    }

    async fn settled(&self, request: &Request) -> Result<Option<Committed>, CommitError> {
        self.settled_command(request).await
    }

    async fn posts(&self, ids: &[PostId]) -> Result<Vec<Option<Post>>, StoreError> {
        self.inner.posts(ids).await
    }

    async fn posts_by(&self, authors: &[UserId], before: PostId, limit: usize) -> Result<Vec<Vec<PostId>>, StoreError> {
        self.inner.posts_by(authors, before, limit).await
    }

    async fn home_all(&self, reader: UserId, before: PostId, limit: usize) -> Result<Vec<PostId>, StoreError> {
        self.inner.home_all(reader, before, limit).await
    }

    async fn home_page(&self, reader: UserId, before: PostId, limit: usize) -> Result<Vec<PostId>, StoreError> {
        self.inner.home_page(reader, before, limit).await
    }

    async fn likes(&self, reader: UserId, limit: usize) -> Result<Vec<PostId>, StoreError> {
        self.inner.likes(reader, limit).await
    }

    async fn liked(&self, reader: UserId, posts: &[PostId]) -> Result<Vec<PostId>, StoreError> {
        self.inner.liked(reader, posts).await
    }

    async fn view(&self, reader: UserId) -> Result<FollowView, StoreError> {
        self.inner.view(reader).await
    }

    async fn followers(
        &self,
        author: UserId,
        slots: SlotRange,
        after: UserId,
        limit: usize,
    ) -> Result<Followers, StoreError> {
        self.inner.followers(author, slots, after, limit).await
    }

    async fn number_events(&self, limit: usize) -> Result<Vec<LoggedEvent>, StoreError> {
        self.inner.number_events(limit).await
    }

    async fn mark_published(&self, position: Position) -> Result<(), StoreError> {
        self.inner.mark_published(position).await
    }

    async fn wait_for_events(&self) {
        self.inner.sentinel.events.notified().await;
    }

    async fn last_position(&self) -> Result<Position, StoreError> {
        self.inner.last_position().await
    }

    async fn events(&self, after: Position, limit: usize) -> Result<(Position, Vec<LoggedEvent>), StoreError> {
        self.inner.events(after, limit).await
    }

    async fn emit(&self, event: &Event) -> Result<(), StoreError> {
        self.inner.emit(event).await
    }

    async fn lease(&self, role: &str, holder: u64, ttl: Duration) -> Result<Vec<u64>, StoreError> {
        self.inner.lease(role, holder, ttl).await
    }

    async fn checkpoint(&self, reader: UserId) -> Result<Option<Bytes>, StoreError> {
        self.inner.checkpoint(reader).await
    }

    async fn save_checkpoints(&self, checkpoints: &[(UserId, Bytes)]) -> Result<(), StoreError> {
        self.inner.save_checkpoints(checkpoints).await
    }

    async fn pull_authors(&self, after: UserId, limit: usize) -> Result<Vec<(UserId, PostId)>, StoreError> {
        self.inner.pull_authors(after, limit).await
    }

    async fn author(&self, author: UserId) -> Result<Option<AuthorState>, StoreError> {
        self.inner.author(author).await
    }

    async fn tuning(&self) -> Result<Tuning, StoreError> {
        self.inner.tuning().await
    }

    async fn tunings(&self, before: u64, limit: usize) -> Result<Vec<ListedTuning>, StoreError> {
        self.inner.tunings(before, limit).await
    }

    async fn add_costs(&self, sample: &Measured, at: Millis) -> Result<Costs, StoreError> {
        self.inner.add_costs(sample, at).await
    }

    async fn note(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.inner.note(name).await
    }

    async fn set_note(&self, name: &str, text: &str) -> Result<(), StoreError> {
        self.inner.set_note(name, text).await
    }

    async fn agree_on_note(&self, name: &str, text: &str) -> Result<String, StoreError> {
        self.inner.agree_on_note(name, text).await
    }

    async fn replace_note(&self, name: &str, known: &str, text: &str) -> Result<bool, StoreError> {
        self.inner.replace_note(name, known, text).await
    }

    async fn remove_old(&self, what: Removable, limit: usize) -> Result<usize, StoreError> {
        self.inner.remove_old(what, limit).await
    }

    async fn import_users(&self, users: &[ImportedUser]) -> Result<(), StoreError> {
        self.inner.import_users(users).await
    }

    async fn import_follows(&self, follows: &[(UserId, Vec<UserId>)]) -> Result<(), StoreError> {
        self.inner.import_follows(follows).await
    }

    async fn import_posts(&self, posts: &[ImportedPost]) -> Result<(), StoreError> {
        self.inner.import_posts(posts).await
    }

    async fn finish_import(&self) -> Result<Epoch, StoreError> {
        self.inner.finish_import().await
    }
}

//! The Store port over one redb file: commands go to the writer, reads are snapshots taken where they are asked.
//! A snapshot taken after an acknowledgement holds what was acknowledged (law 7).

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use redb::ReadableTable as _;

use super::store::EmbeddedStore;
use super::tables::{META_EPOCH, META_POSITION};
use super::writing::{Need, Writing};
use super::{commands, events, home, import, reads, sessions, users};
use crate::model::{
    AuthorState, Committed, Costs, Epoch, Event, FollowView, Handle, Identity, LoggedEvent, Measured, Millis,
    NewSession, Position, Post, PostId, Refresh, Refreshed, Request, SessionId, SlotRange, Tuning, User, UserId,
};
use crate::ports::{
    CommitError, Followers, ImportedPost, ImportedUser, ListedTuning, Removable, Store, StoreError, UserList,
};

#[async_trait]
impl Store for EmbeddedStore {
    async fn epoch(&self, witness: Option<&LoggedEvent>) -> Result<Epoch, StoreError> {
        let Some(witness) = witness else {
            return self.read("reading the epoch", |t| reads::number(t, META_EPOCH).map(Epoch));
        };
        let (epoch, confirmed) = self.read("confirming the epoch", |t| events::confirm(t, witness))?;
        if confirmed {
            return Ok(epoch);
        }
        self.writer.write("renewing the epoch", move |w| events::renew_epoch(w, epoch)).await
    }

    async fn make_user(&self, handle: &Handle, name: &str) -> Result<User, StoreError> {
        if let Some(user) = self.user_by_handle(handle).await? {
            return Ok(user);
        }
        let (handle, name) = (handle.clone(), name.to_owned());
        self.writer.write("making a user", move |w| users::make(w, &handle, &name)).await
    }

    async fn user_of_identity(&self, identity: &Identity, handles: &[Handle], name: &str) -> Result<User, StoreError> {
        if let Some(user) = self.read("reading an identity", |t| reads::user_of_identity(t, identity))? {
            return Ok(user);
        }
        let (identity, handles, name) = (identity.clone(), handles.to_vec(), name.to_owned());
        let made = move |w: &mut Writing<'_>| users::of_identity(w, &identity, &handles, &name);
        let made = self.writer.write("making the user of an identity", made).await?;
        made.ok_or_else(|| StoreError::Unavailable("none of the handles is free".into()))
    }

    async fn link_identity(&self, identity: &Identity, user: UserId) -> Result<Option<User>, StoreError> {
        let identity = identity.clone();
        self.writer.write("linking an identity", move |w| users::link(w, &identity, user)).await
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

    async fn all_users(&self, after: UserId, limit: usize) -> Result<Vec<UserId>, StoreError> {
        self.read("reading all users", |t| reads::all_users(t, after, limit))
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

    async fn begin_session(&self, session: &NewSession) -> Result<(), StoreError> {
        let session = *session;
        self.writer.write("beginning a session", move |w| sessions::begin(w, &session)).await
    }

    async fn refresh_session(&self, refresh: &Refresh) -> Result<Refreshed, StoreError> {
        let refresh = *refresh;
        self.writer.write("refreshing a session", move |w| sessions::refresh(w, &refresh)).await
    }

    async fn end_session(&self, session: &SessionId) -> Result<(), StoreError> {
        let session = *session;
        self.writer.write("ending a session", move |w| sessions::end(w, &session)).await
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

    async fn number_events(&self, limit: usize) -> Result<Vec<LoggedEvent>, StoreError> {
        let after = self.published();
        self.read("reading unpublished events", |t| Ok(events::kept(t, after, limit)?.1))
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

    async fn events(&self, after: Position, limit: usize) -> Result<(Position, Vec<LoggedEvent>), StoreError> {
        self.read("reading events", |t| events::kept(t, after, limit))
    }

    async fn emit(&self, event: &Event) -> Result<(), StoreError> {
        let event = *event;
        let emit = move |w: &mut Writing<'_>| {
            w.emit(event)?;
            w.must(Need::Durable);
            Ok(())
        };
        self.writer.write("emitting an event again", emit).await
    }

    /// Kept in memory: there is one process, and its leases end with it.
    async fn lease(&self, role: &str, holder: u64, ttl: Duration) -> Result<Vec<u64>, StoreError> {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, holders) = (Instant::now(), leases.entry(role.into()).or_default());
        holders.insert(holder, now + ttl);
        holders.retain(|_, until| *until > now);
        Ok(holders.keys().copied().collect())
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

    async fn add_costs(&self, sample: &Measured, at: Millis) -> Result<Costs, StoreError> {
        let sample = *sample;
        self.writer.write("adding measured costs", move |w| w.add_costs(&sample, at)).await
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

    async fn agree_on_note(&self, name: &str, text: &str) -> Result<String, StoreError> {
        let (name, text) = (name.to_owned(), text.to_owned());
        let agree = move |w: &mut Writing<'_>| {
            if let Some(known) = w.notes.get(name.as_str())? {
                return Ok(known.value().to_owned());
            }
            w.notes.insert(name.as_str(), text.as_str())?;
            w.must(Need::Durable);
            Ok(text)
        };
        self.writer.write("agreeing on a note", agree).await
    }

    async fn replace_note(&self, name: &str, known: &str, text: &str) -> Result<bool, StoreError> {
        let (name, known, text) = (name.to_owned(), known.to_owned(), text.to_owned());
        let replace = move |w: &mut Writing<'_>| {
            let holds = w.notes.get(name.as_str())?.is_some_and(|note| note.value() == known);
            if holds {
                w.notes.insert(name.as_str(), text.as_str())?;
                w.must(Need::Durable);
            }
            Ok(holds)
        };
        self.writer.write("replacing a note", replace).await
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

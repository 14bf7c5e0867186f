//! A store under test beside the truth: every command goes to both, and must end the same in both.

use std::sync::Arc;

use crate::model::{
    ChangedBy, Channel, Command, CommandKey, Event, LoggedEvent, NumberedEvent, Outcome, Position, PostId, Rejection,
    Request, TuningSettings, UserId,
};
use crate::ports::{CommitError, Store, UserList};
use crate::testkit::{Truth, set_balance};

/// A store and what must be true of it.
pub(super) struct World {
    pub(super) store: Arc<dyn Store>,
    pub(super) truth: Truth,
    /// The events that the commands so far must have left, in order.
    pub(super) expected: Vec<Event>,
    /// The events that were numbered so far.
    pub(super) told: Vec<NumberedEvent>,
    keys: u64,
}

impl World {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, truth: Truth::new(), expected: Vec::new(), told: Vec::new(), keys: 0 }
    }

    /// The same world over its store opened again.
    pub(super) async fn restarted(self, open: &impl AsyncFn() -> Arc<dyn Store>) -> Self {
        let Self { store, truth, expected, told, keys } = self;
        drop(store);
        Self { store: open().await, truth, expected, told, keys }
    }

    /// Makes users with these handles.
    pub(super) async fn with_users<const N: usize>(store: Arc<dyn Store>, handles: [&str; N]) -> (Self, [UserId; N]) {
        let mut world = Self::new(store);
        let mut ids = [UserId::default(); N];
        for (id, handle) in ids.iter_mut().zip(handles) {
            *id = world.user(handle).await;
        }
        (world, ids)
    }

    pub(super) async fn user(&mut self, handle: &str) -> UserId {
        let name = format!("{handle} the user");
        let handle = handle.parse().expect("a valid handle");
        let user = self.store.make_user(&handle, &name).await.expect("the user is made");
        self.truth.make_user(user.card.id, &handle, &name);
        user.card.id
    }

    /// A request under a key of its own.
    pub(super) fn request(&mut self, actor: UserId, command: Command) -> Request {
        self.keys += 1;
        let key = CommandKey { key: format!("key-{}", self.keys).into_bytes().into(), fingerprint: [1; 16] };
        Request { actor, key, command }
    }

    /// Commits a command; it ends as the truth predicts.
    pub(super) async fn run(&mut self, actor: UserId, command: Command) -> Result<Outcome, Rejection> {
        let request = self.request(actor, command);
        let predicted = self.truth.predict(actor, &request.command);
        let ended = match self.store.commit(&request).await {
            Ok(committed) => Ok(committed.outcome),
            Err(CommitError::Rejected(rejection)) => Err(rejection),
            Err(CommitError::Store(error)) => panic!("{request:?}: {error}"),
        };
        assert_eq!(ended.as_ref().err(), predicted.as_ref().err(), "{request:?}");
        if let Ok(outcome) = &ended {
            if !matches!(request.command, Command::Publish { .. } | Command::Tune { .. } | Command::Pin { .. }) {
                assert_eq!(*outcome, Outcome::Done, "{request:?}");
            }
            self.expected.extend(self.truth.apply(actor, &request.command, outcome));
        }
        ended
    }

    /// Commits a command that breaks no rule.
    pub(super) async fn done(&mut self, actor: UserId, command: Command) -> Outcome {
        self.run(actor, command).await.expect("the command breaks no rule")
    }

    /// Publishes a post.
    pub(super) async fn post(&mut self, author: UserId) -> PostId {
        let text = format!("post number {}", self.keys);
        match self.done(author, Command::Publish { text: text.into() }).await {
            Outcome::Posted { post, .. } => post.id,
            other => panic!("a publish came to {other:?}"),
        }
    }

    pub(super) async fn follow(&mut self, follower: UserId, followee: UserId) {
        self.done(follower, Command::Follow { user: followee, limit: 0 }).await;
    }

    pub(super) async fn tune(&mut self, enter_followers: u64, leave_followers: u64) {
        self.tune_with(TuningSettings { enter_followers, leave_followers, ..TuningSettings::default() }).await;
    }

    pub(super) async fn tune_with(&mut self, settings: TuningSettings) {
        let actor = UserId::default();
        self.done(actor, Command::Tune { expected: None, settings, by: ChangedBy::Config }).await;
    }

    /// Publishes a post; its channel.
    pub(super) async fn channel_of_post(&mut self, author: UserId) -> Channel {
        let post = self.post(author).await;
        self.truth.channel(post).expect("the post exists")
    }

    /// Measurements by which both channels cost the same at so many posts a day.
    pub(super) async fn balance(&mut self, posts_per_day: f64) {
        let users = self.truth.user_ids().len();
        self.truth.measured(set_balance(&*self.store, users, posts_per_day).await);
    }

    /// Numbers and marks everything, a few at a time, and holds it against what is expected.
    pub(super) async fn check_events(&mut self) {
        loop {
            let events = self.store.number_events(7).await.expect("the store numbers");
            let Some(last) = events.last() else { break };
            let before = self.told.last().map_or(Position::ZERO, |told| told.position);
            assert!(events.len() <= 7 && events[0].position > before, "marked events come again: {events:?}");
            self.store.mark_published(last.position).await.expect("the store marks");
            self.told.extend(events.iter().map(decoded));
        }
        let last = self.told.last().map_or(Position::ZERO, |told| told.position);
        assert_eq!(self.store.last_position().await, Ok(last));
        let gapless = self.told.is_sorted_by(|one, two| two.position == one.position.next());
        assert!(gapless, "numbers have a gap or repeat");
        assert_eq!(self.told.len(), self.expected.len(), "one event for each change");
        for (told, expected) in self.told.iter().zip(&self.expected) {
            assert_eq!(comparable(told.event), comparable(*expected), "event {:?}", told.position);
        }
    }

    /// The whole of one of a user's lists, in pages of `limit`.
    pub(super) async fn list(&self, user: UserId, list: UserList, limit: usize) -> Vec<UserId> {
        let mut all = Vec::new();
        loop {
            let after = all.last().copied().unwrap_or_default();
            let page = self.store.user_list(user, list, after, limit).await.expect("the store lists");
            assert!(page.len() <= limit && page.first().is_none_or(|&first| first > after), "after {after}: {page:?}");
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }

    /// The whole home timeline in pages of `limit`: what is muted or blocked too (`all`), or as the reader may see it.
    pub(super) async fn home(&self, reader: UserId, all: bool, limit: usize) -> Vec<PostId> {
        let mut posts = Vec::new();
        loop {
            let before = posts.last().copied().unwrap_or(PostId::MAX);
            let page = if all {
                self.store.home_all(reader, before, limit).await
            } else {
                self.store.home_page(reader, before, limit).await
            };
            let page = page.expect("the store gives a page");
            assert!(
                page.len() <= limit && page.first().is_none_or(|&first| first < before),
                "below {before}: {page:?}"
            );
            // A page is full unless it is the last.
            let last = page.len() < limit;
            posts.extend(page);
            if last {
                return posts;
            }
        }
    }
}

/// An event of a store: of a form that is known.
pub(super) fn decoded(event: &LoggedEvent) -> NumberedEvent {
    event.decode().expect("a store keeps events as they were encoded")
}

/// An event without its audience, which is an estimate.
fn comparable(event: Event) -> Event {
    match event {
        Event::Posted { post, author, channel, .. } => Event::Posted { post, author, channel, audience: 0 },
        other => other,
    }
}

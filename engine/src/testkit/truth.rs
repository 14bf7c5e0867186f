//! The oracle: the pull truth (law 1) computed naively from the same commands. Ordered sets, no cache, no
//! cleverness: whatever the engine shows is compared with this, to the last entry.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    AuthorState, Channel, Command, Event, Handle, Heat, Outcome, Post, PostId, Rejection, TuningSettings, UserCard,
    UserId,
};

/// A user.
#[derive(Clone, Debug)]
struct Person {
    card: UserCard,
    heat: Heat,
}

/// A post that exists.
#[derive(Clone, Debug)]
struct Written {
    author: UserId,
    text: Box<str>,
    channel: Channel,
}

/// Everything that is true.
#[derive(Clone, Debug)]
pub struct Truth {
    users: BTreeMap<UserId, Person>,
    posts: BTreeMap<PostId, Written>,
    /// (follower, followee)
    follows: BTreeSet<(UserId, UserId)>,
    /// (who mutes, whom)
    mutes: BTreeSet<(UserId, UserId)>,
    /// (who blocks, whom)
    blocks: BTreeSet<(UserId, UserId)>,
    /// (what is liked, by whom); likes of removed posts are gone.
    likes: BTreeSet<(PostId, UserId)>,
    /// Each author's newest post on pull, though it be removed by now.
    newest_pull: BTreeMap<UserId, PostId>,
    /// The settings of version 1, 2, ...
    tunings: Vec<TuningSettings>,
}

impl Default for Truth {
    fn default() -> Self {
        Self::new()
    }
}

impl Truth {
    /// An empty world under the default tuning.
    pub fn new() -> Self {
        Self {
            users: BTreeMap::new(),
            posts: BTreeMap::new(),
            follows: BTreeSet::new(),
            mutes: BTreeSet::new(),
            blocks: BTreeSet::new(),
            likes: BTreeSet::new(),
            newest_pull: BTreeMap::new(),
            tunings: vec![TuningSettings::default()],
        }
    }

    /// A user was made.
    pub fn make_user(&mut self, id: UserId, handle: &Handle, name: &str) {
        let card = UserCard { id, handle: handle.clone(), name: name.into() };
        self.users.insert(id, Person { card, heat: Heat::default() });
    }

    /// How this command by this actor ends, but for its idempotency key.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn predict(&self, actor: UserId, command: &Command) -> Result<(), Rejection> {
        let seen = |user: UserId| {
            if user == actor {
                Err(Rejection::Oneself)
            } else if !self.users.contains_key(&user) || self.blocks.contains(&(user, actor)) {
                Err(Rejection::UnknownUser)
            } else {
                Ok(())
            }
        };
        match *command {
            Command::Publish { .. }
            | Command::Unlike { .. }
            | Command::Unfollow { .. }
            | Command::Unmute { .. }
            | Command::Unblock { .. } => Ok(()),
            Command::Remove { post } => match self.visible_author(actor, post) {
                None => Err(Rejection::UnknownPost),
                Some(author) if author != actor => Err(Rejection::NotAuthor),
                Some(_) => Ok(()),
            },
            Command::Like { post } => self.visible_author(actor, post).map(|_| ()).ok_or(Rejection::UnknownPost),
            Command::Mute { user } | Command::Block { user } => seen(user),
            Command::Follow { user, limit } => {
                seen(user)?;
                if self.blocks.contains(&(actor, user)) {
                    return Err(Rejection::Blocked);
                }
                let more = !self.follows.contains(&(actor, user));
                if more && limit > 0 && self.following(actor).len() as u64 >= limit {
                    return Err(Rejection::TooManyFollows);
                }
                Ok(())
            }
            Command::Tune { expected, .. } => match expected {
                Some(version) if version != self.version() => Err(Rejection::VersionMismatch),
                _ => Ok(()),
            },
            Command::Pin { author, .. } => {
                if self.users.contains_key(&author) {
                    Ok(())
                } else {
                    Err(Rejection::UnknownUser)
                }
            }
        }
    }

    /// The command was committed with this outcome. Returns the event it must have left in the log, none where
    /// nothing changed.
    ///
    /// # Panics
    /// When the outcome cannot be that of the command, such as a post on the wrong channel (law 3).
    pub fn apply(&mut self, actor: UserId, command: &Command, outcome: &Outcome) -> Option<Event> {
        match *command {
            Command::Publish { ref text } => Some(self.publish(actor, text, outcome)),
            Command::Remove { post } => {
                self.posts.remove(&post)?;
                self.likes.retain(|&(liked, _)| liked != post);
                Some(Event::Removed { post, author: actor })
            }
            Command::Like { post } => {
                let new = self.likes.insert((post, actor));
                new.then(|| Event::Liked { user: actor, post, likes: self.likes(post) })
            }
            Command::Unlike { post } => {
                let was = self.likes.remove(&(post, actor));
                was.then(|| Event::Unliked { user: actor, post, likes: self.likes(post) })
            }
            Command::Follow { user, .. } => {
                let new = self.follows.insert((actor, user));
                new.then(|| {
                    self.reckon_heat(user);
                    Event::Followed { follower: actor, followee: user }
                })
            }
            Command::Unfollow { user } => {
                let was = self.unfollow(actor, user);
                was.then_some(Event::Unfollowed { follower: actor, followee: user })
            }
            Command::Mute { user } => {
                self.mutes.insert((actor, user)).then_some(Event::Muted { user: actor, target: user })
            }
            Command::Unmute { user } => {
                self.mutes.remove(&(actor, user)).then_some(Event::Unmuted { user: actor, target: user })
            }
            Command::Block { user } => {
                let new = self.blocks.insert((actor, user));
                self.unfollow(actor, user);
                self.unfollow(user, actor);
                new.then_some(Event::Blocked { user: actor, target: user })
            }
            Command::Unblock { user } => {
                self.blocks.remove(&(actor, user)).then_some(Event::Unblocked { user: actor, target: user })
            }
            Command::Tune { settings, .. } => {
                self.tunings.push(settings);
                let version = self.version();
                let told = matches!(outcome, Outcome::Tuned(t) if t.version == version && t.settings == settings);
                assert!(told, "tuning {version} is {settings:?}, not {outcome:?}");
                Some(Event::Tuned { version })
            }
            Command::Pin { author, pin } => {
                let person = self.users.get_mut(&author).expect("a pinned author exists");
                let changed = person.heat.pin != pin;
                if changed {
                    person.heat.pin = pin;
                    self.reckon_heat(author);
                }
                let told = matches!(outcome, Outcome::Pinned(state) if Some(state) == self.author(author).as_ref());
                assert!(told, "pinned {:?}, not {outcome:?}", self.author(author));
                changed.then_some(Event::Pinned { author })
            }
        }
    }

    fn publish(&mut self, author: UserId, text: &str, outcome: &Outcome) -> Event {
        let Outcome::Posted { post, channel } = outcome else { panic!("a publish came to {outcome:?}") };
        self.reckon_heat(author);
        let person = &self.users[&author];
        assert_eq!(*channel, person.heat.channel(), "channel of {:?} by {author:?}, {:?}", post.id, person.heat);
        assert_eq!(*post, Post { id: post.id, author: person.card.clone(), text: text.into(), likes: 0 });
        let last = self.posts_by(author).first().copied();
        assert!(last < Some(post.id), "{:?} is not above the author's last post, {last:?}", post.id);
        self.posts.insert(post.id, Written { author, text: text.into(), channel: *channel });
        if *channel == Channel::Pull {
            self.newest_pull.insert(author, post.id);
        }
        let audience = u32::try_from(self.followers(author).len()).unwrap_or(u32::MAX);
        Event::Posted { post: post.id, author, channel: *channel, audience }
    }

    fn unfollow(&mut self, follower: UserId, followee: UserId) -> bool {
        let was = self.follows.remove(&(follower, followee));
        if was {
            self.reckon_heat(followee);
        }
        was
    }

    /// Heat has a memory (hysteresis), so it matters when it is reckoned: when followers or the pin changed and at
    /// a post, against the tuning of that time.
    fn reckon_heat(&mut self, author: UserId) {
        if let Some(state) = self.author(author)
            && let Some(person) = self.users.get_mut(&author)
        {
            person.heat = state.heat;
        }
    }

    /// The author of a post that exists and is not hidden from `caller` by a block either way.
    fn visible_author(&self, caller: UserId, post: PostId) -> Option<UserId> {
        let author = self.posts.get(&post)?.author;
        self.unblocked(caller, author).then_some(author)
    }

    fn unblocked(&self, one: UserId, other: UserId) -> bool {
        !self.blocks.contains(&(one, other)) && !self.blocks.contains(&(other, one))
    }

    fn newest_first(&self, of: impl Fn(UserId) -> bool) -> Vec<PostId> {
        self.posts.iter().rev().filter(|(_, post)| of(post.author)).map(|(&id, _)| id).collect()
    }

    /// The whole home timeline of `reader`, newest first (law 1).
    pub fn home(&self, reader: UserId) -> Vec<PostId> {
        self.newest_first(|author| {
            (author == reader || self.follows.contains(&(reader, author)))
                && !self.mutes.contains(&(reader, author))
                && self.unblocked(reader, author)
        })
    }

    /// As [`home`](Self::home), whatever is muted or blocked.
    pub fn home_all(&self, reader: UserId) -> Vec<PostId> {
        self.newest_first(|author| author == reader || self.follows.contains(&(reader, author)))
    }

    /// An author's posts, newest first.
    pub fn posts_by(&self, author: UserId) -> Vec<PostId> {
        self.newest_first(|writer| writer == author)
    }

    /// A post as anyone sees it; none if it is unknown or removed.
    pub fn post(&self, id: PostId) -> Option<Post> {
        let Written { author, text, .. } = self.posts.get(&id)?;
        Some(Post { id, author: self.users[author].card.clone(), text: text.clone(), likes: self.likes(id) })
    }

    /// A post as `caller` sees it: none also where a block either way hides it.
    pub fn visible_post(&self, caller: UserId, id: PostId) -> Option<Post> {
        self.visible_author(caller, id)?;
        self.post(id)
    }

    /// The channel of a post that exists.
    pub fn channel(&self, id: PostId) -> Option<Channel> {
        self.posts.get(&id).map(|post| post.channel)
    }

    /// How many like a post.
    pub fn likes(&self, post: PostId) -> u64 {
        self.likes.range((post, UserId(0))..=(post, UserId(u64::MAX))).count() as u64
    }

    /// What `user` likes, highest ids first.
    pub fn likes_of(&self, user: UserId) -> Vec<PostId> {
        self.likes.iter().rev().filter(|&&(_, who)| who == user).map(|&(post, _)| post).collect()
    }

    /// Who follows `user`, by rising id.
    pub fn followers(&self, user: UserId) -> Vec<UserId> {
        self.follows.iter().filter(|&&(_, followee)| followee == user).map(|&(follower, _)| follower).collect()
    }

    /// Whom `user` follows, by rising id.
    pub fn following(&self, user: UserId) -> Vec<UserId> {
        second(&self.follows, user)
    }

    /// Whom `user` mutes, by rising id.
    pub fn mutes(&self, user: UserId) -> Vec<UserId> {
        second(&self.mutes, user)
    }

    /// Whom `user` blocks, by rising id.
    pub fn blocks(&self, user: UserId) -> Vec<UserId> {
        second(&self.blocks, user)
    }

    /// Who blocks `user`, by rising id.
    pub fn blocked_by(&self, user: UserId) -> Vec<UserId> {
        self.blocks.iter().filter(|&&(_, blocked)| blocked == user).map(|&(blocker, _)| blocker).collect()
    }

    /// Every user, by rising id.
    pub fn user_ids(&self) -> Vec<UserId> {
        self.users.keys().copied().collect()
    }

    /// Every post that exists, by rising id.
    pub fn post_ids(&self) -> Vec<PostId> {
        self.posts.keys().copied().collect()
    }

    /// Every author that ever posted on pull, with its newest pull post, though it be removed by now.
    pub fn pull_authors(&self) -> Vec<(UserId, PostId)> {
        self.newest_pull.iter().map(|(&author, &post)| (author, post)).collect()
    }

    /// The present version of the tuning.
    pub fn version(&self) -> u64 {
        self.tunings.len() as u64
    }

    /// The present tuning.
    pub fn tuning(&self) -> TuningSettings {
        *self.tunings.last().expect("there is a tuning from the start")
    }

    /// An author as operators see it, its heat reckoned against the present tuning.
    pub fn author(&self, id: UserId) -> Option<AuthorState> {
        let person = self.users.get(&id)?;
        let followers = self.followers(id).len() as u64;
        let heat = person.heat.with_followers(followers, &self.tuning());
        Some(AuthorState { card: person.card.clone(), followers, heat })
    }
}

fn second(pairs: &BTreeSet<(UserId, UserId)>, first: UserId) -> Vec<UserId> {
    pairs.range((first, UserId(0))..=(first, UserId(u64::MAX))).map(|&(_, second)| second).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: UserId = UserId(1);
    const BEN: UserId = UserId(2);

    fn two() -> Truth {
        let mut truth = Truth::new();
        for (id, handle) in [(ANN, "ann"), (BEN, "ben")] {
            truth.make_user(id, &handle.parse().unwrap(), handle);
        }
        truth
    }

    fn posted(truth: &mut Truth, author: UserId, id: u64) {
        let card = truth.users[&author].card.clone();
        let post = Post { id: PostId(id), author: card, text: "x".into(), likes: 0 };
        truth.apply(author, &Command::Publish { text: "x".into() }, &Outcome::Posted { post, channel: Channel::Push });
    }

    #[test]
    fn a_timeline_is_what_one_follows_and_oneself_newest_first() {
        let mut truth = two();
        posted(&mut truth, ANN, 10);
        posted(&mut truth, BEN, 11);
        posted(&mut truth, ANN, 12);
        assert_eq!(truth.home(ANN), [PostId(12), PostId(10)]);
        truth.apply(ANN, &Command::Follow { user: BEN, limit: 0 }, &Outcome::Done);
        assert_eq!(truth.home(ANN), [PostId(12), PostId(11), PostId(10)]);
        truth.apply(ANN, &Command::Mute { user: BEN }, &Outcome::Done);
        assert_eq!(truth.home(ANN), [PostId(12), PostId(10)]);
        assert_eq!(truth.home_all(ANN).len(), 3);
    }

    #[test]
    fn to_the_blocked_the_blocker_looks_absent() {
        let mut truth = two();
        posted(&mut truth, ANN, 10);
        posted(&mut truth, BEN, 11);
        truth.apply(BEN, &Command::Follow { user: ANN, limit: 0 }, &Outcome::Done);
        let event = truth.apply(ANN, &Command::Block { user: BEN }, &Outcome::Done);
        assert_eq!(event, Some(Event::Blocked { user: ANN, target: BEN }));
        assert!(truth.following(BEN).is_empty());
        let by_ben = |command| truth.predict(BEN, &command);
        for command in
            [Command::Follow { user: ANN, limit: 0 }, Command::Mute { user: ANN }, Command::Block { user: ANN }]
        {
            assert_eq!(by_ben(command), Err(Rejection::UnknownUser));
        }
        assert_eq!(by_ben(Command::Like { post: PostId(10) }), Err(Rejection::UnknownPost));
        assert_eq!(by_ben(Command::Remove { post: PostId(10) }), Err(Rejection::UnknownPost));
        assert_eq!(by_ben(Command::Unfollow { user: ANN }), Ok(()));
        assert_eq!(truth.predict(ANN, &Command::Like { post: PostId(11) }), Err(Rejection::UnknownPost));
        assert_eq!(truth.predict(ANN, &Command::Follow { user: BEN, limit: 0 }), Err(Rejection::Blocked));
        assert_eq!(truth.predict(ANN, &Command::Mute { user: BEN }), Ok(()));
        assert_eq!(truth.visible_post(BEN, PostId(10)), None);
        assert!(truth.visible_post(ANN, PostId(10)).is_some());
    }

    #[test]
    fn heat_is_reckoned_when_followers_change_and_keeps_its_memory() {
        let mut truth = two();
        let settings = TuningSettings { enter_followers: 1, leave_followers: 0, ..TuningSettings::default() };
        truth.tunings.push(settings);
        truth.apply(ANN, &Command::Follow { user: BEN, limit: 0 }, &Outcome::Done);
        truth.apply(ANN, &Command::Unfollow { user: BEN }, &Outcome::Done);
        assert!(truth.author(BEN).unwrap().heat.hot, "leave_followers = 0 is never left");
        assert!(!truth.author(ANN).unwrap().heat.hot);
    }
}

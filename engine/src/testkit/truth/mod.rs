//! The oracle: the pull truth (law 1) computed naively from the same commands. Ordered sets, no cache, no
//! cleverness: whatever the engine shows is compared with this, to the last entry.

mod lookups;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::limits::RATE_POSTS;
use crate::model::{
    Channel, Command, Costs, Event, Handle, Heat, Outcome, Post, PostId, Rejection, TuningSettings, UserCard, UserId,
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
    /// What was measured, as the store last told.
    costs: Option<Costs>,
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
            costs: None,
        }
    }

    /// A user was made.
    pub fn make_user(&mut self, id: UserId, handle: &Handle, name: &str) {
        let card = UserCard { id, handle: handle.clone(), name: name.into() };
        self.users.insert(id, Person { card, heat: Heat::default() });
    }

    /// The store has been told of a measurement, and this is what has come of it.
    pub fn measured(&mut self, costs: Costs) {
        self.costs = Some(costs);
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
        let newest: Vec<PostId> = [post.id].into_iter().chain(self.posts_by(author)).take(RATE_POSTS + 1).collect();
        let (followers, tuning) = (self.followers(author).len() as u64, self.tuning());
        let person = self.users.get_mut(&author).expect("an author exists");
        person.heat = person.heat.at_post(followers, &newest, &tuning, self.costs.as_ref());
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

    /// Heat has a memory (hysteresis), so it matters when it is reckoned: when followers or the pin changed, against the
    /// tuning of that time (and at a post).
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
}

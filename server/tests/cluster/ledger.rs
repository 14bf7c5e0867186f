//! The truth with its times: what was acknowledged by whom, when and on which node, so that a page that is read while
//! others write can be held against it. What must be visible by then has to be there, what must be gone may not be;
//! what is under way may be either.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use serde_json::Value;
use tributary_engine::model::{Command, PostId, UserId};
use tributary_engine::testkit::Truth;

use crate::common::{Reply, Sent, number, post_id};

/// What a user last did to another, or to a post: none, while it is not acknowledged.
type Change = Option<(Instant, usize)>;

#[derive(Clone)]
struct Told {
    author: UserId,
    published: (Instant, usize),
    removal: Option<Change>,
}

/// The ledger. A clone is what was true then.
#[derive(Clone)]
pub struct Ledger {
    pub truth: Truth,
    posts: BTreeMap<PostId, Told>,
    pairs: HashMap<(UserId, UserId), Change>,
    likes: HashMap<(UserId, PostId), Change>,
    /// Texts on their way, by their authors.
    publishing: HashMap<UserId, Box<str>>,
}

/// A page of a home timeline that was read.
pub struct Look<'a> {
    pub reader: UserId,
    pub node: usize,
    /// When it was asked for.
    pub asked: Instant,
    /// What was acknowledged before this moment must be visible on every node.
    pub horizon: Instant,
    /// The page begins below this id.
    pub below: PostId,
    pub page: &'a Value,
}

/// Whether a reader sees an author's posts.
#[derive(Clone, Copy, PartialEq)]
enum Shown {
    Yes,
    No,
    UnderWay,
}

impl Ledger {
    pub fn new(truth: Truth) -> Self {
        Self { truth, posts: BTreeMap::new(), pairs: HashMap::new(), likes: HashMap::new(), publishing: HashMap::new() }
    }

    /// What is true once the store has gone back to what it was at this ledger's time, and posts are on their way
    /// that `now` knows of.
    pub fn goes_on_after(self, now: &Self) -> Self {
        Self { publishing: now.publishing.clone(), ..self }
    }

    /// A command is on its way.
    pub fn sent(&mut self, sent: &Sent) {
        self.change(sent, None);
        if let Command::Publish { text } = &sent.command {
            self.publishing.insert(sent.actor, text.clone());
        }
    }

    /// A command was acknowledged by a node.
    pub fn acknowledged(&mut self, sent: &Sent, reply: &Reply, node: usize) {
        let now = (Instant::now(), node);
        sent.acknowledged(&mut self.truth, reply);
        self.change(sent, Some(now));
        if let Command::Publish { .. } = sent.command {
            self.publishing.remove(&sent.actor);
            let told = Told { author: sent.actor, published: now, removal: None };
            self.posts.insert(post_id(&reply.json()), told);
        }
    }

    fn change(&mut self, sent: &Sent, change: Change) {
        match sent.command {
            Command::Remove { post } => {
                if let Some(told) = self.posts.get_mut(&post) {
                    told.removal = Some(change);
                }
            }
            Command::Like { post } | Command::Unlike { post } => {
                self.likes.insert((sent.actor, post), change);
            }
            Command::Follow { user, .. }
            | Command::Unfollow { user }
            | Command::Mute { user }
            | Command::Unmute { user }
            | Command::Block { user }
            | Command::Unblock { user } => {
                self.pairs.insert((sent.actor, user), change);
            }
            _ => {}
        }
    }

    /// What is wrong with a page, if something is.
    pub fn fault(&self, look: &Look<'_>) -> Option<String> {
        let items = look.page["items"].as_array().unwrap();
        let ids: Vec<PostId> = items.iter().map(post_id).collect();
        let last = ids.last().copied().unwrap_or(PostId::MIN);
        let down_to = if look.page["next"].is_null() { PostId::MIN } else { last };
        let shown = self.shown(look);
        let found: BTreeSet<PostId> = ids.iter().copied().collect();
        for (id, told) in self.posts.range(down_to..look.below) {
            let shown = shown(told.author);
            let own = told.author == look.reader;
            let missing = told.removal.is_none() && shown == Shown::Yes && look.sees(told.published, own);
            if missing && !found.contains(id) {
                return Some(self.explain("is missing", *id, told, look));
            }
            let gone = told.removal.flatten().is_some_and(|removal| look.sees(removal, own));
            if (gone || shown == Shown::No) && found.contains(id) {
                return Some(self.explain("must not be there", *id, told, look));
            }
        }
        self.unknown(items).or_else(|| self.unlike(look, &ids))
    }

    /// As [`fault`](Self::fault), where the page is not all that there is in a range of ids.
    pub fn fault_of_some(&self, look: &Look<'_>) -> Option<String> {
        let items = look.page["items"].as_array().unwrap();
        let shown = self.shown(look);
        for id in items.iter().map(post_id) {
            let Some(told) = self.posts.get(&id) else { continue };
            let gone = told.removal.flatten().is_some_and(|removal| look.sees(removal, told.author == look.reader));
            if gone || shown(told.author) == Shown::No {
                return Some(self.explain("must not be there", id, told, look));
            }
        }
        self.unknown(items)
    }

    /// Whether the reader sees an author's posts, for each author.
    fn shown(&self, look: &Look<'_>) -> impl Fn(UserId) -> Shown {
        let truth = &self.truth;
        let reader = look.reader;
        let following = truth.following(reader);
        let hidden = [truth.mutes(reader), truth.blocks(reader), truth.blocked_by(reader)].concat();
        move |author| {
            if author == reader {
                return Shown::Yes;
            }
            let settled = |pair: (UserId, UserId), own| match self.pairs.get(&pair) {
                None => true,
                Some(change) => change.is_some_and(|change| look.sees(change, own)),
            };
            if !settled((reader, author), true) || !settled((author, reader), false) {
                return Shown::UnderWay;
            }
            if following.contains(&author) && !hidden.contains(&author) { Shown::Yes } else { Shown::No }
        }
    }

    /// A post that nobody wrote, as far as is known.
    fn unknown(&self, items: &[Value]) -> Option<String> {
        let unknown = items.iter().find(|item| {
            let author = UserId(number(&item["author"]));
            let written = self.publishing.get(&author).is_some_and(|text| item["text"] == **text);
            !self.posts.contains_key(&post_id(item)) && !written
        });
        unknown.map(|item| format!("nobody wrote {item}"))
    }

    /// What the reader likes is told otherwise.
    fn unlike(&self, look: &Look<'_>, ids: &[PostId]) -> Option<String> {
        let liked: BTreeSet<String> =
            look.page["liked"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        let likes: BTreeSet<PostId> = self.truth.likes_of(look.reader).into_iter().collect();
        let settled = |id: &&PostId| match self.likes.get(&(look.reader, **id)) {
            None => true,
            Some(change) => change.is_some_and(|change| look.sees(change, true)),
        };
        let here = |id: &&PostId| self.truth.post(**id).is_some();
        let wrong =
            ids.iter().filter(here).filter(settled).find(|id| likes.contains(id) != liked.contains(&id.to_string()));
        wrong.map(|id| format!("whether {id} is liked is told wrongly: {}", !likes.contains(id)))
    }

    fn explain(&self, what: &str, id: PostId, told: &Told, look: &Look<'_>) -> String {
        let age = |(at, node): (Instant, usize)| {
            format!("{:.3} s before the request, on api-{node}", look.asked.saturating_duration_since(at).as_secs_f64())
        };
        let change = |change: Option<&Change>| match change {
            None => "never".to_owned(),
            Some(None) => "not acknowledged".to_owned(),
            Some(Some(change)) => age(*change),
        };
        let (reader, author) = (look.reader, told.author);
        format!(
            "{id} by {author} {what} for {reader} on api-{}: published {}; removed: {}; the reader's last change to the \
             author: {}; the author's to the reader: {}; what is older than {:.3} s is visible",
            look.node,
            age(told.published),
            change(told.removal.as_ref()),
            change(self.pairs.get(&(reader, author))),
            change(self.pairs.get(&(author, reader))),
            look.asked.saturating_duration_since(look.horizon).as_secs_f64(),
        )
    }
}

impl Look<'_> {
    /// Whether the reader must see a change: all see what is older than the horizon; the node that has acknowledged
    /// it shows it to the actor at once.
    fn sees(&self, (at, node): (Instant, usize), own: bool) -> bool {
        at < self.horizon || (own && node == self.node && at <= self.asked)
    }
}

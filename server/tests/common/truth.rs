//! What must be true, and whether a node says so: the oracle is told of every command that was acknowledged or found
//! to have happened, and every list that the API has is compared with it.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};
use tributary_engine::model::{Command, Outcome, Post, PostId, UserId};
use tributary_engine::testkit::Truth;

use super::client::{Ask, Reply, Session};

/// A command that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub actor: UserId,
    pub key: String,
    pub command: Command,
}

impl Sent {
    /// The request, the same each time.
    pub fn ask(&self, session: &Session) -> Ask {
        let (method, path) = match &self.command {
            Command::Publish { text } => return session.post("/v1/posts", &json!({ "text": text })).key(&self.key),
            Command::Remove { post } => (Method::DELETE, format!("/v1/posts/{post}")),
            Command::Like { post } => (Method::PUT, format!("/v1/likes/{post}")),
            Command::Unlike { post } => (Method::DELETE, format!("/v1/likes/{post}")),
            Command::Follow { user, .. } => (Method::PUT, format!("/v1/follows/{user}")),
            Command::Unfollow { user } => (Method::DELETE, format!("/v1/follows/{user}")),
            Command::Mute { user } => (Method::PUT, format!("/v1/mutes/{user}")),
            Command::Unmute { user } => (Method::DELETE, format!("/v1/mutes/{user}")),
            Command::Block { user } => (Method::PUT, format!("/v1/blocks/{user}")),
            Command::Unblock { user } => (Method::DELETE, format!("/v1/blocks/{user}")),
            other => unreachable!("{other:?} is not sent"),
        };
        session.ask(method, &path).key(&self.key)
    }

    /// Tells the oracle that it was acknowledged.
    pub fn acknowledged(&self, truth: &mut Truth, reply: &Reply) {
        let id = match &self.command {
            Command::Publish { .. } => post_id(&reply.json()),
            _ => PostId::MIN,
        };
        self.happened(truth, id);
    }

    /// Tells the oracle that it happened; `id` is that of the post, where it is one.
    pub fn happened(&self, truth: &mut Truth, id: PostId) {
        let outcome = match &self.command {
            Command::Publish { text } => {
                let author = truth.author(self.actor).unwrap();
                let channel = author.channel();
                Outcome::Posted { post: Post { id, author: author.card, text: text.clone(), likes: 0 }, channel }
            }
            _ => Outcome::Done,
        };
        assert!(truth.apply(self.actor, &self.command, &outcome).is_some(), "each command changes something: {self:?}");
    }
}

/// How a user's own lists, counters and posts differ from the truth, to the last item.
pub async fn user_faults(truth: &Truth, session: &Session) -> Vec<String> {
    let (me, mut faults) = (user_id(session), Vec::new());
    let hidden: BTreeSet<UserId> = truth.blocked_by(me).into_iter().collect();
    let lists = [
        (format!("/v1/users/{me}/following"), truth.following(me)),
        (format!("/v1/users/{me}/followers"), truth.followers(me)),
        ("/v1/mutes".to_owned(), truth.mutes(me)),
        ("/v1/blocks".to_owned(), truth.blocks(me)),
    ];
    for (path, expected) in lists {
        let mut users: Vec<UserId> = session.all(&path, 100).await.iter().map(|user| UserId(number(user))).collect();
        users.sort_unstable();
        let expected: Vec<UserId> = expected.into_iter().filter(|user| !hidden.contains(user)).collect();
        faults.extend((users != expected).then(|| format!("{path} of {me} is {users:?}, not {expected:?}")));
    }
    let user = session.get("/v1/me").await.expect(200).json();
    let counts = [truth.followers(me).len(), truth.following(me).len()];
    let told = [&user["followers"], &user["following"]];
    faults.extend((told != counts).then(|| format!("followers and following of {me} are {told:?}, not {counts:?}")));

    let posts = session.all(&format!("/v1/users/{me}/posts"), 100).await;
    let ids: Vec<PostId> = posts.iter().map(post_id).collect();
    faults.extend(difference(&ids, &truth.posts_by(me), &format!("posts by {me}")));
    faults.extend(posts.iter().filter_map(|post| post_fault(truth, post)));
    faults
}

/// How a reader's home timeline differs from the truth, to its end, with what the reader likes of it.
pub async fn home_faults(truth: &Truth, session: &Session) -> Vec<String> {
    let me = user_id(session);
    let (mut posts, mut liked, mut cursor) = (Vec::new(), Vec::new(), String::new());
    loop {
        let feed = session.get(&format!("/v1/feed?limit=100{cursor}")).await.expect(200).json();
        posts.extend(feed["items"].as_array().unwrap().iter().cloned());
        liked.extend(feed["liked"].as_array().unwrap().iter().map(|id| PostId(id.as_str().unwrap().parse().unwrap())));
        match feed["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let ids: Vec<PostId> = posts.iter().map(post_id).collect();
    let shown: BTreeSet<PostId> = ids.iter().copied().collect();
    let likes: Vec<PostId> = truth.likes_of(me).into_iter().filter(|post| shown.contains(post)).collect();
    let lists = [
        difference(&ids, &truth.home(me), &format!("home of {me}")),
        difference(&liked, &likes, &format!("likes of {me}")),
    ];
    lists.into_iter().flatten().chain(posts.iter().filter_map(|post| post_fault(truth, post))).collect()
}

/// Fails where there are faults.
#[track_caller]
pub fn assert_none(faults: &[Vec<String>]) {
    let faults = faults.concat();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults[..faults.len().min(20)].join("\n"));
}

/// What is different, which is little where the lists are long.
fn difference(found: &[PostId], expected: &[PostId], what: &str) -> Option<String> {
    if found == expected {
        return None;
    }
    let less = |some: &[PostId], others: &[PostId]| -> Vec<(usize, PostId)> {
        let others: BTreeSet<PostId> = others.iter().copied().collect();
        some.iter().copied().enumerate().filter(|(_, id)| !others.contains(id)).collect()
    };
    let (missing, more) = (less(expected, found), less(found, expected));
    let told = |some: &[(usize, PostId)]| format!("{} {:?}", some.len(), &some[..some.len().min(8)]);
    Some(format!(
        "{what}: of {}, missing (place, id): {}; too many: {}; falling: {}",
        expected.len(),
        told(&missing),
        told(&more),
        found.is_sorted_by(|a, b| a > b),
    ))
}

/// What is wrong with a post that exists.
fn post_fault(truth: &Truth, shown: &Value) -> Option<String> {
    let post = truth.post(post_id(shown))?;
    let right = shown["text"] == *post.text
        && shown["likes"] == post.likes
        && shown["author"]["handle"] == post.author.handle.as_str();
    (!right).then(|| format!("{shown} is {post:?}"))
}

pub fn user_id(session: &Session) -> UserId {
    UserId(session.id.parse().unwrap())
}

pub fn post_id(post: &Value) -> PostId {
    PostId(number(post))
}

pub fn number(item: &Value) -> u64 {
    item["id"].as_str().unwrap().parse().unwrap()
}

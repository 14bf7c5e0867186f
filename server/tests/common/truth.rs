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

/// A user's own lists, counters and posts, to the last item.
pub async fn compare_user(truth: &Truth, session: &Session) {
    let me = user_id(session);
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
        assert_eq!(users, expected, "{path} of {me}");
    }
    let user = session.get("/v1/me").await.expect(200).json();
    let counts = [truth.followers(me).len(), truth.following(me).len()];
    assert_eq!([&user["followers"], &user["following"]], counts, "followers and following of {me}");

    let posts = session.all(&format!("/v1/users/{me}/posts"), 100).await;
    let expected = truth.posts_by(me);
    compare_ids(&posts.iter().map(post_id).collect::<Vec<_>>(), &expected, &format!("posts by {me}"));
    for (post, id) in posts.iter().zip(expected) {
        compare_post(truth, post, id);
    }
}

/// A reader's home timeline, to its end, with what the reader likes of it.
pub async fn compare_home(truth: &Truth, session: &Session) {
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
    let expected = truth.home(me);
    compare_ids(&posts.iter().map(post_id).collect::<Vec<_>>(), &expected, &format!("home of {me}"));
    for (post, &id) in posts.iter().zip(&expected) {
        compare_post(truth, post, id);
    }
    let shown: BTreeSet<PostId> = expected.into_iter().collect();
    let expected: Vec<PostId> = truth.likes_of(me).into_iter().filter(|post| shown.contains(post)).collect();
    compare_ids(&liked, &expected, &format!("likes of {me}"));
}

/// Tells the difference, which is short where the lists are long.
#[track_caller]
fn compare_ids(found: &[PostId], expected: &[PostId], what: &str) {
    let less = |some: &[PostId], others: &[PostId]| -> Vec<(usize, PostId)> {
        let others: BTreeSet<PostId> = others.iter().copied().collect();
        some.iter().copied().enumerate().filter(|(_, id)| !others.contains(id)).collect()
    };
    let (missing, more) = (less(expected, found), less(found, expected));
    assert!(
        found == expected,
        "{what}: {} of {} are missing (place, id): {:?}; {} too many: {:?}; repeated or in another order: {}",
        missing.len(),
        expected.len(),
        &missing[..missing.len().min(8)],
        more.len(),
        &more[..more.len().min(8)],
        found.len() + missing.len() != expected.len() + more.len() || !found.is_sorted_by(|a, b| a > b),
    );
}

fn compare_post(truth: &Truth, shown: &Value, id: PostId) {
    let post = truth.post(id).unwrap();
    assert_eq!((&shown["text"], &shown["likes"]), (&json!(post.text), &json!(post.likes)), "{id}");
    assert_eq!(shown["author"]["handle"], post.author.handle.as_str(), "{id}");
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

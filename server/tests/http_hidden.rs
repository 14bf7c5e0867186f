//! What a block hides looks like what does not exist: in status, headers and body byte for byte, and in time, because
//! the store is asked for the same. And one user's idempotency keys mean nothing to another.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Reply, Server, Session, eventually};
use http::{HeaderMap, Method};
use serde_json::json;
use tributary_engine::Ports;
use tributary_engine::testkit::faulty::{Faults, FaultyStore};
use tributary_server::config::Origins;

/// An id that nothing has.
const NOBODY: &str = "4611686018427387904";

/// Every route that takes the id of a user whom the caller may not see, and those of a post.
const OF_USERS: [(&str, &str); 11] = [
    ("GET", "/v1/users/{}"),
    ("GET", "/v1/users/{}/posts"),
    ("GET", "/v1/users/{}/posts?limit=1"),
    ("GET", "/v1/users/{}/followers"),
    ("GET", "/v1/users/{}/following"),
    ("PUT", "/v1/follows/{}"),
    ("DELETE", "/v1/follows/{}"),
    ("PUT", "/v1/mutes/{}"),
    ("DELETE", "/v1/mutes/{}"),
    ("PUT", "/v1/blocks/{}"),
    ("DELETE", "/v1/blocks/{}"),
];
const OF_POSTS: [(&str, &str); 4] =
    [("GET", "/v1/posts/{}"), ("DELETE", "/v1/posts/{}"), ("PUT", "/v1/likes/{}"), ("DELETE", "/v1/likes/{}")];

/// An answer, and how often the store was asked for what.
struct Told {
    reply: Reply,
    asked: BTreeMap<&'static str, u64>,
}

/// Everything that a client can see but what names the answer itself.
fn seen(reply: &Reply) -> (u16, HeaderMap, &[u8]) {
    let mut headers = reply.headers.clone();
    for name in ["x-request-id", "date"] {
        headers.remove(name);
    }
    (reply.status.as_u16(), headers, &reply.body)
}

#[track_caller]
fn assert_same(unknown: &Told, hidden: &Told) {
    let route = &hidden.reply.asked;
    assert_eq!(seen(&unknown.reply), seen(&hidden.reply), "{route}");
    assert_eq!(unknown.asked, hidden.asked, "{route}: the store was asked for something else");
    assert!(!hidden.asked.is_empty(), "{route}: what was asked of the store was not noted");
}

/// A server whose store tells what it was asked for, and two users, the first of whom has blocked the second after both
/// had posted.
struct World {
    server: Server,
    faults: Arc<Faults>,
    blocker: Session,
    post: String,
    /// Follows the blocker.
    follower: Session,
}

impl World {
    async fn new() -> Self {
        let faults = Faults::new(1);
        let of_store = Arc::clone(&faults);
        let decorate = |ports: Ports| Ports { store: Arc::new(FaultyStore::new(ports.store, of_store)), ..ports };
        let server = Server::over(decorate, |settings| settings.cors_origins = Origins::Any).await;
        let blocker = server.sign_in("blocker").await;
        let post = blocker.publish("hidden").await;
        let follower = server.sign_in("follower").await;
        follower.follow(&blocker).await;
        Self { server, faults, blocker, post, follower }
    }

    /// Waits until the node has heard of all blocks: then it forgets what it knew of their users, and no later.
    async fn settled(&self) {
        let post = self.blocker.publish("the last so far").await;
        eventually(async || {
            let feed = self.follower.get("/v1/feed?limit=1").await.expect(200).json();
            (feed["items"][0]["id"] == post).then_some(())
        })
        .await;
    }

    /// A user whom the blocker has blocked.
    async fn blocked(&self, handle: &str) -> Session {
        let blocked = self.server.sign_in(handle).await;
        self.blocker.put(&format!("/v1/blocks/{}", blocked.id)).await.expect(204);
        blocked
    }

    async fn ask(&self, caller: &Session, method: &str, path: &str) -> Told {
        let before = self.faults.asked();
        let reply = caller.ask(method.parse().unwrap(), path).await;
        let mut asked = self.faults.asked();
        for (what, count) in before {
            asked.entry(what).and_modify(|now| *now -= count);
        }
        asked.retain(|_, count| *count > 0);
        Told { reply, asked }
    }
}

#[tokio::test]
async fn the_blocked_cannot_tell_the_blocker_from_nobody() {
    let world = World::new().await;
    let routes = OF_USERS.map(|(method, route)| (method, route, &world.blocker.id)).into_iter();
    let routes = routes.chain(OF_POSTS.map(|(method, route)| (method, route, &world.post)));
    for (n, (method, route, hidden)) in routes.enumerate() {
        let (unknown, hidden) = (route.replace("{}", NOBODY), route.replace("{}", hidden));
        // Callers about whom the node knows nothing yet, and then again.
        let (one, other) = (world.blocked(&format!("one{n}")).await, world.blocked(&format!("other{n}")).await);
        world.settled().await;
        for _ in 0..2 {
            let of_nobody = world.ask(&one, method, &unknown).await;
            let of_blocker = world.ask(&other, method, &hidden).await;
            assert_same(&of_nobody, &of_blocker);
            let expected = if method == "DELETE" && !route.contains("/posts/") { 204 } else { 404 };
            assert_eq!(of_blocker.reply.status, expected, "{method} {route}");
        }
    }
    let blocked = world.blocked("last").await;
    world.settled().await;
    blocked.get("/v1/me").await.expect(200);
    for _ in 0..2 {
        let of_nobody = world.ask(&blocked, "GET", "/v1/users?handle=nobody").await;
        assert_same(&of_nobody, &world.ask(&blocked, "GET", "/v1/users?handle=blocker").await);
        assert_eq!(of_nobody.reply.status, 404);
    }
}

#[tokio::test]
async fn the_blocker_cannot_tell_the_posts_of_the_blocked_from_none() {
    let world = World::new().await;
    let blocked = world.server.sign_in("blocked").await;
    let post = blocked.publish("hidden too").await;
    world.blocker.put(&format!("/v1/blocks/{}", blocked.id)).await.expect(204);
    world.settled().await;
    world.blocker.get("/v1/me").await.expect(200);
    for (method, route) in OF_POSTS {
        let of_nobody = world.ask(&world.blocker, method, &route.replace("{}", NOBODY)).await;
        assert_same(&of_nobody, &world.ask(&world.blocker, method, &route.replace("{}", &post)).await);
    }
    let list = |id: &str| format!("/v1/users/{id}/posts");
    let of_nobody = world.ask(&world.blocker, "GET", &list(NOBODY)).await;
    assert_same(&of_nobody, &world.ask(&world.blocker, "GET", &list(&blocked.id)).await);
}

#[tokio::test]
async fn what_a_page_of_another_origin_asks_hides_as_well() {
    let world = World::new().await;
    let blocked = world.blocked("blocked").await;
    for method in [Method::GET, Method::HEAD] {
        let ask =
            |id: &str| blocked.ask(method.clone(), &format!("/v1/posts/{id}")).header("origin", "https://app.example");
        let (of_nobody, of_blocker) = (ask(NOBODY).await, ask(&world.post).await);
        assert_eq!(seen(&of_nobody), seen(&of_blocker));
        assert_eq!(of_blocker.status, 404);
        assert!(of_blocker.header("access-control-allow-origin").is_some(), "the page may read it");
    }
}

#[tokio::test]
async fn a_key_of_one_user_is_nothing_to_another() {
    let server = Server::start().await;
    let (ann, ben) = (server.sign_in("ann").await, server.sign_in("ben").await);
    let body = json!({"text": "the same"});
    let publish = async |user: &Session| user.post("/v1/posts", &body).key("the-same-key").await.expect(201);
    let (of_ann, of_ben) = (publish(&ann).await, publish(&ben).await);
    for (reply, user) in [(&of_ann, &ann), (&of_ben, &ben)] {
        assert_eq!(reply.header("idempotency-replayed"), None);
        assert_eq!(reply.json()["author"]["id"], user.id);
    }
    assert_ne!(of_ann.json()["id"], of_ben.json()["id"]);
    let again = publish(&ben).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.json(), of_ben.json());
    // A key that another user has used for something else is free.
    let like = format!("/v1/likes/{}", of_ann.json()["id"].as_str().unwrap());
    ann.put(&like).key("another-key").await.expect(204);
    ben.post("/v1/posts", &body).key("another-key").await.expect(201);
}

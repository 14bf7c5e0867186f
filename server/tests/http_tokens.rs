//! Refresh tokens and the keys of access tokens: each refresh token is good once, one that comes again ends its session,
//! and keys are rotated without a token being refused that should be good.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{Client, Process, Reply, Server};
use futures::future::join_all;
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tributary_engine::Ports;
use tributary_engine::testkit::faulty::{Fault, Faults, FaultyStore};

/// A private key as `openssl genpkey -algorithm ed25519` writes it: the one of RFC 8410.
const PEM: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";

/// What a client that signed in holds.
struct Held {
    client: Client,
    access: String,
    refresh: String,
}

impl Held {
    async fn sign_in(client: Client, handle: &str, operator: bool) -> Self {
        let login = json!({"handle": handle, "operator": operator});
        let tokens = client.ask(Method::POST, "/v1/auth/dev").json(&login).await.expect(200).json();
        Self::of(client, &tokens)
    }

    fn of(client: Client, tokens: &Value) -> Self {
        let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
        Self { client, access: text("access_token"), refresh: text("refresh_token") }
    }

    async fn get(&self, path: &str) -> Reply {
        self.client.get(path).header("authorization", &format!("Bearer {}", self.access)).await
    }

    /// Spends the refresh token, and holds what it gives.
    async fn refresh(&mut self) -> Value {
        let tokens = refresh(&self.client, &self.refresh).await.expect(200).json();
        *self = Self::of(self.client.clone(), &tokens);
        tokens
    }
}

async fn refresh(client: &Client, token: &str) -> Reply {
    client.ask(Method::POST, "/v1/auth/refresh").json(&json!({"refresh_token": token})).await
}

async fn logout(client: &Client, token: &str) -> Reply {
    client.ask(Method::POST, "/v1/auth/logout").json(&json!({"refresh_token": token})).await
}

#[tokio::test]
async fn a_refresh_token_gives_the_next_and_the_same_user() {
    let server = Server::start().await;
    let mut held = Held::sign_in(server.client(), "ann", false).await;
    let mut seen = vec![held.refresh.clone()];
    let me = held.get("/v1/me").await.expect(200).json();
    for _ in 0..3 {
        let tokens = held.refresh().await;
        assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(900)));
        assert_eq!((&tokens["user"], tokens.as_object().unwrap().len()), (&me, 5));
        assert_eq!(held.get("/v1/me").await.expect(200).json(), me);
        assert!(!seen.contains(&held.refresh), "each is new");
        assert!(URL_SAFE_NO_PAD.decode(&held.refresh).unwrap().len() >= 32);
        seen.push(held.refresh.clone());
    }
}

#[tokio::test]
async fn a_spent_token_that_comes_again_ends_its_session_and_no_other() {
    let server = Server::start().await;
    let (mut other, mut held) =
        (Held::sign_in(server.client(), "ann", false).await, Held::sign_in(server.client(), "ann", false).await);
    let first = held.refresh.clone();
    held.refresh().await;
    held.refresh().await;
    let reused = refresh(&held.client, &first).await.problem(401, "refresh_token_reused");
    assert_eq!(reused.header("www-authenticate"), Some("Bearer"));
    for dead in [&held.refresh, &first] {
        refresh(&held.client, dead).await.problem(401, "refresh_token_invalid");
    }
    held.get("/v1/me").await.expect(200);
    other.refresh().await;
}

#[tokio::test]
async fn of_many_refreshes_at_once_one_wins() {
    let server = Server::start().await;
    for _ in 0..5 {
        let held = Held::sign_in(server.client(), "ann", false).await;
        let mut good = Vec::new();
        for reply in join_all((0..8).map(|_| refresh(&held.client, &held.refresh))).await {
            match reply.status.as_u16() {
                200 => good.push(Held::of(held.client.clone(), &reply.json())),
                _ => assert_eq!(reply.expect(401).header("www-authenticate"), Some("Bearer")),
            }
        }
        assert_eq!(good.len(), 1);
        refresh(&held.client, &good[0].refresh).await.problem(401, "refresh_token_invalid");
    }
}

#[tokio::test]
async fn a_logout_ends_the_session_and_tells_nothing_of_tokens() {
    let server = Server::start().await;
    let (mut other, mut held) =
        (Held::sign_in(server.client(), "ann", false).await, Held::sign_in(server.client(), "ann", false).await);
    let spent = held.refresh.clone();
    held.refresh().await;
    for _ in 0..2 {
        logout(&held.client, &held.refresh).await.expect(204);
        refresh(&held.client, &held.refresh).await.problem(401, "refresh_token_invalid");
    }
    held.get("/v1/me").await.expect(200);
    // Whoever holds any token of a session may end it.
    let mut again = Held::sign_in(server.client(), "ann", false).await;
    let spent_again = again.refresh.clone();
    again.refresh().await;
    logout(&again.client, &spent_again).await.expect(204);
    refresh(&again.client, &again.refresh).await.problem(401, "refresh_token_invalid");
    for unknown in ["", "x", &spent, &"A".repeat(75), &"ä".repeat(9_000)] {
        logout(&held.client, unknown).await.expect(204);
    }
    other.refresh().await;
}

#[tokio::test]
async fn an_operator_stays_one_and_nobody_becomes_one() {
    let server = Server::start().await;
    let mut operator = Held::sign_in(server.client(), "ann", true).await;
    let mut user = Held::sign_in(server.client(), "ann", false).await;
    let mut listed = Held::sign_in(server.client(), "root", false).await;
    for _ in 0..2 {
        operator.get("/v1/operator/status").await.expect(200);
        listed.get("/v1/operator/status").await.expect(200);
        user.get("/v1/operator/status").await.problem(403, "operator_required");
        operator.refresh().await;
        listed.refresh().await;
        user.refresh().await;
    }
}

#[tokio::test]
async fn a_token_that_has_expired_is_refused() {
    let server = Server::with(|settings| settings.refresh_ttl_s = 0).await;
    let held = Held::sign_in(server.client(), "ann", false).await;
    refresh(&held.client, &held.refresh).await.problem(401, "refresh_token_invalid");
    logout(&held.client, &held.refresh).await.expect(204);
}

#[tokio::test]
async fn hostile_bodies_are_refused() {
    let server = Server::start().await;
    let client = server.client();
    let held = Held::sign_in(server.client(), "ann", false).await;
    for path in ["/v1/auth/refresh", "/v1/auth/logout"] {
        let post = || client.ask(Method::POST, path);
        for body in [
            json!(null),
            json!([]),
            json!({}),
            json!({"refresh_token": null}),
            json!({"refresh_token": 7}),
            json!({"refresh_token": held.refresh, "more": 1}),
            json!(held.refresh),
        ] {
            post().json(&body).await.problem(400, "bad_json");
        }
        let twice = format!("{{\"refresh_token\":\"{0}\",\"refresh_token\":\"{0}\"}}", held.refresh);
        for body in ["", "{", "{\"refresh_token\":\"a\"", twice.as_str()] {
            post().header("content-type", "application/json").body(body.to_owned()).await.problem(400, "bad_json");
        }
        post().body(json!({"refresh_token": held.refresh}).to_string()).await.problem(415, "not_json");
        post().json(&json!({"refresh_token": "a".repeat(70_000)})).await.problem(413, "body_too_large");
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            assert_eq!(client.ask(method, path).await.problem(405, "method_not_allowed").header("allow"), Some("POST"));
        }
    }
    let (head, last) = held.refresh.split_at(held.refresh.len() - 1);
    let mut of_another = URL_SAFE_NO_PAD.decode(&held.refresh).unwrap();
    of_another[7] ^= 1;
    for token in [
        String::new(),
        head.to_owned(),
        format!("{}A", held.refresh),
        format!(" {}", held.refresh),
        format!("{head}{}", if last == "A" { "B" } else { "A" }.repeat(2)),
        format!("{head}="),
        "\u{0}".repeat(75),
        "A".repeat(75),
        held.access.clone(),
        URL_SAFE_NO_PAD.encode(of_another),
    ] {
        refresh(&client, &token).await.problem(401, "refresh_token_invalid");
    }
    refresh(&client, &held.refresh).await.expect(200);
}

/// A store that does not tell what became of a commit costs nobody their session; one that is away costs a try.
#[tokio::test]
async fn a_store_in_trouble_ends_no_session() {
    let faults = Faults::new(fastrand::u64(..));
    let over = |ports: Ports| Ports { store: Arc::new(FaultyStore::new(ports.store, faults.clone())), ..ports };
    let server = Server::over(over, |_| ()).await;
    faults.set(Fault::CommitLost, 0.2);
    faults.set(Fault::CommitReplyLost, 0.2);
    let mut held = Held::sign_in(server.client(), "ann", false).await;
    for _ in 0..30 {
        held.refresh().await;
    }
    for fault in [Fault::CommitLost, Fault::CommitReplyLost] {
        assert!(faults.injected(fault) > 0, "{fault:?}, seed {}", faults.seed());
    }
    faults.switch(false);
    faults.set_store_gone(true);
    refresh(&held.client, &held.refresh).await.problem(503, "unavailable");
    logout(&held.client, &held.refresh).await.problem(503, "unavailable");
    faults.set_store_gone(false);
    held.refresh().await;
}

/// A folder with a configuration and a file of keys, for a node in a process of its own.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
        let config = "[http]
listen = '127.0.0.1:0'
[auth]
dev_login = true
signing_key_file = 'keys'
[telemetry]
log = 'debug,tributary_server=trace,tributary_engine=trace'
";
        std::fs::write(place.path().join("tributary.toml"), config).unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// A node with these keys.
    async fn start(&self, keys: &[&str]) -> Process {
        std::fs::write(self.path().join("keys"), keys.join("\n")).unwrap();
        Process::start(self.path(), "tributary.toml", self.path().join("node.log")).await
    }
}

/// What the token's header says of its key.
fn header(access: &str) -> (String, String) {
    let header = access.split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    (header["alg"].as_str().unwrap().to_owned(), header["kid"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn keys_are_rotated_from_hs256_to_eddsa_and_nobody_is_refused_before_the_old_one_is_removed() {
    let place = Place::new();
    let old = URL_SAFE_NO_PAD.encode([5; 32]);
    // The client at the node as it is now: each has another port.
    let at = |held: &Held, node: &Process| Held {
        client: Client::new(node.address),
        access: held.access.clone(),
        refresh: held.refresh.clone(),
    };

    let node = place.start(&[&old]).await;
    let by_old = Held::sign_in(Client::new(node.address), "ann", false).await;
    assert_eq!(header(&by_old.access).0, "HS256");
    for n in 0..3 {
        let post = by_old.client.ask(Method::POST, "/v1/posts").json(&json!({"text": n.to_string()}));
        post.header("authorization", &format!("Bearer {}", by_old.access)).await.expect(201);
    }
    let page = by_old.get("/v1/feed?limit=1").await.expect(200).json();
    let next = format!("/v1/feed?limit=1&cursor={}", page["next"].as_str().unwrap());
    drop(node);

    let node = place.start(&[&old, PEM]).await;
    let by_old = at(&by_old, &node);
    by_old.get("/v1/me").await.expect(200);
    let mut held = Held::sign_in(Client::new(node.address), "ann", true).await;
    assert_eq!(header(&held.access), header(&by_old.access), "the first signs");
    drop(node);

    let node = place.start(&[PEM, &old]).await;
    let by_old = at(&by_old, &node);
    by_old.get("/v1/me").await.expect(200);
    by_old.get(&next).await.expect(200);
    let by_new = Held::sign_in(Client::new(node.address), "ann", false).await;
    assert_eq!(header(&by_new.access).0, "EdDSA");
    assert_ne!(header(&by_new.access).1, header(&by_old.access).1);
    let page = by_new.get("/v1/feed?limit=1").await.expect(200).json();
    let next_by_new = format!("/v1/feed?limit=1&cursor={}", page["next"].as_str().unwrap());
    held = at(&held, &node);
    held.get("/v1/operator/status").await.expect(200);
    held.refresh().await;
    assert_eq!(header(&held.access), header(&by_new.access));
    held.get("/v1/operator/status").await.expect(200);
    drop(node);

    let node = place.start(&[PEM]).await;
    let by_new = at(&by_new, &node);
    at(&by_old, &node).get("/v1/me").await.problem(401, "token_invalid");
    by_new.get("/v1/me").await.expect(200);
    by_new.get(&next).await.problem(400, "bad_cursor");
    by_new.get(&next_by_new).await.expect(200);
    held = at(&held, &node);
    held.refresh().await;
    // Refresh tokens are not signed: no key ends a session.
    let mut oldest = at(&by_old, &node);
    oldest.refresh().await;
    oldest.get("/v1/me").await.expect(200);

    let told = node.told();
    let private = PEM.lines().nth(1).unwrap();
    for secret in [held.refresh.as_str(), &oldest.refresh, &by_old.refresh, &held.access, private, &old] {
        assert!(!told.contains(secret), "the log has a secret");
    }
}

#[tokio::test]
async fn sessions_outlive_a_node_that_is_killed() {
    let place = Place::new();
    let key = URL_SAFE_NO_PAD.encode([5; 32]);
    let mut node = place.start(&[&key]).await;
    let mut held = Held::sign_in(Client::new(node.address), "ann", true).await;
    let mut spent = held.refresh.clone();
    for _ in 0..3 {
        node.kill();
        node = place.start(&[&key]).await;
        held.client = Client::new(node.address);
        spent.clone_from(&held.refresh);
        held.refresh().await;
        held.get("/v1/operator/status").await.expect(200);
    }
    node.kill();
    node = place.start(&[&key]).await;
    let client = Client::new(node.address);
    refresh(&client, &spent).await.problem(401, "refresh_token_reused");
    refresh(&client, &held.refresh).await.problem(401, "refresh_token_invalid");
}

//! No secret is told: not in the log of a node that logs everything its libraries say, not in errors, not by
//! `tributary check`. Over PostgreSQL and Redis this is asked in `services/secrets.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod live;

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use common::{Client, Process, Secrets, Session, TOKEN_KEY, program};
use http::Method;
use live::Listener;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;
use tributary_server::config::TokenKey;

const CONFIG: &str = "[http]
listen = '127.0.0.1:0'
cors_origins = ['https://app.example']
[auth]
dev_login = true
signing_key_file = 'signing.key'
[limits]
requests_per_second = 0
[telemetry]
log = 'trace'
";

/// What clients send and get that nobody else may know; all of it is asked and answered by the node.
async fn exchange(client: &Client, user: &Session, secrets: &mut Secrets) {
    let token = format!("Bearer {}", user.token);
    let ask = |method: Method, path: &str| client.ask(method, path).header("authorization", &token);
    secrets.add_token("an access token", &user.token);

    for (what, text) in [
        ("the text of a post", "a text for followers only"),
        ("a text that is refused", "half a text for nobody"),
        ("an idempotency key", "key-of-a-client"),
        ("a cookie", "session=cookie-of-a-browser"),
        ("a token that is none", "token-of-somewhere-else"),
        ("a password", "cGFzc3dvcmQtb2YtYW4tb2xkLWNsaWVudA"),
        ("a cursor", "cursor-of-another-list"),
        ("a long header", "header-of-a-client-with-much-to-say"),
    ] {
        secrets.add(what, text);
    }
    let post = ask(Method::POST, "/v1/posts").key("key-of-a-client");
    post.json(&json!({"text": "a text for followers only"})).await.expect(201);
    let half = ask(Method::POST, "/v1/posts").header("content-type", "application/json");
    half.body("{\"text\": \"half a text for nobody\"").await.problem(400, "bad_json");
    ask(Method::GET, "/v1/feed").header("cookie", "session=cookie-of-a-browser").await.expect(200);
    ask(Method::GET, "/v1/feed?cursor=cursor-of-another-list").await.problem(400, "bad_cursor");
    let next = ask(Method::GET, "/v1/feed?limit=1").await.expect(200).json();
    secrets.add("a fresh token", next["fresh"].as_str().unwrap());
    ask(Method::GET, &format!("/v1/feed?since={}", next["fresh"].as_str().unwrap())).await.expect(200);
    for bad in ["Bearer token-of-somewhere-else", "Basic cGFzc3dvcmQtb2YtYW4tb2xkLWNsaWVudA"] {
        client.get("/v1/me").header("authorization", bad).await.expect(401);
    }
    // A token that was good but for its end.
    let spoilt = format!("{}AAAA", user.token);
    client.get("/v1/me").header("authorization", &format!("Bearer {spoilt}")).await.problem(401, "token_invalid");
    let long = "header-of-a-client-with-much-to-say".repeat(1_000);
    ask(Method::GET, "/v1/me").header("x-much", &long).await.problem(431, "headers_too_large");
    ask(Method::OPTIONS, "/v1/me").header("origin", "https://app.example").await.expect(405);
    secrets.add_sessions(client).await;
}

/// Over a WebSocket a token comes in another header, and another library sends what is told.
async fn listen(address: SocketAddr, user: &Session, secrets: &mut Secrets) {
    let fresh = user.get("/v1/feed").await.expect(200).json()["fresh"].as_str().unwrap().to_owned();
    let mut heard = Listener::socket(address, &user.token, Some(&fresh)).await;
    user.publish("a text for followers only").await;
    let told = heard.event().await;
    assert_eq!(told.data["text"], "a text for followers only");
    for id in [fresh, told.id] {
        secrets.add("a fresh token", &id);
    }
    assert!(heard.say(Message::text("a text that nobody reads")).await && heard.say(Message::Close(None)).await);
    secrets.add("what a client says", "a text that nobody reads");
}

/// What a node's file of signing keys holds.
fn add_signing_keys(folder: &Path, secrets: &mut Secrets) {
    let text = std::fs::read_to_string(folder.join("signing.key")).unwrap();
    let keys: Vec<&str> = text.split_whitespace().filter(|word| word.len() >= 32).collect();
    assert!(!keys.is_empty());
    keys.into_iter().for_each(|key| secrets.add("a signing key", key));
}

#[tokio::test]
async fn a_node_that_logs_everything_tells_no_secret() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("tributary.toml"), CONFIG).unwrap();
    let node = Process::start(folder.path(), "tributary.toml", folder.path().join("node.log")).await;
    let mut secrets = Secrets::default();
    add_signing_keys(folder.path(), &mut secrets);
    for client in [Client::new(node.address), Client::http2(node.address)] {
        let user = client.sign_in("ann").await;
        exchange(&client, &user, &mut secrets).await;
        listen(node.address, &user, &mut secrets).await;
    }
    node.signal("TERM");
    let told = common::eventually(async || Some(node.told()).filter(|told| told.contains("stopping"))).await;
    assert!(told.contains("TRACE") && told.contains("send frame"), "libraries log too, or nothing is tested");
    assert!(told.contains("/v1/posts"), "requests are logged: {told}");
    secrets.assert_not_in(&told);
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A handler that panics is a mistake of ours; here the one of `/metrics`, whose text the test makes.
#[tokio::test]
async fn a_panic_is_a_500_and_tells_no_secret() {
    let written = Written::default();
    let writer = written.clone();
    tracing_subscriber::fmt().with_env_filter("trace").with_writer(move || writer.clone()).init();
    let folder = TempDir::new().unwrap();
    let engine = common::engine(common::ports(folder.path())).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(listener.local_addr().unwrap());
    let (_stop, stopped) = watch::channel(false);
    let panics = || panic!("a mistake of ours");
    tokio::spawn(async move {
        tributary_server::http::serve(
            common::settings(),
            engine,
            panics,
            &[TokenKey::Hs256(TOKEN_KEY)],
            None,
            listener,
            stopped,
        )
        .await;
    });
    let user = client.sign_in("ann").await;
    let mut secrets = Secrets::default();
    secrets.add_token("an access token", &user.token);
    secrets.add("the key of tokens", str::from_utf8(&TOKEN_KEY).unwrap());
    let ask = user.get("/metrics").header("cookie", "session=cookie-of-a-browser");
    let reply = ask.attempt().await.unwrap().problem(500, "internal");
    secrets.add("a cookie", "session=cookie-of-a-browser");
    assert!(!reply.text().contains("mistake of ours"), "clients are not told why: {}", reply.text());
    user.get("/v1/me").await.expect(200);
    let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("a panic: a mistake of ours"), "operators are told why");
    secrets.assert_not_in(&log);
}

#[test]
fn check_shows_no_secret_and_no_error_repeats_one() {
    let folder = TempDir::new().unwrap();
    let mut secrets = Secrets::default();
    for secret in ["hunter2-of-postgres", "hunter2-of-redis"] {
        secrets.add("a password", secret);
    }
    let good = "[store]
kind = 'postgres'
url = 'postgres://tributary:hunter2-of-postgres@127.0.0.1:1/x'
[log]
kind = 'kafka'
brokers = ['127.0.0.1:1']
[[shard]]
name = 'a'
url = 'redis://:hunter2-of-redis@127.0.0.1:1/0'
";
    let wrong = [
        good.replace("[log]\nkind = 'kafka'\n", "[log]\n"),
        good.replace("'redis://:", "'http://:"),
        good.replace("@127.0.0.1:1/0'", "@127.0.0.1:1/0"),
        good.replace("url = 'postgres", "urls = 'postgres"),
        good.replace("url = 'postgres://tributary:hunter2-of-postgres@127.0.0.1:1/x'", "url = ['hunter2-of-postgres']"),
        good.replace("kind = 'postgres'\n", ""),
        good.replace("brokers = ['127.0.0.1:1']", "brokers = [7]"),
        format!("{good}weight = 'hunter2-of-redis'\n"),
        format!("{good}[auth]\nsigning_key_file = 7\n"),
    ];
    for (config, status) in wrong.iter().map(|config| (config.as_str(), 1)).chain([(good, 0)]) {
        std::fs::write(folder.path().join("tributary.toml"), config).unwrap();
        let output = program(folder.path()).args(["check", "--config", "tributary.toml"]).output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{config}\n{}", String::from_utf8_lossy(&output.stderr));
        for told in [&output.stdout, &output.stderr] {
            secrets.assert_not_in(&String::from_utf8_lossy(told));
        }
    }
}

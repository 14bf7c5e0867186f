//! Idempotency keys, HTTP/2, pages, and a stop that finishes what it began.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{Client, Server, Wire, eventually, texts};
use serde_json::json;
use tokio::task::JoinSet;
use tributary_server::http::Asset;

#[tokio::test]
async fn a_repeated_request_gets_the_same_answer_and_does_nothing_again() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    let ask = || ann.post("/v1/posts", &json!({"text": "once"})).key("key-1");
    let first = ask().await.expect(201);
    assert_eq!(first.header("idempotency-replayed"), None);
    for _ in 0..3 {
        let again = ask().await.expect(201);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.body, first.body);
        assert_eq!(again.header("location"), first.header("location"));
    }
    assert_eq!(ann.feed_texts().await, ["once"]);
    let path = first.header("location").unwrap();
    ann.delete(path).key("key-2").await.expect(204);
    assert_eq!(ask().await.expect(201).body, first.body, "the answer is the stored one, though the post is gone");
    let again = ann.delete(path).key("key-2").await.expect(204);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
}

#[tokio::test]
async fn a_key_on_another_request_is_422_and_other_users_keys_are_their_own() {
    let server = Server::start().await;
    let (ann, ben) = (server.sign_in("ann").await, server.sign_in("ben").await);
    ann.post("/v1/posts", &json!({"text": "a"})).key("k").await.expect(201);
    let reused = "idempotency_key_reused";
    ann.post("/v1/posts", &json!({"text": "b"})).key("k").await.problem(422, reused);
    ann.put(&format!("/v1/follows/{}", ben.id)).key("k").await.problem(422, reused);
    ann.delete(&format!("/v1/follows/{}", ben.id)).key("k").await.problem(422, reused);
    ben.post("/v1/posts", &json!({"text": "b"})).key("k").await.expect(201);
    ann.post("/v1/posts", &json!({"text": "b"})).key("k2").await.expect(201);
}

#[tokio::test]
async fn an_answer_that_is_no_success_is_not_stored() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    let text = json!({"text": "a"});
    ann.post("/v1/posts", &json!({"text": " "})).key("k").await.problem(422, "text_empty");
    ann.put("/v1/likes/4611686018427387904").key("k").await.problem(404, "unknown_post");
    let reply = ann.post("/v1/posts", &text).key("k").await.expect(201);
    assert_eq!(reply.header("idempotency-replayed"), None);
}

#[tokio::test]
async fn keys_are_1_to_255_visible_characters() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    let ask = |key: &str| ann.post("/v1/posts", &json!({"text": "a"})).key(key);
    let long = "k".repeat(255);
    for key in ["!", "~", "a\"b", &long] {
        ask(key).await.expect(201);
    }
    for key in ["", "a b", "ä", "\t", &format!("{long}k")] {
        ask(key).await.problem(400, "bad_idempotency_key");
    }
    assert_eq!(ann.feed_texts().await.len(), 4);
}

#[tokio::test]
async fn of_the_same_request_many_times_at_once_one_takes_effect() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    for round in 0..5 {
        let mut asked = JoinSet::new();
        for _ in 0..20 {
            let ask = ann.post("/v1/posts", &json!({"text": format!("{round}")})).key(&format!("round-{round}"));
            asked.spawn(async move { ask.await });
        }
        let mut bodies = Vec::new();
        let mut fresh = 0;
        for reply in asked.join_all().await {
            if reply.status == 409 {
                reply.problem(409, "idempotency_key_in_flight");
                continue;
            }
            fresh += usize::from(reply.header("idempotency-replayed").is_none());
            bodies.push(reply.expect(201).body);
        }
        assert_eq!(fresh, 1);
        assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));
    }
    assert_eq!(ann.feed_texts().await.len(), 5);
}

#[tokio::test]
async fn a_client_that_hangs_up_finds_its_command_whole_or_not_at_all() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    for n in 0..30 {
        let (body, key) = (json!({"text": n.to_string()}), format!("key-{n}"));
        let head = format!("POST /v1/posts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n", ann.token);
        let text = body.to_string();
        let rest = format!(
            "idempotency-key: {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        );
        let mut wire = Wire::open(server.address).await;
        wire.send(format!("{head}{rest}")).await;
        drop(wire);
        eventually(async || {
            let reply = ann.post("/v1/posts", &body).key(&key).await;
            if reply.status == 409 { None } else { Some(reply.expect(201)) }
        })
        .await;
    }
    let posts = ann.all(&format!("/v1/users/{}/posts", ann.id), 100).await;
    let expected: Vec<String> = (0..30).rev().map(|n| n.to_string()).collect();
    assert_eq!(texts(&posts), expected, "each exactly once");
}

#[tokio::test]
async fn http_2_with_prior_knowledge_does_what_http_1_does() {
    let server = Server::start().await;
    let ann = Client::http2(server.address).sign_in("ann").await;
    let post = ann.publish("over h2").await;
    assert_eq!(ann.feed_texts().await, ["over h2"]);
    let mut asked = JoinSet::new();
    for _ in 0..200 {
        let ask = ann.get(&format!("/v1/posts/{post}"));
        asked.spawn(async move { ask.await.expect(200) });
    }
    assert_eq!(asked.join_all().await.len(), 200);
    ann.get("/v1/nothing").await.problem(404, "unknown_route");
}

#[tokio::test]
async fn one_connection_serves_many_requests_also_after_refusals() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    let mut wire = Wire::open(server.address).await;
    for (request, status) in [
        ("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "200"),
        ("GET /v1/me HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "401"),
        ("GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "404"),
        (format!("GET /v1/me HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", ann.token), "200"),
    ] {
        wire.send(request).await;
        assert!(wire.until("}").await.starts_with(&format!("HTTP/1.1 {status}")));
    }
}

#[tokio::test]
async fn pages_are_served_under_a_strict_policy() {
    let pages = |path: &str| {
        (path == "/").then_some(Asset { content_type: "text/html; charset=utf-8", bytes: b"<!doctype html>" })
    };
    let server = Server::with(|settings| settings.pages = pages).await;
    let page = server.client().get("/").await.expect(200);
    assert_eq!(
        (page.text().as_str(), page.header("content-type")),
        ("<!doctype html>", Some("text/html; charset=utf-8"))
    );
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'self'"));
    server.client().ask(http::Method::POST, "/").await.problem(405, "method_not_allowed");
    server.client().get("/other").await.problem(404, "unknown_route");
}

#[tokio::test]
async fn a_stop_finishes_the_request_in_flight_and_closes_the_rest() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    let mut idle = Wire::open(server.address).await;
    idle.send("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    idle.until("}").await;
    let mut slow = Wire::open(server.address).await;
    let body = r#"{"text":"last words"}"#;
    let head = format!(
        "POST /v1/posts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        ann.token,
        body.len()
    );
    slow.send(head).await;
    slow.until("100 Continue").await;
    server.begin_stop();
    assert_eq!(idle.rest().await, "");
    while tokio::net::TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    slow.send(body).await;
    let answer = slow.rest().await;
    assert!(answer.starts_with("HTTP/1.1 201") && answer.contains("last words"), "{answer}");
    server.stopped().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_forever_for_a_client_that_stalls() {
    let server = Server::with(|settings| {
        settings.bounds.drain = Duration::from_millis(200);
        settings.bounds.body = Duration::from_secs(60);
        settings.bounds.request = Duration::from_secs(60);
    })
    .await;
    let mut stalled = Wire::open(server.address).await;
    stalled.send("POST /v1/auth/dev HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 10\r\n\r\n").await;
    stalled.until("100 Continue").await;
    server.stopped().await;
    stalled.rest().await;
}

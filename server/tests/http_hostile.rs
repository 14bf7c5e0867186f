//! Hostile clients: whatever is sent, the answer is a 4xx or a closed connection; never a 500, a hang or a
//! server that is gone.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{Client, Server, Wire};
use serde_json::json;
use tokio::task::JoinSet;

async fn alive(server: &Server) {
    server.client().get("/metrics").await.expect(200);
}

fn status(answer: &str) -> Option<u16> {
    answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

#[tokio::test]
async fn garbage_is_answered_400_or_hung_up_on() {
    let server = Server::start().await;
    let junk: Vec<Vec<u8>> = vec![
        b"\0\0\0\0\0\0\0\0\r\n\r\n".to_vec(),
        b"hello\r\n\r\n".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET  /v1/me  HTTP/1.1\r\n\r\n".to_vec(),
        b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nx: a\0b\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(50),
        b"POST /v1/posts HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n".to_vec(),
        b"POST /v1/posts HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".to_vec(),
        b"POST /v1/posts HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999999\r\n\r\n".to_vec(),
        b"POST /v1/posts HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
        (0..20_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect(),
    ];
    for bytes in junk {
        let mut wire = Wire::open(server.address).await;
        wire.send(&bytes).await;
        wire.end().await;
        let answer = wire.rest().await;
        let refused = status(&answer).is_none_or(|status| (400..500).contains(&status));
        assert!(refused, "{:?} -> {answer:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(60)]));
    }
    alive(&server).await;
}

#[tokio::test]
async fn paths_that_are_none_get_404() {
    let server = Server::start().await;
    for path in [
        "*",
        "http://elsewhere/v1/nothing",
        "/v1/../../etc/passwd",
        "/%00",
        "/v1/me%2f",
        "//v1/me",
        "/v1/me/",
        "/x?y=%zz",
    ] {
        let answer =
            Wire::exchange(server.address, format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
                .await;
        assert_eq!(status(&answer), Some(404), "{path}: {answer}");
        assert!(answer.contains("unknown_route") && answer.contains("application/problem+json"), "{path}: {answer}");
    }
    let path = "a".repeat(10_000);
    server.client().get(&format!("/{path}")).await.problem(414, "uri_too_long");
}

#[tokio::test]
async fn headers_that_are_too_large_or_too_many_are_refused() {
    let server = Server::start().await;
    for client in [server.client(), Client::http2(server.address)] {
        for bytes in [17_000, 60_000, 100_000] {
            let reply = client.get("/v1/me").header("x", &"a".repeat(bytes)).await;
            reply.problem(431, "headers_too_large");
        }
        client.get("/healthz").header("x", &"a".repeat(15_000)).await.expect(200);
        client.get(&format!("/v1/me?{}", "a".repeat(10_000))).await.problem(414, "uri_too_long");
    }
    let request = |line: String, headers: String| format!("GET {line} HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    for bytes in [
        request("/v1/me".to_owned(), format!("x: {}\r\n", "a".repeat(512 * 1024))),
        request("/v1/me".to_owned(), "x: a\r\n".repeat(1_000)),
        request(format!("/v1/me?{}", "a".repeat(100_000)), String::new()),
    ] {
        let answer = Wire::exchange(server.address, bytes).await;
        assert!(matches!(status(&answer), Some(414 | 431) | None), "{answer}");
    }
    alive(&server).await;
}

#[tokio::test]
async fn a_body_over_64_kib_is_413_however_it_is_sent() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    let text = json!({"text": "a".repeat(100_000)});
    ann.post("/v1/posts", &text).await.problem(413, "body_too_large");
    server.client().ask(http::Method::POST, "/v1/auth/dev").json(&text).await.problem(413, "body_too_large");
    Client::http2(server.address)
        .ask(http::Method::POST, "/v1/auth/dev")
        .json(&text)
        .await
        .problem(413, "body_too_large");

    let head = format!("POST /v1/posts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n", ann.token);
    let mut wire = Wire::open(server.address).await;
    wire.send(format!("{head}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")).await;
    for _ in 0..17 {
        wire.send(format!("1000\r\n{}\r\n", "a".repeat(0x1000))).await;
    }
    wire.send("0\r\n\r\n").await;
    let answer = wire.until("body_too_large").await;
    assert_eq!(status(&answer), Some(413), "{answer}");

    let exact = json!({"text": "a".repeat(65_536 - 11)}).to_string();
    assert_eq!(exact.len(), 65_536);
    ann.post("/v1/posts", &json!(null)).body(exact).await.problem(422, "text_too_long");
    alive(&server).await;
}

#[tokio::test]
async fn an_endless_body_is_cut_off() {
    let server = Server::start().await;
    let mut wire = Wire::open(server.address).await;
    wire.send("POST /v1/auth/dev HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
    let mut sent = 0;
    while sent < 10_000 && wire.send(&chunk).await {
        sent += 1;
    }
    assert!(sent < 10_000, "600 MiB were swallowed");
    alive(&server).await;
}

#[tokio::test]
async fn bad_chunks_and_bodies_that_end_early_break_nothing() {
    let server = Server::start().await;
    let head = "POST /v1/auth/dev HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    for rest in [
        "transfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        "transfer-encoding: chunked\r\n\r\n5\r\nabc",
        "content-length: 500\r\n\r\n{\"handle\":",
        "content-length: 500\r\n",
    ] {
        let mut wire = Wire::open(server.address).await;
        wire.send(format!("{head}{rest}")).await;
        wire.end().await;
        let answer = wire.rest().await;
        assert!(status(&answer).is_none_or(|status| (400..500).contains(&status)), "{rest:?} -> {answer}");
    }
    alive(&server).await;
}

#[tokio::test]
async fn a_slow_body_is_408_and_slow_headers_are_hung_up_on() {
    let server = Server::start().await;
    let mut slow_body = Wire::open(server.address).await;
    slow_body.send("POST /v1/auth/dev HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{").await;
    let (mut silent, mut partial, mut preface) =
        (Wire::open(server.address).await, Wire::open(server.address).await, Wire::open(server.address).await);
    partial.send("GET /v1/me HTTP/1.1\r\nhost: x\r\nx: ").await;
    preface.send("PRI * HT").await;
    let answer = slow_body.rest().await;
    assert!(status(&answer) == Some(408) && answer.contains("slow_body"), "{answer}");
    for wire in [&mut silent, &mut partial, &mut preface] {
        let answer = wire.rest().await;
        assert!(matches!(status(&answer), None | Some(408)), "{answer}");
    }
    alive(&server).await;
}

#[tokio::test]
async fn bodies_that_are_not_what_was_asked_are_400_or_415() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    let deep = format!("{{\"text\":{}{}}}", "[".repeat(30_000), "]".repeat(30_000));
    let bad: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"{".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"\"text\"".to_vec(),
        b"{}".to_vec(),
        b"{\"text\":7}".to_vec(),
        b"{\"text\":null}".to_vec(),
        b"{\"text\":\"a\",\"other\":1}".to_vec(),
        b"{\"text\":\"a\",\"text\":\"b\"}".to_vec(),
        b"{\"text\":\"a\"} x".to_vec(),
        b"{\"text\":\"\\ud800\"}".to_vec(),
        b"{\"text\":\"\xff\xfe\"}".to_vec(),
        b"\xef\xbb\xbf{\"text\":\"a\"}".to_vec(),
        b"{\"text\":1e999}".to_vec(),
        format!("{{\"{}\":1}}", "n".repeat(60_000)).into_bytes(),
        deep.into_bytes(),
    ];
    for body in bad {
        let reply =
            ann.ask(http::Method::POST, "/v1/posts").header("content-type", "application/json").body(body).await;
        let reply = reply.problem(400, "bad_json");
        assert!(reply.body.len() < 1_000, "a complaint does not repeat the whole request: {}", reply.text());
    }
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "json"]
    {
        let reply =
            ann.ask(http::Method::POST, "/v1/posts").header("content-type", content_type).body("{\"text\":\"a\"}");
        reply.await.problem(415, "not_json");
    }
    ann.ask(http::Method::POST, "/v1/posts").body("{\"text\":\"a\"}").await.problem(415, "not_json");
    for good in ["application/json", "application/json; charset=UTF-8"] {
        let reply = ann.ask(http::Method::POST, "/v1/posts").header("content-type", good).body("{\"text\":\"a\"}");
        reply.await.expect(201);
    }
}

#[tokio::test]
async fn hostile_ids_are_400_on_every_route_that_takes_one() {
    let server = Server::start().await;
    let op = server.operator().await;
    let routes = [
        ("GET", "/v1/users/{}"),
        ("GET", "/v1/users/{}/posts"),
        ("GET", "/v1/users/{}/followers"),
        ("GET", "/v1/users/{}/following"),
        ("GET", "/v1/posts/{}"),
        ("DELETE", "/v1/posts/{}"),
        ("PUT", "/v1/likes/{}"),
        ("DELETE", "/v1/likes/{}"),
        ("PUT", "/v1/follows/{}"),
        ("DELETE", "/v1/follows/{}"),
        ("PUT", "/v1/mutes/{}"),
        ("DELETE", "/v1/mutes/{}"),
        ("PUT", "/v1/blocks/{}"),
        ("DELETE", "/v1/blocks/{}"),
        ("GET", "/v1/operator/authors/{}"),
        ("PUT", "/v1/operator/authors/{}"),
        ("GET", "/v1/operator/feed/{}"),
    ];
    let ids = [
        "0",
        "-1",
        "+1",
        "x",
        "1x",
        "0x1",
        "1.0",
        "1e3",
        "%31",
        "%20",
        "9223372036854775808",
        "18446744073709551616",
        "null",
        "...",
    ];
    for (method, route) in routes {
        for id in ids {
            let reply = op.ask(method.parse().unwrap(), &route.replace("{}", id)).await;
            reply.problem(400, "bad_id");
        }
    }
}

#[tokio::test]
async fn hostile_parameters_are_400_and_unknown_ones_are_passed_over() {
    let server = Server::start().await;
    let op = server.operator().await;
    let own = format!("/v1/users/{}", op.id);
    let lists = [
        "/v1/feed".to_owned(),
        "/v1/mutes".to_owned(),
        "/v1/blocks".to_owned(),
        "/v1/operator/tuning/history".to_owned(),
        format!("/v1/operator/feed/{}", op.id),
        format!("{own}/posts"),
        format!("{own}/followers"),
        format!("{own}/following"),
    ];
    let long = "A".repeat(8_000);
    for list in &lists {
        for limit in ["0", "101", "-1", "1.5", "", "abc", "99999999999999999999"] {
            op.get(&format!("{list}?limit={limit}")).await.problem(400, "bad_limit");
        }
        for cursor in ["", "x", "AAAA", "!!!!", "%00", "%F0%9F%98%80", "12345", &long] {
            op.get(&format!("{list}?cursor={cursor}")).await.problem(400, "bad_cursor");
        }
        for query in ["cursor=%", "cursor=%ff", "limit=%zz", "limit=5&limit=5", "cursor=a&cursor=b"] {
            op.get(&format!("{list}?{query}")).await.problem(400, "bad_parameter");
        }
        op.get(&format!("{list}?limit=5&other=%ff&x&&=&colour=red")).await.expect(200);
    }
    for since in ["", "x", "AAAA", &long] {
        op.get(&format!("/v1/feed?since={since}")).await.problem(400, "bad_cursor");
    }
    for handle in
        ["", "?handle=", "?handle=Ann", "?handle=a%20b", "?handle=../x", &format!("?handle={}", "a".repeat(31))]
    {
        op.get(&format!("/v1/users{handle}")).await.problem(400, "bad_handle");
    }
    op.get("/v1/users?handle=op&handle=op").await.problem(400, "bad_parameter");
}

#[tokio::test]
async fn duplicated_headers_that_decide_are_400() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    let twice =
        |name: &str, value: &str| ann.post("/v1/posts", &json!({"text": "a"})).header(name, value).header(name, value);
    twice("authorization", "Bearer x").await.problem(400, "duplicate_header");
    twice("content-type", "application/json").await.problem(400, "duplicate_header");
    twice("idempotency-key", "k").await.problem(400, "duplicate_header");
    twice("x-request-id", "k").await.expect(201);
}

#[tokio::test]
async fn a_crowd_of_broken_connections_leaves_the_server_serving() {
    let server = Server::start().await;
    let mut crowd = JoinSet::new();
    for n in 0..200 {
        let address = server.address;
        crowd.spawn(async move {
            let mut wire = Wire::open(address).await;
            let request = "POST /v1/auth/dev HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{\"handle\":\"a\"";
            wire.send(&request[..request.len() * n / 200]).await;
        });
    }
    crowd.join_all().await;
    alive(&server).await;
}

#[tokio::test]
async fn whoever_never_reads_is_given_up() {
    let server = Server::with(|settings| {
        settings.bounds.connections = 2;
        settings.bounds.headers = Duration::from_secs(600);
        settings.bounds.write = Duration::from_millis(300);
    })
    .await;
    let ann = server.sign_in("ann").await;
    for _ in 0..100 {
        ann.publish(&"😀".repeat(2_000)).await;
    }
    let request = format!("GET /v1/feed?limit=100 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", ann.token);
    drop(ann);
    let (mut first, mut second) = (Wire::open(server.address).await, Wire::open(server.address).await);
    for wire in [&mut first, &mut second] {
        wire.send(request.repeat(30)).await;
    }
    // The two have both places for ever, unless they are given up.
    let mut third = Wire::open(server.address).await;
    third.send("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    third.until("}").await;
}

#[tokio::test]
async fn more_connections_than_the_bound_wait_for_a_place() {
    let server = Server::with(|settings| settings.bounds.connections = 1).await;
    let health = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let (mut first, mut second) = (Wire::open(server.address).await, Wire::open(server.address).await);
    first.send(health).await;
    first.until("}").await;
    second.send(health).await;
    let waits = tokio::time::timeout(Duration::from_millis(100), second.until("}")).await;
    assert!(waits.is_err(), "the second was served beside the first");
    drop(first);
    second.until("}").await;
}

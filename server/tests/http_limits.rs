//! Limits as clients meet them: rates with what is left of them, by user and by address, and connections by address.
//! Sizes, slow senders and those who never read are in `http_hostile.rs`; HTTP/2 in `http_h2.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{Reply, Server, Wire, eventually};
use http::Method;
use serde_json::json;
use tributary_server::http::Asset;

/// What remains by the policy of this name, and in how many seconds there is more, as an answer tells it.
fn left(reply: &Reply, policy: &str) -> (u64, u64) {
    let stated = |header: &str| {
        let values = reply.headers.get_all(header).iter().map(|value| value.to_str().unwrap().to_owned());
        let quoted = format!("\"{policy}\";");
        values.into_iter().find_map(|value| value.strip_prefix(&quoted).map(str::to_owned))
    };
    let number = |text: &str, name: &str| text.split(';').find_map(|part| part.strip_prefix(name)?.parse::<u64>().ok());
    let policy = stated("ratelimit-policy").unwrap_or_else(|| panic!("{}: {:?}", reply.asked, reply.headers));
    assert!(number(&policy, "q=").is_some_and(|quota| quota > 0) && number(&policy, "w=").is_some_and(|w| w > 0));
    let state = stated("ratelimit").unwrap();
    (number(&state, "r=").unwrap(), number(&state, "t=").unwrap())
}

fn is_told_nothing(reply: &Reply) -> bool {
    reply.header("ratelimit").is_none() && reply.header("ratelimit-policy").is_none()
}

#[tokio::test]
async fn a_user_is_told_what_is_left_with_every_answer_until_nothing_is() {
    let server = Server::with(|settings| settings.requests_per_second = 5).await;
    let ann = server.sign_in("ann").await;
    let reply = ann.get("/v1/me").await.expect(200);
    assert_eq!(reply.header("ratelimit-policy"), Some("\"user\";q=10;w=2"));
    assert_eq!(left(&reply, "user").0, 9);
    // Errors are counted as well as what succeeds.
    let reply = ann.get("/v1/posts/x").await.problem(400, "bad_id");
    assert!((7..=9).contains(&left(&reply, "user").0), "{:?}", left(&reply, "user"));
    let refused = eventually(async || Some(ann.get("/v1/me").await).filter(|reply| reply.status == 429)).await;
    let refused = refused.problem(429, "rate_limited");
    let (remaining, wait_s) = left(&refused, "user");
    assert_eq!((remaining, Some(wait_s.to_string().as_str())), (0, refused.header("retry-after")));
    assert_eq!(refused.headers.get_all("ratelimit").iter().count(), 1);
    // Another user has a rate of its own; health is for nobody to count.
    let ben = server.sign_in("ben").await;
    assert_eq!(left(&ben.get("/v1/me").await.expect(200), "user").0, 9);
    assert!(is_told_nothing(&server.client().get("/healthz").await.expect(200)));
}

#[tokio::test]
async fn posts_are_counted_beside_requests() {
    let server = Server::with(|settings| {
        settings.requests_per_second = 1_000;
        settings.posts_per_minute = 2;
    })
    .await;
    let ann = server.sign_in("ann").await;
    let post = json!({"text": "a"});
    let first = ann.post("/v1/posts", &post).await.expect(201);
    assert_eq!(left(&first, "posts"), (1, 30));
    assert!(left(&first, "user").0 > 1_900);
    assert_eq!(left(&ann.post("/v1/posts", &post).await.expect(201), "posts").0, 0);
    let refused = ann.post("/v1/posts", &post).await.problem(429, "rate_limited");
    assert_eq!(left(&refused, "posts").0, 0);
    assert!(left(&refused, "user").0 > 1_900, "requests are left, posts are not");
    let malformed = ann.post("/v1/posts", &json!({"text": ""})).await.problem(422, "text_empty");
    assert!(malformed.headers.get_all("ratelimit").iter().all(|value| !value.to_str().unwrap().contains("posts")));
}

#[tokio::test]
async fn whoever_has_no_good_token_is_counted_by_address() {
    let server = Server::with(|settings| {
        settings.requests_per_second = 3;
        settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let from = |address: &str| server.client().get("/v1/me").header("x-forwarded-for", address);
    let reply = from("192.0.2.1").await.problem(401, "token_missing");
    assert_eq!(left(&reply, "address").0, 5);
    let bad = async || from("192.0.2.1").header("authorization", "Bearer x").await;
    left(&bad().await.problem(401, "token_invalid"), "address");
    for (method, path, status) in
        [(Method::POST, "/v1/auth/dev", 415), (Method::GET, "/nothing", 404), (Method::PATCH, "/v1/me", 405)]
    {
        let reply = server.client().ask(method, path).header("x-forwarded-for", "198.51.100.7").await.expect(status);
        left(&reply, "address");
    }
    eventually(async || (bad().await.status == 429).then_some(())).await;
    from("192.0.2.2").await.problem(401, "token_missing");

    // All of a /64 is one household.
    let mut n = 0;
    let refused = eventually(async || {
        n += 1;
        Some(from(&format!("2001:db8:1:2::{n:x}")).await).filter(|reply| reply.status == 429)
    })
    .await;
    assert_eq!(left(&refused, "address").0, 0);
    from("2001:db8:1:3::1").await.problem(401, "token_missing");
}

fn page(path: &str) -> Option<Asset> {
    match path {
        "/" => Some(Asset { content_type: "text/html; charset=utf-8", bytes: b"<!doctype html><title>t</title>" }),
        "/a.js" => Some(Asset { content_type: "text/javascript; charset=utf-8", bytes: b"//" }),
        _ => None,
    }
}

#[tokio::test]
async fn a_page_is_counted_and_what_belongs_to_it_is_not() {
    let server = Server::with(|settings| {
        settings.requests_per_second = 1;
        settings.pages = page;
    })
    .await;
    let client = server.client();
    assert_eq!(left(&client.get("/").await.expect(200), "address").0, 1);
    for _ in 0..20 {
        assert!(is_told_nothing(&client.get("/a.js").await.expect(200)));
    }
    for path in ["/", "/nothing"] {
        eventually(async || Some(client.get(path).await).filter(|reply| reply.status == 429)).await;
    }
}

#[tokio::test]
async fn without_limits_nothing_is_told_of_them() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    assert!(is_told_nothing(&ann.get("/v1/me").await.expect(200)));
    assert!(is_told_nothing(&ann.post("/v1/posts", &json!({"text": "a"})).await.expect(201)));
}

#[tokio::test]
async fn one_address_holds_so_many_connections_and_leaves_the_others_theirs() {
    const MOST: usize = 3;
    let server = Server::with(|settings| {
        settings.unbounded_peers = vec!["127.0.0.9".parse().unwrap()];
        settings.bounds.connections_of_address = MOST;
    })
    .await;
    let health = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let served = async |from: &str| {
        let mut wire = Wire::open_from(server.address, from.parse().unwrap()).await;
        // One that is refused may be closed before anything was sent.
        wire.send(health).await;
        wire.first(15).await.starts_with("HTTP/1.1 200 OK").then_some(wire)
    };
    let mut open = Vec::new();
    for _ in 0..MOST {
        open.push(served("127.0.0.2").await.expect("within the bound"));
    }
    for _ in 0..20 {
        assert!(served("127.0.0.2").await.is_none(), "one more than the bound");
    }
    assert!(served("127.0.0.3").await.is_some(), "another address has places of its own");
    for _ in 0..5 * MOST {
        open.push(served("127.0.0.9").await.expect("a proxy stands for many"));
    }
    drop(open);
    eventually(async || served("127.0.0.2").await).await;
    let metrics = server.client().get("/metrics").await.expect(200).text();
    let refused = metrics.lines().find_map(|line| line.strip_prefix("http_connections_refused_total "));
    assert!(refused.is_some_and(|count| count.parse::<u64>().unwrap() >= 20), "{refused:?}");
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_ends_in_time() {
    let server = Server::with(|settings| settings.bounds.headers = Duration::from_millis(300)).await;
    let mut idle = Wire::open(server.address).await;
    idle.send("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let answer = idle.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "answered, and closed when nothing followed: {answer}");
}

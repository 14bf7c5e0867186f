//! What clients see while parts are gone: 503 where truth itself is, else answers as ever (laws 7 and 8).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Server, Wire, eventually};
use http::Method;
use serde_json::json;
use tributary_engine::Ports;
use tributary_engine::testkit::faulty::{Fault, Faults, FaultyLog, FaultyShard, FaultyStore};

fn faulty(faults: &Arc<Faults>) -> impl FnOnce(Ports) -> Ports {
    let faults = Arc::clone(faults);
    move |Ports { store, log, shard }| Ports {
        store: Arc::new(FaultyStore::new(store, faults.clone())),
        log: Arc::new(FaultyLog::new(log, faults.clone())),
        shard: Arc::new(FaultyShard::new(shard, faults)),
    }
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort_unstable();
    texts
}

#[tokio::test]
async fn without_the_store_a_node_is_down_and_answers_503_that_says_nothing_internal() {
    let faults = Faults::new(1);
    let server = Server::over(faulty(&faults), |_| ()).await;
    let (op, ben) = (server.operator().await, server.sign_in("ben").await);
    faults.set_store_gone(true);
    for path in ["/healthz", "/readyz"] {
        let health = server.client().get(path).await.expect(503).json();
        assert_eq!(health["status"], "down", "{health}");
        assert_ne!(health["checks"]["store"], "ok", "{health}");
    }
    let commands = [
        (Method::POST, "/v1/posts".to_owned()),
        (Method::PUT, format!("/v1/follows/{}", ben.id)),
        (Method::DELETE, format!("/v1/follows/{}", ben.id)),
        (Method::PUT, format!("/v1/blocks/{}", ben.id)),
        (Method::PUT, "/v1/likes/123".to_owned()),
        (Method::DELETE, "/v1/posts/123".to_owned()),
        (Method::PUT, format!("/v1/operator/authors/{}", ben.id)),
    ];
    for (method, path) in commands {
        let body = if method == Method::POST { json!({"text": "a"}) } else { json!({"pin": null}) };
        let reply = op.ask(method, &path).json(&body).await.problem(503, "unavailable");
        assert!(!reply.text().contains("injected"), "{}", reply.text());
    }
    for path in ["/v1/feed", "/v1/users?handle=nobody", "/v1/posts/123", "/v1/operator/tuning", "/v1/mutes"] {
        op.get(path).await.problem(503, "unavailable");
    }
    let login = server.client().ask(Method::POST, "/v1/auth/dev").json(&json!({"handle": "cat"}));
    login.await.problem(503, "unavailable");
    server.client().get("/metrics").await.expect(200);
    op.get("/v1/operator/status").await.expect(200);

    faults.set_store_gone(false);
    eventually(async || Some(server.client().get("/readyz").await).filter(|reply| reply.status == 200)).await;
    op.publish("back").await;
    eventually(async || (op.feed_texts().await == ["back"]).then_some(())).await;
}

#[tokio::test]
async fn without_shard_and_log_a_node_is_degraded_and_serves() {
    let faults = Faults::new(2);
    let server = Server::over(faulty(&faults), |_| ()).await;
    let (ann, ben) = (server.sign_in("ann").await, server.sign_in("ben").await);
    ann.follow(&ben).await;
    faults.set(Fault::ShardUnavailable, 1.0);
    faults.set(Fault::LogUnavailable, 1.0);
    ben.publish("by ben").await;
    ann.publish("by ann").await;
    assert_eq!(sorted(ann.feed_texts().await), ["by ann", "by ben"]);
    let health = server.client().get("/readyz").await.expect(200).json();
    assert_eq!((&health["status"], &health["checks"]["store"]), (&json!("degraded"), &json!("ok")), "{health}");
    faults.switch(false);
    ben.publish("later").await;
    let all = ["by ann", "by ben", "later"];
    eventually(async || (sorted(ann.feed_texts().await) == all).then_some(())).await;
}

#[tokio::test]
async fn a_flood_of_probes_asks_no_more_of_the_parts_than_a_few() {
    let faults = Faults::new(4);
    let server = Server::over(faulty(&faults), |_| ()).await;
    faults.set(Fault::LogUnavailable, 1.0);
    let asked = || faults.injected(Fault::LogUnavailable);
    let before = asked();
    for n in 0..300 {
        let path = if n % 2 == 0 { "/healthz" } else { "/readyz" };
        let health = server.client().get(path).await.expect(200).json();
        assert_eq!(health["checks"]["log"], "cannot be reached");
    }
    // The node itself asks too, some times a second.
    assert!(asked() - before < 150, "{} questions", asked() - before);
}

#[tokio::test]
async fn a_command_whose_outcome_is_unknown_is_settled_by_its_key() {
    let faults = Faults::new(3);
    let server = Server::over(faulty(&faults), |_| ()).await;
    let ann = server.sign_in("ann").await;
    faults.set(Fault::CommitReplyLost, 0.3);
    faults.set(Fault::CommitLost, 0.3);
    faults.set(Fault::StoreUnavailable, 0.2);
    for n in 0..50 {
        let (text, key) = (json!({"text": n.to_string()}), format!("key-{n}"));
        eventually(async || {
            let reply = ann.post("/v1/posts", &text).key(&key).await;
            match reply.status.as_u16() {
                201 => Some(()),
                409 => None,
                _ => {
                    reply.problem(503, "unavailable");
                    None
                }
            }
        })
        .await;
    }
    faults.switch(false);
    let expected: Vec<String> = (0..50).rev().map(|n| n.to_string()).collect();
    let posts = ann.all(&format!("/v1/users/{}/posts", ann.id), 100).await;
    assert_eq!(common::texts(&posts), expected, "each exactly once");
}

#[tokio::test]
async fn a_request_past_its_deadline_is_503() {
    let server = Server::with(|settings| {
        settings.bounds.request = Duration::from_millis(100);
        settings.requests_per_second = 50;
        settings.bounds.body = Duration::from_secs(60);
    })
    .await;
    let mut slow = Wire::open(server.address).await;
    slow.send("POST /v1/auth/dev HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{").await;
    let answer = slow.rest().await;
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after") && answer.contains("unavailable"),
        "{answer}"
    );
    assert!(answer.contains("ratelimit: \"address\""), "it was counted: {answer}");
}

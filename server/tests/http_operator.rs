//! Tuning, pins, status, health and metrics.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Server, Session, eventually};
use http::Method;
use serde_json::{Value, json};

const TUNING: &str = "/v1/operator/tuning";

fn settings(enter: i64, leave: i64) -> Value {
    json!({"mode": "threshold", "enter_followers": enter, "leave_followers": leave,
           "flush_max_age_ms": 1000, "flush_max_pairs": 5000})
}

fn tune(op: &Session, if_match: &str, body: &Value) -> common::Ask {
    op.put(TUNING).header("if-match", if_match).json(body)
}

#[tokio::test]
async fn a_tuning_is_read_changed_and_remembered() {
    let server = Server::start().await;
    let op = server.operator().await;
    let reply = op.get(TUNING).await.expect(200);
    let first = reply.json();
    assert_eq!(first["version"], 1);
    assert_eq!((reply.header("etag"), first.as_object().unwrap().len()), (Some("\"1\""), 6));
    let reply = tune(&op, "\"1\"", &settings(20, 10)).await.expect(200);
    let mut expected = settings(20, 10);
    expected["version"] = json!(2);
    assert_eq!((reply.json(), reply.header("etag")), (expected.clone(), Some("\"2\"")));
    assert_eq!(op.get(TUNING).await.expect(200).json(), expected);
    tune(&op, "*", &settings(30, 10)).await.expect(200);

    let history = op.all(&format!("{TUNING}/history"), 2).await;
    let versions: Vec<u64> = history.iter().map(|tuning| tuning["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, [3, 2, 1]);
    let by: Vec<&str> = history.iter().map(|tuning| tuning["changed_by"].as_str().unwrap()).collect();
    assert_eq!(by, ["op", "op", "default"]);
    assert!(history.iter().all(|tuning| tuning["changed_at"].as_str().unwrap().ends_with('Z')));
    assert!(history.iter().all(|tuning| tuning.as_object().unwrap().len() == 8));
    assert_eq!(history[1]["enter_followers"], 20);
}

#[tokio::test]
async fn a_tuning_is_changed_only_by_whoever_saw_the_present_one() {
    let server = Server::start().await;
    let op = server.operator().await;
    op.put(TUNING).json(&settings(20, 10)).await.problem(428, "if_match_required");
    for stale in ["\"2\"", "\"0\"", "W/\"1\"", "\"x\"", "\"\"", "\"99999999999999999999999\""] {
        tune(&op, stale, &settings(20, 10)).await.problem(412, "version_mismatch");
    }
    for malformed in ["1", "\"1", "1\"", "\"1\", \"2\"", "", "\""] {
        tune(&op, malformed, &settings(20, 10)).await.problem(400, "bad_if_match");
    }
    tune(&op, "\"1\"", &settings(20, 10)).header("if-match", "\"1\"").await.problem(400, "duplicate_header");
    assert_eq!(op.get(TUNING).await.expect(200).json()["version"], 1);
    tune(&op, "\"1\"", &settings(20, 10)).await.expect(200);
    tune(&op, "\"1\"", &settings(20, 10)).await.problem(412, "version_mismatch");
}

#[tokio::test]
async fn a_tuning_that_breaks_a_rule_is_422_and_a_malformed_one_400() {
    let server = Server::start().await;
    let op = server.operator().await;
    let with = |name: &str, value: Value| {
        let mut body = settings(20, 10);
        body[name] = value;
        body
    };
    for body in [
        settings(10, 11),
        settings(0, 0),
        with("mode", json!("other")),
        with("leave_followers", json!(-1)),
        with("flush_max_pairs", json!(0)),
        with("flush_max_age_ms", json!(i64::MAX)),
        with("enter_followers", json!(i64::MAX)),
    ] {
        tune(&op, "\"1\"", &body).await.problem(422, "bad_tuning");
    }
    let mut missing = settings(20, 10);
    missing.as_object_mut().unwrap().remove("mode");
    for body in [
        missing,
        with("version", json!(2)),
        with("other", json!(2)),
        with("enter_followers", json!(1.5)),
        with("enter_followers", json!("20")),
        with("mode", json!(null)),
        json!([]),
    ] {
        tune(&op, "\"1\"", &body).await.problem(400, "bad_json");
    }
    op.put(TUNING).header("if-match", "\"1\"").body("{}").await.problem(415, "not_json");
    assert_eq!(op.get(TUNING).await.expect(200).json()["version"], 1);
}

#[tokio::test]
async fn a_committed_tuning_is_replayed_though_its_if_match_is_stale_by_now() {
    let server = Server::start().await;
    let op = server.operator().await;
    let first = tune(&op, "\"1\"", &settings(20, 10)).key("k").await.expect(200);
    assert_eq!(first.header("idempotency-replayed"), None);
    tune(&op, "\"2\"", &settings(30, 10)).await.expect(200);
    let again = tune(&op, "\"1\"", &settings(20, 10)).key("k").await.expect(200);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!((again.body.clone(), again.header("etag")), (first.body.clone(), first.header("etag")));
    tune(&op, "\"1\"", &settings(40, 10)).key("k").await.problem(422, "idempotency_key_reused");
    // Whoever wants the same after version 3 asks something else.
    tune(&op, "\"3\"", &settings(20, 10)).key("k").await.problem(422, "idempotency_key_reused");
    op.put(TUNING).json(&settings(20, 10)).key("k").await.problem(428, "if_match_required");
}

#[tokio::test]
async fn by_cost_the_thresholds_decide_until_costs_are_known_and_the_status_tells_them() {
    let server = Server::start().await;
    let (op, ann, ben) = (server.operator().await, server.sign_in("ann").await, server.sign_in("ben").await);
    ann.follow(&ben).await;
    let mut cost = settings(1, 1);
    cost["mode"] = json!("cost");
    let reply = tune(&op, "\"1\"", &cost).await.expect(200).json();
    assert_eq!((&reply["mode"], &reply["version"]), (&json!("cost"), &json!(2)));
    assert_eq!(op.get(TUNING).await.expect(200).json(), reply);
    let channel = async |author: &Session| {
        let state = op.get(&format!("/v1/operator/authors/{}", author.id)).await.expect(200).json();
        state["channel"].as_str().map(str::to_owned)
    };
    // By cost, an author is judged at a post.
    assert_eq!(channel(&ben).await.as_deref(), Some("push"));
    ben.publish("one").await;
    assert_eq!(channel(&ben).await.as_deref(), Some("pull"));
    op.put(&format!("/v1/operator/authors/{}", ben.id)).json(&json!({"pin": "push"})).await.expect(200);
    assert_eq!(channel(&ben).await.as_deref(), Some("push"));
    eventually(async || (ann.feed_texts().await == ["one"]).then_some(())).await;

    let costs = eventually(async || {
        let status = op.get("/v1/operator/status").await.expect(200).json();
        status["costs"].is_object().then(|| status["costs"].clone())
    })
    .await;
    assert!(costs["at_ms"].is_u64() && costs["balance_posts_per_day"].is_null(), "{costs}");
    for name in ["h_us", "l_us", "fills_per_day"] {
        assert!(costs.get(name).is_some(), "{costs}");
    }
}

#[tokio::test]
async fn an_authors_channel_is_pinned_and_let_go() {
    let server = Server::start().await;
    let (op, ann) = (server.operator().await, server.sign_in("ann").await);
    let path = format!("/v1/operator/authors/{}", ann.id);
    let state = |channel: &str, pin: Value| json!({"id": ann.id, "handle": "ann", "followers": 0, "channel": channel, "pin": pin});
    assert_eq!(op.get(&path).await.expect(200).json(), state("push", json!(null)));
    for (pin, channel) in [(json!("pull"), "pull"), (json!("push"), "push"), (json!(null), "push")] {
        let reply = op.put(&path).json(&json!({"pin": pin})).await.expect(200);
        assert_eq!(reply.json(), state(channel, pin.clone()));
        assert_eq!(op.get(&path).await.expect(200).json(), state(channel, pin));
    }
    op.put(&path).json(&json!({"pin": "sideways"})).await.problem(422, "bad_pin");
    for body in [json!({}), json!({"pin": 1}), json!({"pin": null, "other": 1}), json!(null)] {
        op.put(&path).json(&body).await.problem(400, "bad_json");
    }
    let nobody = "/v1/operator/authors/4611686018427387904";
    op.get(nobody).await.problem(404, "unknown_user");
    op.put(nobody).json(&json!({"pin": null})).await.problem(404, "unknown_user");
}

#[tokio::test]
async fn a_hot_authors_posts_are_in_the_feed_all_the_same() {
    let server = Server::start().await;
    let (op, ann, ben) = (server.operator().await, server.sign_in("ann").await, server.sign_in("ben").await);
    ann.follow(&ben).await;
    let path = format!("/v1/operator/authors/{}", ben.id);
    for (n, pin) in ["pull", "push", "pull"].into_iter().enumerate() {
        op.put(&path).json(&json!({"pin": pin})).await.expect(200);
        ben.publish(&format!("{n}")).await;
    }
    eventually(async || (ann.feed_texts().await == ["2", "1", "0"]).then_some(())).await;
}

#[tokio::test]
async fn the_status_tells_positions_ring_and_caches() {
    let server = Server::start().await;
    let op = server.operator().await;
    op.publish("one").await;
    let status = op.get("/v1/operator/status").await.expect(200).json();
    assert!(status["position"].is_u64(), "{status}");
    assert!(status["ring"]["floor"].is_u64() && status["ring"]["bytes"].is_u64(), "{status}");
    for shard in status["shards"].as_array().unwrap() {
        assert!(shard["position"].is_u64() && shard["backlog_events"].is_u64(), "{status}");
    }
    assert!(!status["caches"].as_array().unwrap().is_empty(), "{status}");
}

#[tokio::test]
async fn health_and_metrics_are_for_everybody() {
    let server = Server::start().await;
    for path in ["/healthz", "/readyz"] {
        let health = server.client().get(path).await.expect(200).json();
        assert_eq!((&health["status"], &health["checks"]["store"]), (&json!("ok"), &json!("ok")), "{health}");
    }
    server.client().get("/v1/users/123").await.problem(401, "token_missing");
    server.client().get("/secret/path").await.problem(404, "unknown_route");
    server.client().ask("BREW".parse().unwrap(), "/v1/me").await.problem(405, "method_not_allowed");
    let reply = server.client().get("/metrics").await.expect(200);
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = reply.text();
    for line in [
        r#"http_requests_total{method="GET",route="/v1/users/{id}",status="401"}"#,
        r#"http_requests_total{method="GET",route="none",status="404"}"#,
        r#"http_requests_total{method="other",route="/v1/me",status="405"}"#,
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    assert!(text.contains("http_request_duration_seconds") && text.contains("http_requests_in_flight"));
    assert!(!text.contains("secret") && !text.contains("BREW"));
}

#[tokio::test]
async fn a_process_without_the_role_api_answers_only_health_and_metrics() {
    let server = Server::with(|settings| settings.api = false).await;
    server.client().get("/healthz").await.expect(200);
    server.client().get("/metrics").await.expect(200);
    for (method, path) in [(Method::GET, "/v1/me"), (Method::POST, "/v1/auth/dev"), (Method::GET, "/")] {
        server.client().ask(method, path).await.problem(404, "unknown_route");
    }
}

//! The document of the API, and the page over it. That the document is true, every other test of this folder shows: its
//! client holds each answer against it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Reply, Server, faults};
use http::{HeaderMap, Method};
use serde_json::{Value, json};

const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi.json");

#[tokio::test]
async fn the_document_is_the_one_that_is_kept() {
    let server = Server::start().await;
    let reply = server.client().get("/openapi.json").await.expect(200);
    let document = reply.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);
    if std::env::var_os("TRIBUTARY_RENEW").is_some() {
        std::fs::write(KEPT, format!("{document:#}\n")).unwrap();
    }
    let kept: Value = serde_json::from_slice(&std::fs::read(KEPT).unwrap()).unwrap();
    assert!(
        document == kept,
        "the API is described otherwise than before. If that is meant, renew what is kept, and look at the difference:\n\
         TRIBUTARY_RENEW=1 cargo test --workspace --test http_openapi; git diff server/tests/openapi.json"
    );
}

#[tokio::test]
async fn guests_read_the_document_and_its_page() {
    let server = Server::start().await;
    let page = server.client().get("/docs").await.expect(200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("script-src 'self';") && !policy.contains("inline") && !policy.contains("eval"),
        "{policy}"
    );
    let html = page.text();
    let files: Vec<&str> = html.split('"').filter(|word| word.starts_with('/')).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    for path in files {
        let reply = server.client().get(path).await.expect(200);
        let kind = if path.ends_with(".css") { "text/css; charset=utf-8" } else { "text/javascript; charset=utf-8" };
        assert_eq!((reply.header("content-type"), reply.body.is_empty()), (Some(kind), false), "{path}");
    }
    server.client().ask(Method::POST, "/docs").await.problem(405, "method_not_allowed");
    server.client().get("/docs/").await.problem(404, "unknown_route");
}

#[tokio::test]
async fn a_process_that_is_no_api_node_has_neither() {
    let server = Server::with(|settings| settings.api = false).await;
    for path in ["/docs", "/docs/init.js", "/openapi.json"] {
        server.client().get(path).await.problem(404, "unknown_route");
    }
}

/// An answer as the client would have got it.
fn reply(asked: &str, status: u16, headers: &[(&'static str, &'static str)], body: &Value) -> Reply {
    let mut map = HeaderMap::new();
    map.insert("x-request-id", "1".parse().unwrap());
    for (name, value) in headers {
        map.insert(*name, value.parse().unwrap());
    }
    let body = if body.is_null() { String::new() } else { body.to_string() };
    Reply { asked: asked.to_owned(), status: status.try_into().unwrap(), headers: map, body: body.into() }
}

#[test]
fn an_answer_that_is_not_as_described_is_told() {
    let me = "GET http://127.0.0.1:1/v1/me?x=1";
    let (json_type, problem_type) =
        (("content-type", "application/json"), ("content-type", "application/problem+json"));
    let user = json!({"id": "7", "handle": "ann", "name": "Ann", "followers": 0, "following": 0,
                      "created_at": "2026-01-25T17:22:20.928Z"});
    let problem = |status: u16, code: &str| json!({"type": "about:blank", "title": "t", "status": status, "detail": "d", "code": code});
    let with = |name: &str, value: Value| {
        let mut user = user.clone();
        user[name] = value;
        user
    };
    let right = [
        reply(me, 200, &[json_type], &user),
        reply(me, 503, &[problem_type, ("retry-after", "1")], &problem(503, "unavailable")),
        reply("PUT http://h/v1/likes/7", 204, &[("idempotency-replayed", "true")], &Value::Null),
        reply(me, 503, &[problem_type, ("retry-after", "1"), ("ratelimit", "r")], &problem(503, "unavailable")),
        reply("GET http://h/v1/me/nothing", 404, &[problem_type], &problem(404, "unknown_route")),
        reply(
            "PATCH http://h/v1/me",
            405,
            &[problem_type, ("allow", "GET, HEAD")],
            &problem(405, "method_not_allowed"),
        ),
    ];
    for reply in right {
        assert_eq!(faults(&reply), Vec::<String>::new(), "{reply:?}");
    }
    let wrong = [
        ("418", reply(me, 418, &[problem_type], &problem(418, "teapot"))),
        ("text/html", reply(me, 200, &[("content-type", "text/html")], &user)),
        ("followers", reply(me, 200, &[json_type], &with("followers", json!("0")))),
        ("created_at", reply(me, 200, &[json_type], &with("created_at", json!("yesterday")))),
        ("id", reply(me, 200, &[json_type], &with("id", json!("-7")))),
        ("secret", reply(me, 200, &[json_type], &with("secret", json!("s")))),
        ("required", reply(me, 200, &[json_type], &json!({"id": "7"}))),
        ("retry-after", reply(me, 503, &[problem_type], &problem(503, "unavailable"))),
        ("etag", reply(me, 200, &[json_type, ("etag", "\"1\"")], &user)),
        ("other_code", reply(me, 401, &[problem_type, ("www-authenticate", "Bearer")], &problem(401, "other_code"))),
        ("content type", reply("PUT http://h/v1/likes/7", 204, &[json_type], &user)),
        ("location", reply("POST http://h/v1/posts", 201, &[json_type], &user)),
        (
            "ratelimit",
            reply("GET http://h/metrics", 200, &[("content-type", METRICS), ("ratelimit", "r")], &Value::Null),
        ),
        ("set-cookie", reply(me, 200, &[json_type, ("set-cookie", "a=b")], &user)),
        ("set-cookie", reply("GET http://h/v1/auth/p/callback", 200, &[json_type], &user)),
    ];
    for (what, reply) in wrong {
        let told = faults(&reply).join("; ");
        assert!(told.contains(what), "{what}: {told:?} of {reply:?}");
    }
}

//! Browsers with pages of other origins: what they are allowed, and what they are not told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Ask, Reply, Server};
use http::Method;
use tributary_server::config::Origins;

const PAGE: &str = "https://app.example";

async fn server(origins: &[&str]) -> Server {
    Server::with(|settings| settings.cors_origins = Origins::read(origins).unwrap()).await
}

/// What a browser asks before a page of `origin` may send a PUT with a token.
fn preflight(server: &Server, origin: &str, path: &str) -> Ask {
    let ask = server.client().ask(Method::OPTIONS, path).header("origin", origin);
    ask.header("access-control-request-method", "PUT").header("access-control-request-headers", "authorization")
}

fn varies_by_origin(reply: &Reply) -> bool {
    reply.headers.get_all("vary").iter().any(|value| value == "origin")
}

fn says_nothing(reply: &Reply) -> bool {
    reply.headers.keys().all(|name| !name.as_str().starts_with("access-control-"))
}

#[tokio::test]
async fn a_listed_page_is_allowed_what_clients_of_the_api_do() {
    let server = server(&[PAGE, "http://localhost:3000"]).await;
    for origin in [PAGE, "http://localhost:3000"] {
        for path in ["/v1/feed", "/v1/follows/1", "/v1/auth/dev", "/v1/nothing"] {
            let reply = preflight(&server, origin, path).await.expect(204);
            assert_eq!(reply.header("access-control-allow-origin"), Some(origin), "{path}");
            assert!(varies_by_origin(&reply));
            let allowed = |name: &str| reply.header(name).unwrap().split(", ").map(str::to_owned).collect::<Vec<_>>();
            let methods = allowed("access-control-allow-methods");
            assert!(["GET", "HEAD", "POST", "PUT", "DELETE"].iter().all(|method| methods.iter().any(|m| m == method)));
            let headers = allowed("access-control-allow-headers");
            for name in [
                "authorization",
                "content-type",
                "idempotency-key",
                "if-match",
                "if-none-match",
                "last-event-id",
                "x-request-id",
            ] {
                assert!(headers.iter().any(|header| header == name), "{name}");
            }
            assert!(reply.header("access-control-max-age").unwrap().parse::<u32>().unwrap() > 0);
            assert_eq!(reply.header("access-control-allow-credentials"), None);
        }
    }
}

#[tokio::test]
async fn a_listed_page_reads_answers_and_errors_with_their_headers() {
    let server = server(&[PAGE]).await;
    let ann = server.sign_in("ann").await;
    let replies = [
        ann.get("/v1/me").header("origin", PAGE).await.expect(200),
        ann.get("/v1/me").header("origin", PAGE).header("accept-encoding", "gzip").await.expect(200),
        ann.get("/v1/posts/x").header("origin", PAGE).await.problem(400, "bad_id"),
        server.client().get("/v1/me").header("origin", PAGE).await.problem(401, "token_missing"),
        ann.get("/v1/nothing").header("origin", PAGE).await.problem(404, "unknown_route"),
        ann.ask(Method::OPTIONS, "/v1/me").header("origin", PAGE).await.problem(405, "method_not_allowed"),
        ann.ask(Method::HEAD, "/v1/me").header("origin", PAGE).await.expect(200),
    ];
    for reply in replies {
        assert_eq!(reply.header("access-control-allow-origin"), Some(PAGE), "{}", reply.asked);
        let exposed = reply.header("access-control-expose-headers").unwrap();
        for name in ["etag", "location", "retry-after", "ratelimit", "ratelimit-policy", "idempotency-replayed"] {
            assert!(exposed.split(", ").any(|header| header == name), "{name}");
        }
        assert!(varies_by_origin(&reply) && exposed.contains("x-request-id"));
    }
    let limited = Server::with(|settings| {
        settings.cors_origins = Origins::read(&[PAGE]).unwrap();
        settings.requests_per_second = 1;
    })
    .await;
    let mut last = limited.client().get("/v1/me").header("origin", PAGE).await;
    while last.status != 429 {
        last = limited.client().get("/v1/me").header("origin", PAGE).await;
    }
    assert_eq!(last.header("access-control-allow-origin"), Some(PAGE));
    preflight(&limited, PAGE, "/v1/me").await.expect(204);
}

#[tokio::test]
async fn other_pages_are_told_nothing() {
    let server = server(&[PAGE]).await;
    let ann = server.sign_in("ann").await;
    let strangers = [
        "https://evil.example",
        "https://app.example.evil.example",
        "https://app.example:8443",
        "http://app.example",
        "HTTPS://APP.EXAMPLE",
        "null",
        "",
    ];
    for origin in strangers {
        let reply = preflight(&server, origin, "/v1/me").await.problem(405, "method_not_allowed");
        assert!(says_nothing(&reply), "{origin}");
        let reply = ann.get("/v1/me").header("origin", origin).await.expect(200);
        assert!(says_nothing(&reply) && varies_by_origin(&reply), "{origin}");
    }
    let reply = ann.get("/v1/me").await.expect(200);
    assert!(says_nothing(&reply) && varies_by_origin(&reply), "a cache must not give this answer to a page");
}

#[tokio::test]
async fn every_page_is_allowed_where_all_are_listed() {
    let server = server(&["*"]).await;
    let ann = server.sign_in("ann").await;
    for reply in [
        preflight(&server, "https://any.example", "/v1/me").await.expect(204),
        ann.get("/v1/me").header("origin", "https://any.example").await.expect(200),
    ] {
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        assert!(!varies_by_origin(&reply) && reply.header("access-control-allow-credentials").is_none());
    }
}

#[tokio::test]
async fn without_origins_nothing_is_said_and_options_is_no_method() {
    let server = Server::start().await;
    preflight(&server, PAGE, "/v1/me").await.problem(405, "method_not_allowed");
    let reply = server.sign_in("ann").await.get("/v1/me").header("origin", PAGE).await.expect(200);
    assert!(says_nothing(&reply) && !varies_by_origin(&reply));
}

#[tokio::test]
async fn health_metrics_and_pages_are_not_for_other_origins() {
    let server = server(&["*"]).await;
    for path in ["/healthz", "/metrics"] {
        assert!(says_nothing(&server.client().get(path).header("origin", PAGE).await.expect(200)), "{path}");
        preflight(&server, PAGE, path).await.problem(405, "method_not_allowed");
    }
    preflight(&server, PAGE, "/").await.problem(404, "unknown_route");
}

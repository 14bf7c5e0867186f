//! Who may come in: the login of developers, access tokens, operators' doors, rate limits.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Server, TOKEN_KEY};
use http::Method;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// Every route with a door, with an id that fits.
const GUARDED: [(&str, &str); 28] = [
    ("GET", "/v1/me"),
    ("GET", "/v1/users?handle=ann"),
    ("GET", "/v1/users/1"),
    ("GET", "/v1/users/1/posts"),
    ("GET", "/v1/users/1/followers"),
    ("GET", "/v1/users/1/following"),
    ("POST", "/v1/posts"),
    ("GET", "/v1/posts/1"),
    ("DELETE", "/v1/posts/1"),
    ("PUT", "/v1/likes/1"),
    ("DELETE", "/v1/likes/1"),
    ("PUT", "/v1/follows/1"),
    ("DELETE", "/v1/follows/1"),
    ("GET", "/v1/mutes"),
    ("PUT", "/v1/mutes/1"),
    ("DELETE", "/v1/mutes/1"),
    ("GET", "/v1/blocks"),
    ("PUT", "/v1/blocks/1"),
    ("DELETE", "/v1/blocks/1"),
    ("GET", "/v1/feed"),
    ("GET", "/v1/feed/live"),
    ("GET", "/v1/operator/tuning"),
    ("PUT", "/v1/operator/tuning"),
    ("GET", "/v1/operator/tuning/history"),
    ("GET", "/v1/operator/authors/1"),
    ("PUT", "/v1/operator/authors/1"),
    ("GET", "/v1/operator/feed/1"),
    ("GET", "/v1/operator/status"),
];

fn method(name: &str) -> Method {
    name.parse().unwrap()
}

#[tokio::test]
async fn the_developers_login_makes_a_user_once_and_gives_tokens() {
    let server = Server::start().await;
    let client = server.client();
    let login = json!({"handle": "ann_1"});
    let first = client.ask(Method::POST, "/v1/auth/dev").json(&login).await.expect(200).json();
    let again = client.ask(Method::POST, "/v1/auth/dev").json(&login).await.expect(200).json();
    assert_eq!((&first["token_type"], &first["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert_ne!(first["refresh_token"].as_str().unwrap(), again["refresh_token"].as_str().unwrap());
    assert_eq!(first.as_object().unwrap().len(), 5);
    let user = &first["user"];
    assert_eq!(user["id"], again["user"]["id"]);
    assert_eq!((&user["handle"], &user["name"]), (&json!("ann_1"), &json!("ann_1")));
    assert_eq!((&user["followers"], &user["following"]), (&json!(0), &json!(0)));
    assert!(user["created_at"].as_str().unwrap().ends_with('Z') && user.as_object().unwrap().len() == 6);
    for body in
        [json!({"handle": ""}), json!({"handle": "Ann"}), json!({"handle": "a-b"}), json!({"handle": "a".repeat(31)})]
    {
        client.ask(Method::POST, "/v1/auth/dev").json(&body).await.problem(422, "bad_handle");
    }
    for body in
        [json!({}), json!({"handle": 7}), json!({"handle": "ann", "operator": "yes"}), json!({"handle": "a", "x": 1})]
    {
        client.ask(Method::POST, "/v1/auth/dev").json(&body).await.problem(400, "bad_json");
    }
}

#[tokio::test]
async fn without_the_developers_login_there_is_no_such_route() {
    let server = Server::with(|settings| settings.dev_login = false).await;
    let login = server.client().ask(Method::POST, "/v1/auth/dev").json(&json!({"handle": "ann"}));
    login.await.problem(404, "unknown_route");
}

#[tokio::test]
async fn every_guarded_route_is_401_without_a_good_token_and_operators_routes_are_403_for_others() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    for (name, path) in GUARDED {
        server.client().ask(method(name), path).await.problem(401, "token_missing");
        let bad = server.client().ask(method(name), path).header("authorization", "Bearer x.y.z");
        let reply = bad.await.problem(401, "token_invalid");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        if path.starts_with("/v1/operator") {
            ann.ask(method(name), path).await.problem(403, "operator_required");
        }
    }
    for scheme in ["", "Basic YTpi", "Bearer", &ann.token, &format!("Token {}", ann.token)] {
        server.client().get("/v1/me").header("authorization", scheme).await.problem(401, "token_missing");
    }
    let lower = format!("bearer {}", ann.token);
    server.client().get("/v1/me").header("authorization", &lower).await.expect(200);
}

#[tokio::test]
async fn forged_changed_and_expired_tokens_are_401() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    let refused = async |token: &str, code: &str| {
        let ask = server.client().get("/v1/me").header("authorization", &format!("Bearer {token}"));
        ask.await.problem(401, code);
    };
    let (header, rest) = ann.token.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    for token in [
        format!("{none}.{payload}."),
        format!("{none}.{payload}.{signature}"),
        format!("{header}.{payload}."),
        format!("{header}.{payload}"),
        format!("{header}.{}.{signature}", payload.replace('J', "K")),
        "a".repeat(5_000),
    ] {
        refused(&token, "token_invalid").await;
    }
    let decoded = jsonwebtoken::decode_header(&ann.token).unwrap();
    let claims =
        |exp: u64| json!({"sub": ann.id, "handle": "ann", "operator": true, "iat": 1, "exp": exp, "iss": "tributary"});
    let sign = |header: &Header, key: [u8; 32], claims: &Value| {
        jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(&key)).unwrap()
    };
    refused(&sign(&decoded, [8; 32], &claims(1 << 40)), "token_invalid").await;
    refused(&sign(&Header { alg: Algorithm::HS384, ..decoded.clone() }, TOKEN_KEY, &claims(1 << 40)), "token_invalid")
        .await;
    refused(&sign(&decoded, TOKEN_KEY, &claims(1_000_000)), "token_expired").await;
}

#[tokio::test]
async fn operators_are_whom_the_token_or_the_configuration_names() {
    let server = Server::start().await;
    server.operator().await.get("/v1/operator/status").await.expect(200);
    server.sign_in("root").await.get("/v1/operator/status").await.expect(200);
    server.sign_in("ann").await.get("/v1/operator/status").await.problem(403, "operator_required");
}

#[tokio::test]
async fn a_user_who_asks_too_often_is_429_and_others_are_not() {
    let server = Server::with(|settings| settings.requests_per_second = 5).await;
    let (ann, ben) = (server.sign_in("ann").await, server.sign_in("ben").await);
    let mut refused = 0;
    for _ in 0..40 {
        let reply = ann.get("/v1/me").await;
        if reply.status == 429 {
            let reply = reply.problem(429, "rate_limited");
            assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
            refused += 1;
        }
    }
    assert!(refused >= 20, "{refused} of 40 at once were refused");
    ben.get("/v1/me").await.expect(200);
    for _ in 0..50 {
        server.client().get("/metrics").await.expect(200);
        server.client().get("/healthz").await.expect(200);
    }
}

#[tokio::test]
async fn whoever_guesses_tokens_is_429_by_address() {
    let server = Server::with(|settings| {
        settings.requests_per_second = 5;
        settings.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let guess =
        |from: &str| server.client().get("/v1/me").header("authorization", "Bearer x").header("x-forwarded-for", from);
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(guess("1.2.3.4").await.status.as_u16());
    }
    assert!(statuses[..10].iter().all(|&status| status == 401), "{statuses:?}");
    assert!(statuses.iter().filter(|&&status| status == 429).count() >= 20, "{statuses:?}");
    guess("1.2.3.5").await.problem(401, "token_invalid");
}

#[tokio::test]
async fn an_untrusted_peer_cannot_choose_its_address() {
    let server = Server::with(|settings| settings.requests_per_second = 5).await;
    let mut refused = 0;
    for n in 0..40 {
        let guess = server.client().get("/v1/nothing").header("x-forwarded-for", &format!("1.2.3.{n}"));
        refused += usize::from(guess.await.status == 429);
    }
    assert!(refused >= 20, "{refused}");
}

#[tokio::test]
async fn posts_have_a_rate_of_their_own() {
    let server = Server::with(|settings| settings.posts_per_minute = 3).await;
    let ann = server.sign_in("ann").await;
    for n in 0..3 {
        ann.publish(&format!("{n}")).await;
    }
    ann.post("/v1/posts", &json!({"text": " "})).await.problem(422, "text_empty");
    ann.post("/v1/posts", &json!({"text": "4"})).await.problem(429, "rate_limited");
    ann.get("/v1/feed").await.expect(200);
}

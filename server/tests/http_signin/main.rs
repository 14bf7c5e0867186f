//! Signing in through providers: a real one in a process of its own, and one that lies, stalls and changes its keys.
//!
//! The real one signs in and denies, is given a code twice and another nonce, is late, down, and back with new keys
//! ([`real`]). What it cannot be made to say, such as another audience, the other one says.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod browser;
mod configuration;
mod fake;
mod github;
mod identities;
mod provider;
mod real;
mod refused;

use std::sync::Arc;

use serde_json::{Value, json};
use tributary_server::config::{Protocol, Provider};
use tributary_server::http::{Settings, SignIn};

use browser::{Browser, parameter, redirect_url};
use common::{Reply, Server};
use fake::{CLIENT, Fake, SECRET};

/// What a node is told of a provider by this name; its secret is in a file in `folder`.
fn told(name: &str, issuer: &str, folder: &std::path::Path) -> Provider {
    let secret = folder.join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    Provider {
        name: name.to_owned(),
        protocol: match name {
            "github" => Protocol::Github { base: Some(issuer.to_owned()) },
            _ => Protocol::OpenId { issuer: issuer.to_owned() },
        },
        client_id: CLIENT.to_owned(),
        client_secret_file: Some(secret),
        redirect_url: redirect_url(name).parse().unwrap(),
        scopes: vec!["openid".to_owned(), "profile".to_owned()],
        operator: Some(("roles".to_owned(), "tributary-operator".to_owned())),
    }
}

fn with_providers(settings: &mut Settings, providers: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let told: Vec<_> = providers.iter().map(|(name, issuer)| told(name, issuer, folder.path())).collect();
    settings.sign_in = Arc::new(SignIn::open(&told, &[[5; 32]]).unwrap());
}

/// A server with the provider `home`, which is the fake one.
async fn start() -> (Server, Fake) {
    let fake = Fake::start().await;
    let server = Server::with(|settings| with_providers(settings, &[("home", &fake.issuer())])).await;
    (server, fake)
}

/// A whole sign-in at `home`, as the provider's user of these claims.
async fn sign_in(server: &Server, fake: &Fake, claims: Value) -> Reply {
    let browser = Browser::default();
    let sent = browser.login(server.address, "home", &[]).await;
    browser.come_back(server.address, &fake.approve(&sent, claims)).await
}

fn user(reply: Reply) -> Value {
    reply.expect(200).json()["user"].clone()
}

#[tokio::test]
async fn a_sign_in_makes_the_user_once_and_answers_with_tokens_that_work() {
    let (server, fake) = start().await;
    let browser = Browser::default();
    let sent = browser.login(server.address, "home", &[]).await;
    assert_eq!(sent.path(), "/authorize");
    assert_eq!(parameter(&sent, "scope"), "openid profile");
    assert_eq!(parameter(&sent, "redirect_uri"), redirect_url("home"));
    for (name, chars) in [("state", 22), ("nonce", 43), ("code_challenge", 43)] {
        assert_eq!(parameter(&sent, name).len(), chars, "{name}");
    }
    let callback = "/v1/auth/home/callback";
    assert!(browser.cookies_for(server.address, callback).starts_with("tributary_signin_"));
    assert_eq!(browser.cookies_for(server.address, "/v1/feed"), "", "it is for the callback alone");

    let claims = json!({"sub": "1", "preferred_username": "Ann.Smith", "name": " Ann \n Smith "});
    let reply = browser.come_back(server.address, &fake.approve(&sent, claims.clone())).await;
    let tokens = reply.expect(200).json();
    assert_eq!(browser.cookies_for(server.address, callback), "", "the attempt is over");
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(tokens.as_object().unwrap().len(), 5);
    let ann = &tokens["user"];
    assert_eq!((&ann["handle"], &ann["name"]), (&json!("ann_smith"), &json!("Ann Smith")));
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    let me = server.client().get("/v1/me").header("authorization", &bearer).await.expect(200).json();
    assert_eq!(me, *ann);
    let tuning = server.client().get("/v1/operator/tuning").header("authorization", &bearer).await;
    tuning.problem(403, "operator_required");

    // What the provider says later of the same subject makes nobody new, and changes nothing.
    let again = sign_in(&server, &fake, json!({"sub": "1", "preferred_username": "other", "name": "Other"})).await;
    assert_eq!(user(again), *ann);
    let other = sign_in(&server, &fake, json!({"sub": "2", "preferred_username": "ann.smith"})).await;
    let other = user(other);
    assert_ne!(other["id"], ann["id"]);
    assert_eq!(other["handle"], "ann_smith2", "a handle that is taken gets a number");
}

#[tokio::test]
async fn whoever_the_provider_says_so_is_an_operator() {
    let (server, fake) = start().await;
    for (roles, status) in [
        (json!("tributary-operator"), 200),
        (json!(["reader", "tributary-operator"]), 200),
        (json!(["tributary-operators"]), 403),
        (json!({"tributary-operator": true}), 403),
        (json!(null), 403),
    ] {
        let reply = sign_in(&server, &fake, json!({"sub": "1", "name": "Ann", "roles": roles})).await;
        let bearer = format!("Bearer {}", reply.expect(200).json()["access_token"].as_str().unwrap());
        server.client().get("/v1/operator/tuning").header("authorization", &bearer).await.expect(status);
    }
}

#[tokio::test]
async fn the_ways_to_sign_in_are_told_to_anybody() {
    let (server, fake) = start().await;
    let ways = async |server: &Server| server.client().get("/v1/auth/providers").await.expect(200).json();
    assert_eq!(ways(&server).await, json!({"dev": true, "providers": ["home"]}));
    let none = Server::with(|settings| settings.dev_login = false).await;
    assert_eq!(ways(&none).await, json!({"dev": false, "providers": []}));
    for path in ["/v1/auth/home/login", "/v1/auth/dev/callback?state=x&code=y"] {
        none.client().get(path).await.problem(404, "unknown_provider");
    }
    let both = [("work", fake.issuer()), ("github", fake.issuer())];
    let both: Vec<(&str, &str)> = both.iter().map(|(name, issuer)| (*name, issuer.as_str())).collect();
    let two = Server::with(|settings| with_providers(settings, &both)).await;
    assert_eq!(ways(&two).await, json!({"dev": true, "providers": ["github", "work"]}));
    assert_eq!(fake.asked("/.well-known/openid-configuration"), 0, "nobody is asked before it is needed");
}

#[tokio::test]
async fn two_tabs_of_one_browser_both_sign_in() {
    let (server, fake) = start().await;
    let browser = Browser::default();
    let first = browser.login(server.address, "home", &[]).await;
    // The first character of a state names its cookie.
    let second = loop {
        let other = Browser::default();
        let sent = other.login(server.address, "home", &[]).await;
        if parameter(&sent, "state")[..1] != parameter(&first, "state")[..1] {
            let cookie = other.cookies_for(server.address, "/v1/auth/home/callback");
            browser.keep(server.address, &format!("{cookie}; Path=/v1/auth/home/"));
            break sent;
        }
    };
    for (sent, subject) in [(second, "2"), (first, "1")] {
        let back = fake.approve(&sent, json!({"sub": subject, "name": "Ann"}));
        browser.come_back(server.address, &back).await.expect(200);
    }
}

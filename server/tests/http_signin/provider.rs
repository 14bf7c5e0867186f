//! Providers in trouble: down, slow, endless, elsewhere, with other keys. A sign-in is refused with 503 and the rest of
//! the server notices nothing.

use std::time::Instant;

use serde_json::json;

use crate::browser::Browser;
use crate::common::{Server, eventually};
use crate::fake::{Fake, Signature, Trouble};
use crate::{sign_in, start, user, with_providers};

const DISCOVERY: &str = "/.well-known/openid-configuration";

#[tokio::test]
async fn while_a_provider_is_down_a_sign_in_is_503_and_then_it_works() {
    let fake = Fake::start().await;
    let (address, issuer) = (fake.address, fake.issuer());
    drop(fake);
    let server = Server::with(|settings| with_providers(settings, &[("home", &issuer)])).await;
    for _ in 0..3 {
        server.client().get("/v1/auth/home/login").await.problem(503, "unavailable");
    }
    server.client().get("/readyz").await.expect(200);
    server.sign_in("ann").await.feed_texts().await;
    let fake = Fake::at(address).await;
    let browser = Browser::default();
    let sent = eventually(async || {
        let reply = browser.get(server.address, "/v1/auth/home/login", &[]).await;
        reply.header("location").map(|location| location.parse().unwrap())
    })
    .await;
    let back = fake.approve(&sent, json!({"sub": "1", "name": "Ben"}));
    // Down again, on the way back.
    drop(fake);
    browser.come_back(server.address, &back).await.problem(503, "unavailable");
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_503_within_seconds() {
    let claims = json!({"sub": "1", "name": "Ann"});
    for trouble in [Trouble::Stalls, Trouble::Huge, Trouble::Fails, Trouble::Redirects, Trouble::Garbage] {
        let (server, fake) = start().await;
        for path in [DISCOVERY, "/jwks"] {
            fake.trouble(path, Some(trouble));
            // Whoever comes within a second of a failure is told of it at once, and asks nobody.
            eventually(async || {
                let before = fake.asked(path);
                server.client().get("/v1/auth/home/login").await.problem(503, "unavailable");
                (fake.asked(path) > before).then_some(())
            })
            .await;
            fake.trouble(path, None);
        }
        eventually(async || (server.client().get("/v1/auth/home/login").await.status == 302).then_some(())).await;
        fake.trouble("/token", Some(trouble));
        let begun = Instant::now();
        sign_in(&server, &fake, claims.clone()).await.problem(503, "unavailable");
        assert!(begun.elapsed().as_secs() < 8, "before the deadline of the request");
        fake.trouble("/token", None);
        assert_eq!(fake.asked("/elsewhere"), 0, "nothing is followed anywhere");
        sign_in(&server, &fake, claims.clone()).await.expect(200);
    }
}

/// Each answer comes in time, but not all of them.
#[tokio::test]
async fn a_sign_in_that_takes_too_long_as_a_whole_is_503_before_the_deadline_of_the_request() {
    let (server, fake) = start().await;
    fake.endpoints(json!({"userinfo_endpoint": format!("{}/userinfo", fake.issuer())}));
    let browser = Browser::default();
    let sent = browser.login(server.address, "home", &[]).await;
    // The callback is at a node that has not asked the provider for anything yet.
    let other = Server::with(|settings| with_providers(settings, &[("home", &fake.issuer())])).await;
    let cookie = browser.cookies_for(server.address, "/v1/auth/home/callback");
    browser.keep(other.address, &format!("{cookie}; Path=/v1/auth/home/"));
    for path in [DISCOVERY, "/jwks", "/token", "/userinfo"] {
        fake.trouble(path, Some(Trouble::Late));
    }
    let back = fake.approve(&sent, json!({"sub": "1", "name": "Ann"}));
    browser.come_back(other.address, &back).await.problem(503, "unavailable");
    assert_eq!(browser.cookies_for(other.address, "/v1/auth/home/callback"), "", "the attempt is over");
    assert_eq!(fake.asked("/token"), 1, "the others have taken their time");
}

#[tokio::test]
async fn a_provider_that_would_send_secrets_in_the_clear_or_is_another_is_not_used() {
    for endpoints in [
        json!({"authorization_endpoint": "http://issuer.example/authorize"}),
        json!({"authorization_endpoint": "javascript:alert(1)"}),
        json!({"issuer": "https://issuer.example"}),
    ] {
        let (server, fake) = start().await;
        fake.endpoints(endpoints.clone());
        let reply = server.client().get("/v1/auth/home/login").await;
        assert_eq!(reply.status, 503, "{endpoints}");
    }
    // Not a loopback address, yet one at which the provider would be reached, was it asked.
    for (endpoint, path) in [("jwks_uri", "/jwks"), ("token_endpoint", "/token"), ("userinfo_endpoint", "/userinfo")] {
        let (server, fake) = start().await;
        fake.endpoints(json!({endpoint: format!("http://0.0.0.0:{}{path}", fake.address.port())}));
        if endpoint == "jwks_uri" {
            server.client().get("/v1/auth/home/login").await.problem(503, "unavailable");
        } else {
            sign_in(&server, &fake, json!({"sub": "1", "name": "Ann"})).await.problem(503, "unavailable");
        }
        assert_eq!(fake.asked(path), 0, "{path}");
    }
}

#[tokio::test]
async fn new_keys_are_fetched_when_a_token_fits_none_and_not_more_often() {
    let (server, fake) = start().await;
    let claims = json!({"sub": "1", "name": "Ann"});
    let ann = user(sign_in(&server, &fake, claims.clone()).await);
    assert_eq!(fake.asked("/jwks"), 1);
    assert_eq!(user(sign_in(&server, &fake, claims.clone()).await), ann);
    assert_eq!(fake.asked("/jwks"), 1, "keys are kept");
    fake.rotate();
    assert_eq!(user(sign_in(&server, &fake, claims.clone()).await), ann, "the new key is found");
    assert_eq!(fake.asked("/jwks"), 2);
    // Tokens that fit no key do not make us ask for keys all the time.
    fake.sign_with(Signature::Foreign);
    for _ in 0..5 {
        sign_in(&server, &fake, claims.clone()).await.problem(401, "id_token_refused");
    }
    assert_eq!(fake.asked("/jwks"), 2);
    assert_eq!(fake.asked(DISCOVERY), 1);
}

#[tokio::test]
async fn user_info_tells_what_the_id_token_leaves_open() {
    let (server, fake) = start().await;
    fake.endpoints(json!({"userinfo_endpoint": format!("{}/userinfo", fake.issuer())}));
    let claims = json!({"sub": "1", "preferred_username": "ann", "name": "Ann", "roles": ["tributary-operator"]});
    let tokens = sign_in(&server, &fake, claims.clone()).await.expect(200).json();
    assert_eq!((&tokens["user"]["handle"], &tokens["user"]["name"]), (&json!("ann"), &json!("Ann")));
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    server.client().get("/v1/operator/tuning").header("authorization", &bearer).await.expect(200);
    // Of another subject than the ID token.
    fake.forge(|claims| claims["sub"] = "2".into());
    sign_in(&server, &fake, claims.clone()).await.problem(503, "unavailable");
    fake.forge(|_| ());
    fake.trouble("/userinfo", Some(Trouble::Fails));
    sign_in(&server, &fake, claims).await.problem(503, "unavailable");
}

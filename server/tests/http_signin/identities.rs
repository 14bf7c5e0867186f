//! Which user an identity is: handles and names made of hostile claims, and several identities of one user.

use serde_json::json;

use crate::browser::Browser;
use crate::common::Server;
use crate::fake::Fake;
use crate::{sign_in, start, user, with_providers};

#[tokio::test]
async fn whatever_a_provider_calls_its_users_they_get_a_handle_and_a_name() {
    let (server, fake) = start().await;
    let long = "x".repeat(50_000);
    let named = [
        (json!({"preferred_username": "ann@corp.example", "name": "Ann"}), "ann", "Ann"),
        (json!({"email": "ben+news@mail.example"}), "bennews", "bennews"),
        (json!({"name": "Çid O'Neill"}), "id_oneill", "Çid O'Neill"),
        (json!({"name": "田中"}), "user", "田中"),
        (json!({"preferred_username": "..", "name": "\u{202E}\u{0}\n"}), "user2", "user"),
        (json!({"preferred_username": long, "name": long}), &long[..30], &long[..100]),
        (json!({"preferred_username": long}), &format!("{}2", &long[..29]), &long[..30]),
        // A handle that the configuration makes an operator is nobody's for wishing it.
        (json!({"preferred_username": "root", "name": "Eve"}), "root2", "Eve"),
    ];
    for (n, (mut claims, handle, name)) in named.into_iter().enumerate() {
        claims["sub"] = format!("subject {n}").into();
        let made = user(sign_in(&server, &fake, claims.clone()).await);
        assert_eq!((&made["handle"], &made["name"]), (&json!(handle), &json!(name)), "{n}");
    }
    let all = sign_in(&server, &fake, json!({"sub": "s".repeat(255), "name": "Ann"})).await;
    all.expect(200);
    for claims in [
        json!({"sub": "s".repeat(256), "name": "Ann"}),
        json!({"sub": "", "name": "Ann"}),
        json!({"sub": "a\u{0}b", "name": "Ann"}),
        json!({"sub": "1", "preferred_username": 7}),
        json!({"sub": "1", "name": ["Ann"]}),
    ] {
        sign_in(&server, &fake, claims).await.problem(503, "unavailable");
    }
}

#[tokio::test]
async fn an_identity_seen_first_on_many_connections_at_once_is_one_user() {
    let (server, fake) = start().await;
    let sights = (0..24).map(|n| sign_in(&server, &fake, json!({"sub": (n % 3).to_string(), "name": "Ann"})));
    let mut ids: Vec<String> = Vec::new();
    for reply in futures::future::join_all(sights).await {
        ids.push(user(reply)["id"].as_str().unwrap().to_owned());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert_eq!(fake.asked("/.well-known/openid-configuration"), 1, "asked once for all who wait");
    assert_eq!(fake.asked("/jwks"), 1);
}

#[tokio::test]
async fn several_identities_are_one_user_once_they_are_linked() {
    let (home, work) = (Fake::start().await, Fake::start().await);
    let both = [("home", home.issuer()), ("work", work.issuer())];
    let both: Vec<(&str, &str)> = both.iter().map(|(name, issuer)| (*name, issuer.as_str())).collect();
    let server = Server::with(|settings| with_providers(settings, &both)).await;
    let tokens = sign_in(&server, &home, json!({"sub": "1", "name": "Ann"})).await.expect(200).json();
    let (ann, bearer) = (&tokens["user"], format!("Bearer {}", tokens["access_token"].as_str().unwrap()));
    let at_work = json!({"sub": "1", "name": "Ann at work"});

    let link = async |headers: &[(&str, &str)]| {
        let browser = Browser::default();
        let sent = browser.login(server.address, "work", headers).await;
        browser.come_back(server.address, &work.approve(&sent, at_work.clone())).await
    };
    let signed = [("authorization", bearer.as_str())];
    assert_eq!(user(link(&signed).await), *ann);
    assert_eq!(user(link(&signed).await), *ann, "again is fine");
    assert_eq!(user(link(&[]).await), *ann, "and from then on it is ann who comes in from work");
    assert_eq!(user(sign_in(&server, &home, json!({"sub": "1"})).await), *ann);
    let ben = server.sign_in("ben").await;
    let bearer = format!("Bearer {}", ben.token);
    link(&[("authorization", &bearer)]).await.problem(409, "identity_taken");
    assert_eq!(user(link(&[]).await), *ann, "nothing was changed");

    // Whoever sends a token means to be somebody: a bad one does not begin a sign-in of nobody.
    for (sent, code) in [("Bearer x.y.z", "token_invalid"), ("Basic YTpi", "token_missing")] {
        let login = server.client().get("/v1/auth/home/login").header("authorization", sent);
        login.await.problem(401, code);
    }
}

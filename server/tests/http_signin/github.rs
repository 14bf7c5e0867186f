//! GitHub's way: OAuth 2 without an ID token.

use serde_json::json;

use crate::browser::{Browser, parameter};
use crate::common::{Reply, Server};
use crate::fake::{Fake, Trouble};
use crate::{user, with_providers};

async fn sign_in(server: &Server, fake: &Fake, claims: serde_json::Value) -> Reply {
    let browser = Browser::default();
    let sent = browser.login(server.address, "github", &[]).await;
    browser.come_back(server.address, &fake.approve(&sent, claims)).await
}

#[tokio::test]
async fn a_user_of_github_is_known_by_id_whatever_the_login() {
    let fake = Fake::start().await;
    let server = Server::with(|settings| with_providers(settings, &[("github", &fake.issuer())])).await;
    let browser = Browser::default();
    let sent = browser.login(server.address, "github", &[]).await;
    assert_eq!(sent.path(), "/login/oauth/authorize");
    assert_eq!(parameter(&sent, "state").len(), 22);
    let back = fake.approve(&sent, json!({"id": 7, "login": "Ann-Smith", "name": null}));
    let ann = user(browser.come_back(server.address, &back).await);
    assert_eq!((&ann["handle"], &ann["name"]), (&json!("ann_smith"), &json!("ann_smith")));
    assert_eq!(user(sign_in(&server, &fake, json!({"id": 7, "login": "renamed", "name": "Ann"})).await), ann);
    let other = user(sign_in(&server, &fake, json!({"id": 8, "login": "ann-smith", "name": "Other"})).await);
    assert_eq!((&other["handle"], &other["name"]), (&json!("ann_smith2"), &json!("Other")));
    assert_eq!(fake.asked("/.well-known/openid-configuration"), 0);
}

#[tokio::test]
async fn what_github_refuses_or_leaves_out_signs_nobody_in() {
    let fake = Fake::start().await;
    let server = Server::with(|settings| with_providers(settings, &[("github", &fake.issuer())])).await;
    let claims = json!({"id": 7, "login": "ann"});
    let browser = Browser::default();
    let sent = browser.login(server.address, "github", &[]).await;
    let cookie = browser.cookies_for(server.address, "/v1/auth/github/callback");
    let back = fake.approve(&sent, claims.clone());
    let ann = user(browser.come_back(server.address, &back).await);
    browser.keep(server.address, &format!("{cookie}; Path=/v1/auth/github/"));
    browser.come_back(server.address, &back).await.problem(401, "code_refused");
    for claims in [json!({"login": "ann"}), json!({"id": "7", "login": "ann"}), json!({"id": -7}), json!([])] {
        sign_in(&server, &fake, claims).await.problem(503, "unavailable");
    }
    for path in ["/login/oauth/access_token", "/api/v3/user"] {
        for trouble in [Trouble::Stalls, Trouble::Huge, Trouble::Fails, Trouble::Redirects, Trouble::Garbage] {
            fake.trouble(path, Some(trouble));
            sign_in(&server, &fake, claims.clone()).await.problem(503, "unavailable");
        }
        fake.trouble(path, None);
    }
    assert_eq!(user(sign_in(&server, &fake, claims).await), ann);
}

//! What is refused: ID tokens that do not hold, and callbacks that this browser did not ask for.

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::browser::{Browser, parameter, redirect_url};
use crate::common::{Reply, Server};
use crate::fake::{Fake, Signature};
use crate::{sign_in, start, user, with_providers};

type Forgery = fn(&mut Value);

fn now_s() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

/// Nobody was made, whatever was claimed.
async fn assert_nobody(server: &Server) {
    let reader = server.sign_in("reader").await;
    reader.get("/v1/users?handle=ann").await.problem(404, "unknown_user");
}

#[tokio::test]
async fn an_id_token_is_of_its_issuer_for_us_for_this_attempt_and_for_now() {
    let (server, fake) = start().await;
    let claims = json!({"sub": "1", "preferred_username": "ann"});
    let forged: [(&str, Forgery); 10] = [
        ("another nonce", |claims| claims["nonce"] = "other".into()),
        ("no nonce", |claims| drop(claims.as_object_mut().unwrap().remove("nonce"))),
        ("another audience", |claims| claims["aud"] = "other".into()),
        ("no audience", |claims| claims["aud"] = json!([])),
        ("others who may use it", |claims| claims["aud"] = json!(["tributary", "other"])),
        ("another issuer", |claims| claims["iss"] = "https://issuer.example".into()),
        ("almost the issuer", |claims| claims["iss"] = format!("{}/", claims["iss"].as_str().unwrap()).into()),
        ("expired", |claims| claims["exp"] = (now_s() - 90).into()),
        ("of the future", |claims| claims["iat"] = (now_s() + 90).into()),
        ("of the past", |claims| {
            claims["iat"] = 1.into();
            claims["exp"] = 2.into();
        }),
    ];
    for (what, forge) in forged {
        fake.forge(forge);
        let reply = sign_in(&server, &fake, claims.clone()).await;
        assert_eq!(reply.status, 401, "{what}: {}", reply.text());
        reply.problem(401, "id_token_refused");
    }
    fake.forge(|_| ());
    for signature in [Signature::Foreign, Signature::None, Signature::Secret] {
        fake.sign_with(signature);
        sign_in(&server, &fake, claims.clone()).await.problem(401, "id_token_refused");
    }
    fake.sign_with(Signature::Own);
    // What is no ID token at all is the provider's failure.
    for forge in [|claims: &mut Value| claims["exp"] = "soon".into(), |claims: &mut Value| claims["sub"] = json!({})] {
        fake.forge(forge);
        sign_in(&server, &fake, claims.clone()).await.problem(503, "unavailable");
    }
    assert_nobody(&server).await;

    // A clock may be a minute off, either way.
    fake.forge(|claims| claims["exp"] = (now_s() - 30).into());
    let ann = user(sign_in(&server, &fake, claims.clone()).await);
    fake.forge(|claims| claims["iat"] = (now_s() + 30).into());
    assert_eq!(user(sign_in(&server, &fake, claims).await), ann);
}

#[tokio::test]
async fn a_callback_is_for_the_browser_that_began_and_only_once() {
    let (home, work) = (Fake::start().await, Fake::start().await);
    let both = [("home", home.issuer()), ("work", work.issuer())];
    let both: Vec<(&str, &str)> = both.iter().map(|(name, issuer)| (*name, issuer.as_str())).collect();
    let server = Server::with(|settings| with_providers(settings, &both)).await;
    let browser = Browser::default();
    let sent = browser.login(server.address, "home", &[]).await;
    let cookie = browser.cookies_for(server.address, "/v1/auth/home/callback");
    let claims = json!({"sub": "1", "preferred_username": "ann"});
    let back = home.approve(&sent, claims.clone());
    let state = parameter(&sent, "state");

    // Somebody else's browser, with a sign-in of its own on the way or with none: login CSRF.
    let eve = Browser::default();
    eve.come_back(server.address, &back).await.problem(400, "bad_state");
    eve.login(server.address, "home", &[]).await;
    eve.come_back(server.address, &back).await.problem(400, "bad_state");
    // The cookie as another provider's, and changed.
    let (name, value) = cookie.split_once('=').unwrap();
    let changed = format!("{}{}{}", &value[..30], if &value[30..31] == "_" { "A" } else { "_" }, &value[31..]);
    for (provider, value) in [("work", value.to_owned()), ("home", changed), ("home", "x".into())] {
        let other = Browser::default();
        other.keep(server.address, &format!("{name}={value}; Path=/v1/auth/{provider}/"));
        let back = back.replace("/home/", &format!("/{provider}/"));
        other.come_back(server.address, &back).await.problem(400, "bad_state");
    }
    for query in ["", "code=x", "state=", "state=x&code=y", &format!("state={state}x&code=y"), "state=%00&code=y"] {
        browser.come_back(server.address, &format!("{}?{query}", redirect_url("home"))).await.problem(400, "bad_state");
    }
    let twice = format!("{back}&state={state}");
    browser.come_back(server.address, &twice).await.problem(400, "bad_parameter");
    assert_eq!(home.asked("/token"), 0, "none of them reached the provider");
    assert_eq!(browser.cookies_for(server.address, "/v1/auth/home/callback"), cookie, "none of them ended the attempt");
    assert_nobody(&server).await;

    let ann = user(browser.come_back(server.address, &back).await);
    // Replayed: by the browser, whose cookie has gone, and by whoever kept the cookie, whose code is spent.
    browser.come_back(server.address, &back).await.problem(400, "bad_state");
    browser.keep(server.address, &format!("{cookie}; Path=/v1/auth/home/"));
    browser.come_back(server.address, &back).await.problem(401, "code_refused");
    // Somebody else's code in one's own attempt: it is not for this verifier.
    let (mine, theirs) = (Browser::default(), Browser::default());
    let sent = theirs.login(server.address, "home", &[]).await;
    let stolen = home.approve(&sent, claims.clone());
    let code = parameter(&stolen.parse().unwrap(), "code");
    let state = parameter(&mine.login(server.address, "home", &[]).await, "state");
    let injected = format!("{}?code={code}&state={state}", redirect_url("home"));
    mine.come_back(server.address, &injected).await.problem(401, "code_refused");
    assert_eq!(user(sign_in(&server, &home, claims).await), ann);
}

#[tokio::test]
async fn what_a_provider_says_instead_of_a_code_is_told_in_our_words() {
    let (server, fake) = start().await;
    let answered = async |query: &str| -> Reply {
        let browser = Browser::default();
        let sent = browser.login(server.address, "home", &[]).await;
        let back = format!("{}?state={}&{query}", redirect_url("home"), parameter(&sent, "state"));
        let reply = browser.come_back(server.address, &back).await;
        assert!(!reply.text().contains("words"), "{}", reply.text());
        assert_eq!(browser.cookies_for(server.address, "/v1/auth/home/callback"), "", "the attempt is over");
        reply
    };
    let words = "error_description=%3Cb%3Etheir+words%3C%2Fb%3E";
    answered(&format!("error=access_denied&{words}")).await.problem(403, "sign_in_denied");
    answered(&format!("error=invalid_scope&{words}")).await.problem(400, "sign_in_refused");
    answered(&format!("error=words%0Awords&{words}")).await.problem(400, "sign_in_refused");
    answered("error=temporarily_unavailable").await.problem(503, "unavailable");
    answered("code=x&iss=https%3A%2F%2Fother.example").await.problem(400, "bad_issuer");
    answered("").await.problem(400, "code_missing");
    answered("code=").await.problem(401, "code_refused");
    answered(&format!("code={}", "x".repeat(7_000))).await.problem(401, "code_refused");
    answered("code=x&code=y").await.problem(400, "bad_parameter");
    assert_eq!(fake.asked("/token"), 2);
}

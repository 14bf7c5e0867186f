//! Signing in through a provider: there and back.

use http::StatusCode;
use http::header::{HeaderValue, LOCATION, REFERRER_POLICY, SET_COOKIE};
use serde::Serialize;
use tributary_engine::ports::Clock;

use super::auth;
use crate::http::problem::Fault;
use crate::http::request;
use crate::http::respond::{self, Answer};
use crate::http::router::Call;
use crate::http::signin::{Attempt, Profile, Provider};
use crate::http::tokens::Caller;

#[derive(Serialize)]
struct Ways<'a> {
    dev: bool,
    providers: Vec<&'a str>,
}

/// `GET /v1/auth/providers`: the ways to sign in here.
pub async fn providers(call: Call) -> Result<Answer, Fault> {
    let settings = &call.app.settings;
    let ways = Ways { dev: settings.dev_login, providers: settings.sign_in.names().collect() };
    Ok(respond::json(StatusCode::OK, &ways))
}

/// `GET /v1/auth/{provider}/login`: to the provider. Whoever sends a token wants the identity as one of theirs.
pub async fn login(call: Call, visitor: Option<Caller>) -> Result<Answer, Fault> {
    let sent = async {
        let sign_in = &call.app.settings.sign_in;
        let provider = sign_in.provider(&call.id)?;
        let attempt = sign_in.attempts.begin(provider, visitor.map(|caller| caller.id), now_s())?;
        let url = provider.authorize(&attempt).await?;
        let mut answer = respond::nothing();
        *answer.status_mut() = StatusCode::FOUND;
        let url = HeaderValue::from_str(url.as_str()).expect("a URL is visible ASCII");
        answer.headers_mut().insert(LOCATION, url);
        answer.headers_mut().insert(SET_COOKIE, sign_in.attempts.keep(provider, &attempt));
        Ok(answer)
    };
    Ok(unreferred(sent.await))
}

/// `GET /v1/auth/{provider}/callback`: back from it, with a code or with a refusal. Nothing is looked at before it is
/// known that this browser began the attempt.
pub async fn callback(call: Call) -> Result<Answer, Fault> {
    let found = async {
        let sign_in = &call.app.settings.sign_in;
        let provider = sign_in.provider(&call.id)?;
        let state = request::parameter(&call.parts, "state")?;
        let state = state.ok_or_else(|| Fault::malformed("bad_state", "the parameter state is missing"))?;
        Ok((provider, sign_in.attempts.find(provider, &call.parts.headers, &state, now_s())?))
    };
    let (provider, attempt) = match found.await {
        Ok(found) => found,
        Err(fault) => return Ok(unreferred(Err(fault))),
    };
    let mut answer = unreferred(come_back(&call, provider, &attempt).await);
    answer.headers_mut().insert(SET_COOKIE, call.app.settings.sign_in.attempts.forget(provider, &attempt));
    Ok(answer)
}

async fn come_back(call: &Call, provider: &Provider, attempt: &Attempt) -> Result<Answer, Fault> {
    let parameter = |name| request::parameter(&call.parts, name);
    if parameter("iss")?.is_some_and(|issuer| !provider.is_issuer(&issuer)) {
        return Err(Fault::malformed("bad_issuer", "the answer is another provider's"));
    }
    match parameter("error")?.as_deref() {
        None => {}
        Some("access_denied") => {
            return Err(Fault::new(StatusCode::FORBIDDEN, "sign_in_denied", "the sign-in was denied at the provider"));
        }
        Some(error) => return Err(provider.refused(error)),
    }
    let code = parameter("code")?.ok_or_else(|| Fault::malformed("code_missing", "the parameter code is missing"))?;
    let claims = provider.claims(attempt, code.into_owned()).await?;
    let (app, engine) = (&call.app, &call.app.engine);
    let profile = Profile::new(provider, &claims, &app.settings.operators)?;
    let user = match attempt.link {
        None => engine.user_of_identity(&profile.identity, &profile.handles, &profile.name).await?,
        Some(wanted) => {
            let user = engine.link_identity(&profile.identity, wanted).await?;
            user.filter(|user| user.card.id == wanted).ok_or_else(|| {
                Fault::new(StatusCode::CONFLICT, "identity_taken", "this identity is already another user's")
            })?
        }
    };
    auth::signed_in(app, &user, profile.operator).await
}

/// Where a sign-in is in the URL, nobody is told that URL.
fn unreferred(answered: Result<Answer, Fault>) -> Answer {
    let mut answer = answered.unwrap_or_else(Fault::into_answer);
    answer.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}

fn now_s() -> u64 {
    Clock::System.now().0 / 1_000
}

//! Signing in and out. A sign-in begins a session: each refresh token of it is good once. The login of developers lets
//! in whoever they say they are.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use tributary_engine::Renewal;
use tributary_engine::model::{Handle, Millis, NewSession, Refresh, User};
use tributary_engine::ports::Clock;
use utoipa::ToSchema;

use crate::http::app::App;
use crate::http::problem::Fault;
use crate::http::refresh_token::RefreshToken;
use crate::http::request;
use crate::http::respond::{self, Answer, UserBody};
use crate::http::router::Call;

/// What a login of developers asks for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DevLogin {
    #[schema(pattern = "^[a-z0-9_]{1,30}$", example = "ann")]
    handle: String,
    /// Whether the token is an operator's.
    #[serde(default)]
    #[schema(default = false)]
    operator: bool,
}

/// A refresh token, as it was given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RefreshToken)]
pub struct Held {
    refresh_token: String,
}

#[derive(Serialize)]
struct TokensBody<'a> {
    access_token: String,
    refresh_token: String,
    token_type: &'static str,
    expires_in: u64,
    user: UserBody<'a>,
}

/// `POST /v1/auth/dev`
pub async fn dev(call: Call) -> Result<Answer, Fault> {
    if !call.app.settings.dev_login {
        return Err(Fault::unknown("unknown_route", "there is nothing at this path"));
    }
    let login: DevLogin = request::json(&call.parts, &call.body)?;
    let handle: Handle =
        login.handle.parse().map_err(|()| Fault::rule("bad_handle", "a handle is 1 to 30 of [a-z0-9_]"))?;
    let user: User = call.app.engine.make_user(&handle, handle.as_str()).await?;
    signed_in(&call.app, &user, login.operator).await
}

/// Answers a sign-in, however it was made: a session begins.
pub async fn signed_in(app: &App, user: &User, operator: bool) -> Result<Answer, Fault> {
    let token = RefreshToken::begin(user.card.id)?;
    let session = NewSession { id: token.session(), token: token.digest(), operator, expires_at: end(app) };
    app.engine.sessions().begin(&session).await?;
    Ok(tokens(app, user, operator, &token))
}

/// `POST /v1/auth/refresh`
pub async fn refresh(call: Call) -> Result<Answer, Fault> {
    let invalid = || Fault::unauthorized("refresh_token_invalid", "the refresh token is not valid: sign in again");
    let held: Held = request::json(&call.parts, &call.body)?;
    let spent = RefreshToken::parse(&held.refresh_token).ok_or_else(invalid)?;
    let next = spent.next()?;
    let (id, expires_at) = (spent.session(), end(&call.app));
    let refresh = Refresh { id, spent: spent.digest(), next: next.digest(), expires_at };
    match call.app.engine.sessions().refresh(&refresh).await? {
        Renewal::Renewed { user, operator } => Ok(tokens(&call.app, &user, operator, &next)),
        Renewal::Reused => Err(Fault::unauthorized(
            "refresh_token_reused",
            "the refresh token was used before: its session is ended, sign in again",
        )),
        Renewal::Unknown => Err(invalid()),
    }
}

/// `POST /v1/auth/logout`. Nothing is told of a token that is not known.
pub async fn logout(call: Call) -> Result<Answer, Fault> {
    let held: Held = request::json(&call.parts, &call.body)?;
    if let Some(token) = RefreshToken::parse(&held.refresh_token) {
        call.app.engine.sessions().end(&token.session()).await?;
    }
    Ok(respond::nothing())
}

/// When a refresh token made now ends. Each has the whole time: who comes often enough stays signed in.
fn end(app: &App) -> Millis {
    Millis(Clock::System.now().0.saturating_add(app.settings.refresh_ttl_s.saturating_mul(1_000)))
}

fn tokens(app: &App, user: &User, operator: bool, token: &RefreshToken) -> Answer {
    let tokens = TokensBody {
        access_token: app.tokens.issue(user.card.id, &user.card.handle, operator),
        refresh_token: token.text(),
        token_type: "Bearer",
        expires_in: app.tokens.ttl_s(),
        user: UserBody::from(user),
    };
    respond::json(StatusCode::OK, &tokens)
}

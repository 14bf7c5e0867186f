//! The tokens of somebody who has signed in, and the login of developers, who are whoever they say they are.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use tributary_engine::model::{Handle, User};

use crate::http::app::App;
use crate::http::problem::Fault;
use crate::http::request;
use crate::http::respond::{self, Answer, UserBody};
use crate::http::router::Call;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DevLogin {
    handle: String,
    #[serde(default)]
    operator: bool,
}

#[derive(Serialize)]
struct TokensBody<'a> {
    access_token: String,
    refresh_token: Option<String>,
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
    Ok(tokens(&call.app, &user, login.operator))
}

/// The answer to a user who has signed in, however that was; `operator`: as one who may do what operators do.
pub fn tokens(app: &App, user: &User, operator: bool) -> Answer {
    let tokens = TokensBody {
        access_token: app.tokens.issue(user.card.id, &user.card.handle, operator),
        refresh_token: None,
        token_type: "Bearer",
        expires_in: app.tokens.ttl_s(),
        user: UserBody::from(user),
    };
    respond::json(StatusCode::OK, &tokens)
}

//! Users, and the lists that belong to them.

use http::StatusCode;
use tributary_engine::model::{Handle, UserId};
use tributary_engine::ports::UserList;

use crate::http::problem::Fault;
use crate::http::request;
use crate::http::respond::{self, Answer, UserBody};
use crate::http::router::Call;
use crate::http::tokens::Caller;

/// `GET /v1/me`
pub async fn me(call: Call, caller: Caller) -> Result<Answer, Fault> {
    let user = call.app.engine.user(caller.id, caller.id).await?;
    Ok(respond::json(StatusCode::OK, &UserBody::from(&user)))
}

/// `GET /v1/users/{id}`
pub async fn by_id(call: Call, caller: Caller) -> Result<Answer, Fault> {
    let user = call.app.engine.user(caller.id, request::id(&call.id)?).await?;
    Ok(respond::json(StatusCode::OK, &UserBody::from(&user)))
}

/// `GET /v1/users?handle=h`
pub async fn by_handle(call: Call, caller: Caller) -> Result<Answer, Fault> {
    let bad = || Fault::malformed("bad_handle", "name a user with handle: 1 to 30 of [a-z0-9_]");
    let handle: Handle =
        request::parameter(&call.parts, "handle")?.and_then(|text| text.parse().ok()).ok_or_else(bad)?;
    let user = call.app.engine.user_by_handle(caller.id, &handle).await?;
    Ok(respond::json(StatusCode::OK, &UserBody::from(&user)))
}

/// `GET /v1/users/{id}/followers`
pub async fn followers(call: Call, caller: Caller) -> Result<Answer, Fault> {
    let user = request::id(&call.id)?;
    list(call, caller, user, UserList::Followers).await
}

/// `GET /v1/users/{id}/following`
pub async fn following(call: Call, caller: Caller) -> Result<Answer, Fault> {
    let user = request::id(&call.id)?;
    list(call, caller, user, UserList::Following).await
}

/// `GET /v1/mutes`
pub async fn mutes(call: Call, caller: Caller) -> Result<Answer, Fault> {
    list(call, caller, caller.id, UserList::Mutes).await
}

/// `GET /v1/blocks`
pub async fn blocks(call: Call, caller: Caller) -> Result<Answer, Fault> {
    list(call, caller, caller.id, UserList::Blocks).await
}

async fn list(call: Call, caller: Caller, user: UserId, list: UserList) -> Result<Answer, Fault> {
    let asked = request::page(&call.parts)?;
    let page = call.app.engine.user_list(caller.id, user, list, &asked).await?;
    Ok(respond::page(&page, UserBody::from))
}

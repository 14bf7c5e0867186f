//! Relations of the caller to another user: follows, mutes, blocks.

use tributary_engine::model::Command;

use crate::http::problem::Fault;
use crate::http::request;
use crate::http::respond::Answer;
use crate::http::router::Call;
use crate::http::routes::command;
use crate::http::tokens::Caller;

/// `PUT /v1/follows/{id}`
pub async fn follow(call: Call, caller: Caller) -> Result<Answer, Fault> {
    let user = request::id(&call.id)?;
    let limit = call.app.settings.follows;
    command(call, caller, Command::Follow { user, limit }).await
}

/// `DELETE /v1/follows/{id}`
pub async fn unfollow(call: Call, caller: Caller) -> Result<Answer, Fault> {
    let user = request::id(&call.id)?;
    command(call, caller, Command::Unfollow { user }).await
}

/// `PUT /v1/mutes/{id}`
pub async fn mute(call: Call, caller: Caller) -> Result<Answer, Fault> {
    let user = request::id(&call.id)?;
    command(call, caller, Command::Mute { user }).await
}

/// `DELETE /v1/mutes/{id}`
pub async fn unmute(call: Call, caller: Caller) -> Result<Answer, Fault> {
    let user = request::id(&call.id)?;
    command(call, caller, Command::Unmute { user }).await
}

/// `PUT /v1/blocks/{id}`
pub async fn block(call: Call, caller: Caller) -> Result<Answer, Fault> {
    let user = request::id(&call.id)?;
    command(call, caller, Command::Block { user }).await
}

/// `DELETE /v1/blocks/{id}`
pub async fn unblock(call: Call, caller: Caller) -> Result<Answer, Fault> {
    let user = request::id(&call.id)?;
    command(call, caller, Command::Unblock { user }).await
}

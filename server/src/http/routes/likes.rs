//! Likes.

use tributary_engine::model::Command;

use crate::http::problem::Fault;
use crate::http::request;
use crate::http::respond::Answer;
use crate::http::router::Call;
use crate::http::routes::command;
use crate::http::tokens::Caller;

/// `PUT /v1/likes/{id}`
pub async fn like(call: Call, caller: Caller) -> Result<Answer, Fault> {
    let post = request::id(&call.id)?;
    command(call, caller, Command::Like { post }).await
}

/// `DELETE /v1/likes/{id}`
pub async fn unlike(call: Call, caller: Caller) -> Result<Answer, Fault> {
    let post = request::id(&call.id)?;
    command(call, caller, Command::Unlike { post }).await
}

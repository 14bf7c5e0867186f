//! The popular posts.

use tributary_engine::read::POPULAR_CURSOR_CHARS;

use crate::http::problem::Fault;
use crate::http::request;
use crate::http::respond::{self, Answer};
use crate::http::router::Call;
use crate::http::settings::URI_BYTES;
use crate::http::tokens::Caller;

const _: () = assert!("/v1/popular?limit=100&cursor=".len() + POPULAR_CURSOR_CHARS <= URI_BYTES);

/// `GET /v1/popular`
pub async fn list(call: Call, caller: Option<Caller>) -> Result<Answer, Fault> {
    let asked = request::page(&call.parts)?;
    let page = call.app.engine.popular(caller.map(|caller| caller.id), &asked).await?;
    Ok(respond::posts(&page))
}

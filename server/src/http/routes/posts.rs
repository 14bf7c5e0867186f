//! Posts: writing, reading and removing them.

use http::StatusCode;
use serde::Deserialize;
use tributary_engine::limits::TEXT_CHARS;
use tributary_engine::model::Command;
use utoipa::ToSchema;

use crate::http::problem::Fault;
use crate::http::request;
use crate::http::respond::{self, Answer};
use crate::http::router::Call;
use crate::http::routes::command;
use crate::http::tokens::Caller;

/// A post to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPost {
    /// Not only white space.
    #[schema(min_length = 1, max_length = 2000, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$", example = "Hello, river.")]
    text: String,
}

/// `POST /v1/posts`
pub async fn publish(call: Call, caller: Caller) -> Result<Answer, Fault> {
    let NewPost { text } = request::json(&call.parts, &call.body)?;
    let text = checked(text)?;
    let counted = call.app.limits.post(caller.id).await?;
    match command(call, caller, Command::Publish { text }).await {
        Ok(mut answer) => {
            counted.tell(answer.headers_mut());
            Ok(answer)
        }
        Err(fault) => Err(counted.told_by(fault)),
    }
}

/// U+0000 is refused because not every store can keep it.
fn checked(text: String) -> Result<Box<str>, Fault> {
    if text.chars().count() > TEXT_CHARS {
        return Err(Fault::rule("text_too_long", format!("a text has {TEXT_CHARS} characters at the most")));
    }
    if text.chars().all(char::is_whitespace) {
        return Err(Fault::rule("text_empty", "a text says something"));
    }
    if text.contains('\0') {
        return Err(Fault::rule("text_invalid", "a text has no U+0000"));
    }
    Ok(text.into())
}

/// `GET /v1/posts/{id}`
pub async fn one(call: Call, caller: Caller) -> Result<Answer, Fault> {
    let post = call.app.engine.post(caller.id, request::id(&call.id)?).await?;
    let mut body = Vec::with_capacity(post.weight());
    post.write_json(&mut body);
    Ok(respond::rendered(StatusCode::OK, body))
}

/// `DELETE /v1/posts/{id}`
pub async fn remove(call: Call, caller: Caller) -> Result<Answer, Fault> {
    let post = request::id(&call.id)?;
    command(call, caller, Command::Remove { post }).await
}

/// `GET /v1/users/{id}/posts`
pub async fn of_author(call: Call, caller: Caller) -> Result<Answer, Fault> {
    let author = request::id(&call.id)?;
    let page = call.app.engine.posts_of(caller.id, author, &request::page(&call.parts)?).await?;
    Ok(respond::posts(&page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_1_to_2000_characters_and_not_only_white_space() {
        for good in ["a", " a ", "😀", &"😀".repeat(2_000)] {
            assert!(checked(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", " ", "\u{3000}\n\t", "a\0b", &"a".repeat(2_001)] {
            assert!(checked(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}

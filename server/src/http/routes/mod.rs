//! The handlers, one file a thing. Each parses, asks the engine once, and shapes the answer.

pub mod auth;
pub mod docs;
pub mod feed;
pub mod health;
pub mod likes;
pub mod live;
pub mod operator;
pub mod popular;
pub mod posts;
pub mod relations;
pub mod signin;
pub mod users;

use http::StatusCode;
use http::header::{ETAG, HeaderValue, LOCATION};
use tributary_engine::cache::RenderedPost;
use tributary_engine::model::{Command, Committed, Outcome, Position};

use super::idempotency;
use super::problem::Fault;
use super::respond::{self, Answer};
use super::router::Call;
use super::tokens::Caller;

/// Commits the command of a call, and renders its outcome: the same way at first and when it is replayed.
async fn command(call: Call, caller: Caller, command: Command) -> Result<Answer, Fault> {
    let Committed { outcome, replayed } = call.app.engine.execute(caller.id, command, call.key).await?;
    let mut answer = match outcome {
        Outcome::Done => respond::nothing(),
        Outcome::Posted { post, .. } => {
            let mut body = Vec::new();
            RenderedPost::new(&post, Position::ZERO).write_json(&mut body);
            let mut answer = respond::rendered(StatusCode::CREATED, body);
            let location = format!("/v1/posts/{}", post.id);
            let location = HeaderValue::from_str(&location).expect("a path of letters and digits is a header's value");
            answer.headers_mut().insert(LOCATION, location);
            answer
        }
        Outcome::Tuned(tuning) => operator::tuning_answer(&tuning),
        Outcome::Pinned(author) => operator::author_answer(&author),
    };
    if replayed {
        idempotency::mark_replayed(&mut answer);
    }
    Ok(answer)
}

/// `"version"`, as `ETag` has it.
fn etag(answer: &mut Answer, version: u64) {
    let tag = HeaderValue::from_str(&format!("\"{version}\"")).expect("digits in quotes are a header's value");
    answer.headers_mut().insert(ETAG, tag);
}

//! Answers, in the shapes of the API. Posts are bytes already; they are joined, not serialised again.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Body as _;
use serde::Serialize;
use tributary_engine::cache::RenderedPost;
use tributary_engine::model::{User, UserId};
use tributary_engine::read::Page;
use utoipa::ToSchema;

/// The body of an answer: whole, or one that goes on.
pub type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, Infallible>>;

/// What every request ends in.
pub type Answer = Response<Body>;

/// A body that is there already.
pub fn whole(body: impl Into<Bytes>) -> Body {
    Either::Left(Full::new(body.into()))
}

/// Bytes of the body; none: it is a stream.
pub fn length(answer: &Answer) -> Option<usize> {
    answer.body().size_hint().exact().and_then(|length| length.try_into().ok())
}

/// The bytes of a body whose length is known.
pub fn bytes_of(body: Body) -> Bytes {
    let read = body.collect().now_or_never().expect("a body whose length is known is there at once");
    read.expect("what is there can be read").to_bytes()
}

/// An answer with a body of this type.
pub fn bytes(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(whole(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// JSON that is rendered already.
pub fn rendered(status: StatusCode, body: Vec<u8>) -> Answer {
    bytes(status, "application/json", body)
}

/// A value as JSON.
pub fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    rendered(status, serde_json::to_vec(value).expect("the shapes of the interface are JSON"))
}

/// 204.
pub fn nothing() -> Answer {
    let mut answer = Response::new(whole(Bytes::new()));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

/// A user as clients see it.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserBody<'a> {
    #[schema(pattern = "^[1-9][0-9]{0,18}$", example = "506806140928000000")]
    id: String,
    #[schema(pattern = "^[a-z0-9_]{1,30}$", example = "ann")]
    handle: &'a str,
    #[schema(example = "Ann")]
    name: &'a str,
    /// May trail by a second.
    #[schema(minimum = 0, example = 12)]
    followers: u64,
    /// May trail by a second.
    #[schema(minimum = 0, example = 34)]
    following: u64,
    #[schema(format = DateTime, example = "2026-01-25T17:22:20.928Z")]
    created_at: String,
}

impl<'a> From<&'a User> for UserBody<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            id: user.card.id.to_string(),
            handle: user.card.handle.as_str(),
            name: &user.card.name,
            followers: user.followers,
            following: user.following,
            created_at: UserId::created_at(user.card.id).to_string(),
        }
    }
}

#[derive(Serialize)]
struct PageBody<T> {
    items: Vec<T>,
    next: Option<String>,
}

/// A page of anything, with `shape` making the JSON of each item.
pub fn page<'a, T, S: Serialize>(page: &'a Page<T>, shape: impl Fn(&'a T) -> S) -> Answer {
    json(StatusCode::OK, &PageBody { items: page.items.iter().map(shape).collect(), next: page.next.clone() })
}

/// A page of posts.
pub fn posts(page: &Page<Arc<RenderedPost>>) -> Answer {
    let mut body = Vec::with_capacity(64 + page.items.iter().map(|post| post.weight()).sum::<usize>());
    body.extend_from_slice(br#"{"items":["#);
    joined(&mut body, &page.items, |body, post| {
        post.write_json(body);
    });
    body.extend_from_slice(br#"],"next":"#);
    text_or_null(&mut body, page.next.as_deref());
    body.push(b'}');
    rendered(StatusCode::OK, body)
}

/// Appends items with commas between them.
pub fn joined<T>(body: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            body.push(b',');
        }
        write(body, item);
    }
}

/// Appends a JSON string, or null.
pub fn text_or_null(body: &mut Vec<u8>, text: Option<&str>) {
    serde_json::to_writer(body, &text).expect("a string is JSON, and a Vec takes every write");
}

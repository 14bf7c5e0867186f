//! The home timeline, as its reader and as operators see it.

use std::time::Instant;

use http::StatusCode;
use http::header::{CACHE_CONTROL, ETAG, HeaderValue};
use tributary_engine::model::UserId;
use tributary_engine::read::{Feed, FeedItem, PageRequest};

use crate::http::etag::Validator;
use crate::http::problem::Fault;
use crate::http::request;
use crate::http::respond::{self, Answer, joined, text_or_null};
use crate::http::router::Call;
use crate::http::tokens::Caller;

/// `GET /v1/feed`
pub async fn home(call: Call, caller: Caller) -> Result<Answer, Fault> {
    let page = request::page(&call.parts)?;
    if page.cursor.is_some() || request::parameter(&call.parts, "since")?.is_some() {
        let feed = read(&call, caller.id, &page).await?;
        return Ok(respond::rendered(StatusCode::OK, rendered(&feed, without_source, None)));
    }
    let feed = call.app.engine.home(caller.id, &page).await?;
    Ok(first_page(call.app.validator.clone(), caller.id, &feed))
}

/// The page that clients ask for again and again, with a validator of what they see of it: posts with their likes, and
/// whether more follow. Nothing else of a post ever changes. Of whom it is, is part of it, for cursors and tokens are
/// of one reader only; and what `fresh` rests on, for whoever is told 304 keeps an older one, which has to tell still.
fn first_page(mut seen: Validator, reader: UserId, feed: &Feed) -> Answer {
    seen.say(reader.0);
    seen.say(feed.items.len() as u64);
    let write = |body: &mut Vec<u8>, item: &FeedItem| {
        seen.say(item.post.id().0);
        seen.say(item.post.write_json(body));
    };
    let body = rendered(feed, write, None);
    feed.liked.iter().for_each(|id| seen.say(id.0));
    seen.say(u64::from(feed.next.is_some()));
    feed.era.iter().for_each(|&number| seen.say(number));
    let mut answer = respond::rendered(StatusCode::OK, body);
    answer.headers_mut().insert(ETAG, seen.etag());
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    answer
}

/// `GET /v1/operator/feed/{id}`
pub async fn of_reader(call: Call, _operator: Caller) -> Result<Answer, Fault> {
    let reader: UserId = request::id(&call.id)?;
    call.app.engine.user(reader, reader).await?;
    let page = request::page(&call.parts)?;
    let started = Instant::now();
    let feed = read(&call, reader, &page).await?;
    let took_us = started.elapsed().as_micros() as u64;
    Ok(respond::rendered(StatusCode::OK, rendered(&feed, with_source, Some(took_us))))
}

async fn read(call: &Call, reader: UserId, page: &PageRequest) -> Result<Feed, Fault> {
    Ok(match request::parameter(&call.parts, "since")? {
        Some(fresh) => call.app.engine.home_since(reader, &fresh, page).await?,
        None => call.app.engine.home(reader, page).await?,
    })
}

fn without_source(body: &mut Vec<u8>, item: &FeedItem) {
    item.post.write_json(body);
}

/// The item's post with one more field, where the engine had its entry from.
fn with_source(body: &mut Vec<u8>, item: &FeedItem) {
    item.post.write_json(body);
    let end = body.pop();
    debug_assert_eq!(end, Some(b'}'), "a post is an object");
    body.extend_from_slice(br#","from":""#);
    body.extend_from_slice(item.from.name().as_bytes());
    body.extend_from_slice(br#""}"#);
}

fn rendered(feed: &Feed, item: impl FnMut(&mut Vec<u8>, &FeedItem), took_us: Option<u64>) -> Vec<u8> {
    let posts: usize = feed.items.iter().map(|item| item.post.weight()).sum();
    let mut body = Vec::with_capacity(posts + 22 * feed.liked.len() + 512);
    body.extend_from_slice(br#"{"items":["#);
    joined(&mut body, &feed.items, item);
    body.extend_from_slice(br#"],"liked":["#);
    joined(&mut body, &feed.liked, |body, id| {
        body.push(b'"');
        body.extend_from_slice(id.to_string().as_bytes());
        body.push(b'"');
    });
    body.extend_from_slice(br#"],"next":"#);
    text_or_null(&mut body, feed.next.as_deref());
    body.extend_from_slice(br#","fresh":"#);
    text_or_null(&mut body, Some(&feed.fresh));
    if feed.gap {
        body.extend_from_slice(br#","gap":true"#);
    }
    if let Some(took_us) = took_us {
        body.extend_from_slice(format!(r#","took_us":{took_us}"#).as_bytes());
    }
    body.push(b'}');
    body
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tributary_engine::cache::RenderedPost;
    use tributary_engine::model::{Millis, Position, Post, PostId, UserCard};
    use tributary_engine::read::Source;

    use super::*;

    fn feed() -> Feed {
        let at = Millis(1_763_000_000_000);
        let card = UserCard { id: UserId::new(at, 1, 0), handle: "ann".parse().unwrap(), name: "A \"n\" n".into() };
        let post =
            |n: u16| Post { id: PostId::new(at, 1, n), author: card.clone(), text: "x\n".into(), likes: u64::from(n) };
        let item = |n| FeedItem { post: Arc::new(RenderedPost::new(&post(n), Position::ZERO)), from: Source::Ring };
        Feed {
            items: vec![item(2), item(1)],
            liked: vec![PostId::new(at, 1, 2)],
            next: None,
            fresh: "f".to_owned(),
            era: [0; 4],
            gap: false,
        }
    }

    #[test]
    fn a_feed_is_one_json_object() {
        let body = rendered(&feed(), without_source, None);
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value["items"].as_array().unwrap().len(), 2);
        assert_eq!(value["liked"][0], value["items"][0]["id"]);
        assert!(value["next"].is_null() && value["fresh"] == "f" && value.get("gap").is_none());
    }

    #[test]
    fn operators_see_sources_time_and_gaps() {
        let body = rendered(&Feed { gap: true, next: Some("n".to_owned()), ..feed() }, with_source, Some(7));
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&value["items"][1]["from"], &value["items"][1]["likes"]), (&"ring".into(), &1.into()));
        assert!(value["gap"] == true && value["took_us"] == 7 && value["next"] == "n");
    }
}

//! Timelines.

use http::Method;

use super::operation::{Described, text, user, visitor};
use super::shapes::{Feed, PostPage};

const LIVE: &str = "\
Server-sent events, or messages over a WebSocket where the request asks for an upgrade. `event: post` has a Post, \
`event: removed` has `{\"id\"}`, `event: gap` says that something may be missing. The `id` of an event is a `fresh` token.";

/// Each of them.
pub fn operations() -> Vec<Described> {
    vec![
        user(Method::GET, "/v1/feed", "getFeed", "The caller's home timeline, newest first")
            .list()
            .query("since", "The `fresh` of an earlier page: only what was logged after it was made.", text(), false)
            .answers::<Feed>(200, "A page of the timeline.")
            .validated("Of a first page: what its reader sees of it."),
        user(Method::GET, "/v1/feed/live", "followFeed", "What arrives in the caller's home timeline, as it does")
            .about(LIVE)
            .sends("Last-Event-ID", "The `id` of the last event that one got: goes on after it.", text())
            .query("since", "A `fresh` token, for whoever cannot send that header.", text(), false)
            .answers_as(200, "text/event-stream", text(), "Events, until one side ends it.")
            .answers_nothing(101, "A WebSocket, where one was asked for.")
            .refuses(400, &["bad_cursor", "bad_parameter", "bad_handshake"])
            .refuses(426, &["bad_handshake"])
            .refuses(429, &["too_many_streams"]),
        visitor(Method::GET, "/v1/popular", "listPopular", "What was liked most of late")
            .about("The ranking of all pages is the one of the first.")
            .list()
            .answers::<PostPage>(200, "A page of posts."),
    ]
}

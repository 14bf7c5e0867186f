//! Live timelines: as server-sent events over HTTP/1.1 and HTTP/2, and as WebSockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../live/mod.rs"]
mod live;

mod slow;
mod websocket;

use std::time::{Duration, Instant};

use common::{Client, Server, Session, eventually};
use live::{Listener, Told};
use serde_json::json;

async fn world(server: &Server) -> (Session, Session) {
    let (ann, ben) = (server.sign_in("ann").await, server.sign_in("ben").await);
    ann.follow(&ben).await;
    // The node has heard of the follow once a post of ben is in its ring; what comes after it is told one by one.
    ben.publish("first").await;
    until(|| server.engine.status().ring.entries == 1).await;
    (ann, ben)
}

/// What the node does in the background needs the runtime that the test runs on.
async fn until(come: impl Fn() -> bool) {
    eventually(async || {
        tokio::task::yield_now().await;
        come().then_some(())
    })
    .await;
}

async fn fresh(reader: &Session) -> String {
    reader.get("/v1/feed").await.expect(200).json()["fresh"].as_str().unwrap().to_owned()
}

async fn delete_post(author: &Session, id: &str) {
    author.delete(&format!("/v1/posts/{id}")).await.expect(204);
}

/// What holds of every kind of stream: it tells posts and removals, with ids that resume.
async fn tells_and_resumes(server: &Server, open: impl AsyncFn(&Session, Option<&str>) -> Listener) {
    let (ann, ben) = world(server).await;
    let stranger = server.sign_in("dan").await;
    let since = fresh(&ann).await;
    let mut heard = open(&ann, Some(&since)).await;
    let id = ben.publish("told").await;
    let Told { event, id: token, data } = heard.event().await;
    assert_eq!(event, "post");
    let post = ann.get(&format!("/v1/posts/{id}")).await.expect(200).json();
    assert_eq!(data, post, "a post as the API has it everywhere");

    let unseen = stranger.publish("unseen").await;
    delete_post(&stranger, &unseen).await;
    let own = ann.publish("own").await;
    delete_post(&ben, &id).await;
    assert_eq!(heard.event().await.data["id"], own.as_str());
    // An own post may be told twice: before it is in the log, and after.
    let told = heard.event_but(|told| told.data["id"] == own.as_str()).await;
    assert_eq!((told.event.as_str(), &told.data), ("removed", &json!({"id": id})));
    drop(heard);

    // From the middle: only what came after.
    let more = ben.publish("while away").await;
    let mut heard = open(&ann, Some(&token)).await;
    let mut ids = Vec::new();
    while ids.last() != Some(&more) {
        let told = heard.event().await;
        ids.push(told.data["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids, [own, id, more]);
    // The ids of a stream and the fresh tokens of pages are one kind of thing.
    let since = ann.get(&format!("/v1/feed?since={token}")).await.expect(200).json();
    assert!(since.get("gap").is_none() && since["items"].as_array().unwrap().len() == 2);

    // From now on, without a token; the first id is there before anything has happened.
    let mut heard = open(&ann, None).await;
    let token = heard.id().await;
    ben.publish("after").await;
    assert_eq!(heard.event().await.data["text"], "after");
    let mut heard = open(&ann, Some(&token)).await;
    assert_eq!(heard.event().await.data["text"], "after");
}

#[tokio::test]
async fn events_are_told_over_http_1() {
    let server = Server::start().await;
    tells_and_resumes(&server, async |reader: &Session, since: Option<&str>| {
        Listener::events(&server.client(), &reader.token, since).await
    })
    .await;
}

#[tokio::test]
async fn events_are_told_over_http_2() {
    let server = Server::start().await;
    tells_and_resumes(&server, async |reader: &Session, since: Option<&str>| {
        Listener::events(&Client::http2(server.address), &reader.token, since).await
    })
    .await;
}

#[tokio::test]
async fn events_are_told_over_a_websocket() {
    let server = Server::start().await;
    tells_and_resumes(&server, async |reader: &Session, since: Option<&str>| {
        Listener::socket(server.address, &reader.token, since).await
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_goes_on_has_the_headers_of_one() {
    let server = Server::start().await;
    let (ann, _) = world(&server).await;
    let answer = Listener::ask(&server.client(), &ann.token, None).await;
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("content-type").as_deref(), Some("text/event-stream"));
    assert_eq!(header("cache-control").as_deref(), Some("no-store"));
    assert_eq!(header("x-accel-buffering").as_deref(), Some("no"));
    assert!(header("x-request-id").is_some() && header("content-length").is_none());
    let head = ann.ask(http::Method::HEAD, "/v1/feed/live").await.expect(200);
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(head.header("content-length"), None);
    let metrics = server.client().get("/metrics").await.expect(200).text();
    assert!(metrics.contains("\nlive_streams{kind=\"sse\"} "), "{metrics}");
}

#[tokio::test]
async fn what_a_reader_does_decides_at_once_what_is_told() {
    let server = Server::start().await;
    let (ann, ben) = world(&server).await;
    let cat = server.sign_in("cat").await;
    cat.publish("before the follow").await;
    let mut heard = Listener::events(&server.client(), &ann.token, None).await;
    heard.id().await;

    ann.follow(&cat).await;
    assert_eq!(heard.event().await.event, "gap", "older posts came in");
    cat.publish("followed").await;
    assert_eq!(heard.event().await.data["text"], "followed");

    for (kind, unmuted) in [("mutes", &ben), ("follows", &cat), ("blocks", &ben)] {
        let path = format!("/v1/{kind}/{}", unmuted.id);
        let hide = if kind == "follows" { ann.delete(&path) } else { ann.put(&path) };
        hide.await.expect(204);
        let hidden = unmuted.publish("hidden").await;
        delete_post(unmuted, &hidden).await;
        ann.publish(kind).await;
        assert_eq!(heard.event().await.data["text"], kind, "the first that is told");
        let show = if kind == "follows" { ann.put(&path) } else { ann.delete(&path) };
        show.await.expect(204);
        let told = heard.event_but(|told| told.data["text"] == kind).await;
        assert_eq!(told.event, "gap", "{kind}");
        if kind == "blocks" {
            break;
        }
        unmuted.publish("shown").await;
        assert_eq!(heard.event_but(|told| told.data["text"] == kind).await.data["text"], "shown");
    }
}

#[tokio::test]
async fn beyond_the_ring_there_is_a_gap_and_then_the_present() {
    let server = Server::with_ring(64).await;
    let (ann, ben) = world(&server).await;
    let since = fresh(&ann).await;
    for n in 0..150 {
        ben.publish(&format!("{n}")).await;
    }
    until(|| server.engine.status().ring.floor > 50).await;
    let mut heard = Listener::events(&server.client(), &ann.token, Some(&since)).await;
    assert_eq!(heard.event().await.event, "gap");
    ben.publish("present").await;
    // The node may not have had the last posts yet when it told of the gap.
    let told = heard.event_but(|told| told.event == "post" && told.data["text"] != "present").await;
    assert_eq!(told.data["text"], "present");
}

#[tokio::test]
async fn a_token_must_be_one_of_the_readers_own() {
    let server = Server::start().await;
    let (ann, ben) = world(&server).await;
    let token = fresh(&ben).await;
    ann.get(&format!("/v1/feed/live?since={token}")).await.problem(400, "bad_cursor");
    ann.get("/v1/feed/live").header("last-event-id", "nonsense").await.problem(400, "bad_cursor");
    server.client().get("/v1/feed/live").await.problem(401, "token_missing");
    ann.post("/v1/feed/live", &json!({})).await.problem(405, "method_not_allowed");
    // An empty one is none: so a browser comes back that was told no id.
    let mut heard = Listener::events(&server.client(), &ann.token, Some("")).await;
    heard.id().await;
}

#[tokio::test]
async fn a_stream_shows_that_it_is_there_and_ends_with_its_token() {
    let server = Server::with(|settings| {
        settings.access_ttl_s = 3;
        settings.bounds.heartbeat = Duration::from_millis(300);
    })
    .await;
    let started = Instant::now();
    let ann = server.sign_in("ann").await;
    let mut heard = Listener::events(&server.client(), &ann.token, None).await;
    let mut socket = Listener::socket(server.address, &ann.token, None).await;
    for _ in 0..3 {
        heard.id().await;
        socket.id().await;
    }
    let end = heard.end().await;
    assert!(end.contains("retry: ") && end.contains(": the access token has expired"), "{end}");
    assert_eq!(socket.end().await, "4401 the access token has expired");
    assert!(started.elapsed() >= Duration::from_millis(1_900), "a token is good for its time");
    server.sign_in("ann").await.get("/v1/me").await.expect(200);
}

#[tokio::test]
async fn streams_of_a_user_and_of_the_process_are_bounded() {
    let server = Server::with(|settings| {
        settings.bounds.live_streams = 3;
        settings.bounds.live_streams_of_user = 2;
    })
    .await;
    let (ann, ben) = (server.sign_in("ann").await, server.sign_in("ben").await);
    let mut first = Listener::events(&server.client(), &ann.token, None).await;
    // A request for the head alone leaves nothing behind.
    ann.ask(http::Method::HEAD, "/v1/feed/live").await.expect(200);
    let _second = Listener::socket(server.address, &ann.token, None).await;
    ann.get("/v1/feed/live").await.problem(429, "too_many_streams");
    let _third = Listener::events(&server.client(), &ben.token, None).await;
    ben.get("/v1/feed/live").await.problem(503, "unavailable");
    first.id().await;
    drop(first);
    eventually(async || (ben.get("/v1/feed/live").open().await.status() == 200).then_some(())).await;
}

#[tokio::test]
async fn a_stop_ends_every_stream_at_once() {
    let server = Server::start().await;
    let (ann, ben) = world(&server).await;
    let since = fresh(&ann).await;
    let mut streams = [
        Listener::events(&server.client(), &ann.token, Some(&since)).await,
        Listener::events(&Client::http2(server.address), &ann.token, Some(&since)).await,
        Listener::socket(server.address, &ann.token, Some(&since)).await,
    ];
    ben.publish("last").await;
    for stream in &mut streams {
        assert_eq!(stream.event().await.data["text"], "last");
    }
    let started = Instant::now();
    server.begin_stop();
    for stream in &mut streams {
        let end = stream.end().await;
        assert!(end.contains("the server is stopping"), "{end}");
    }
    server.stopped().await;
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}: the drain is not waited for", started.elapsed());
}

#[tokio::test]
async fn a_node_that_begins_anew_sends_its_listeners_back() {
    let server = Server::start().await;
    let (ann, _) = world(&server).await;
    let mut heard = Listener::events(&server.client(), &ann.token, None).await;
    let mut socket = Listener::socket(server.address, &ann.token, None).await;
    socket.id().await;
    server.engine.reads().tier.watchers.close();
    assert!(heard.end().await.contains(": the node begins anew"));
    assert_eq!(socket.end().await, "1013 the node begins anew");
}

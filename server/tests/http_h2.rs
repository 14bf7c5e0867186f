//! HTTP/2 with prior knowledge: many requests at once, slow readers, and clients that abuse the protocol.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Client, Server, Session, Wire};
use futures::future::join_all;
use h2::client::{self, SendRequest};
use http::{Request, StatusCode};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// A connection of its own, with these windows: what the client takes before it asks for more.
/// And the task that is busy with it, answering pings, until it ends.
async fn connect(server: &Server, stream_window: u32, connection_window: u32) -> (SendRequest<Bytes>, JoinHandle<()>) {
    let stream = TcpStream::connect(server.address).await.unwrap();
    let mut builder = client::Builder::new();
    builder.initial_window_size(stream_window).initial_connection_window_size(connection_window);
    let (sender, connection) = builder.handshake(stream).await.unwrap();
    let busy = tokio::spawn(async move { drop(connection.await) });
    (sender.ready().await.unwrap(), busy)
}

fn get(server: &Server, path: &str, reader: &Session) -> Request<()> {
    let uri = format!("http://{}{path}", server.address);
    Request::get(uri).header("authorization", format!("Bearer {}", reader.token)).body(()).unwrap()
}

/// Reads a body to its end, and lets the server send on.
async fn read(mut body: h2::RecvStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.unwrap();
        body.flow_control().release_capacity(chunk.len()).unwrap();
        bytes.extend_from_slice(&chunk);
    }
    bytes
}

async fn alive(server: &Server) {
    Client::http2(server.address).get("/healthz").await.expect(200);
}

#[tokio::test]
async fn hundreds_of_requests_share_one_connection() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    ann.publish("hello").await;
    let (mut sender, _) = connect(&server, 65_535, 65_535).await;
    // By the first answer the client knows how many it may ask for at once.
    let first = sender.send_request(get(&server, "/v1/me", &ann), true).unwrap().0.await.unwrap();
    read(first.into_body()).await;
    let asked = (0..500).map(|n| {
        let (sender, request) = (sender.clone(), get(&server, if n % 2 == 0 { "/v1/feed" } else { "/v1/me" }, &ann));
        async move {
            let mut sender = sender.ready().await.unwrap();
            let answer = sender.send_request(request, true).unwrap().0.await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            serde_json::from_slice::<serde_json::Value>(&read(answer.into_body()).await).unwrap()
        }
    });
    for (n, answer) in join_all(asked).await.into_iter().enumerate() {
        match n % 2 {
            0 => assert_eq!(answer["items"][0]["text"], "hello"),
            _ => assert_eq!(answer["handle"], "ann"),
        }
    }
}

#[tokio::test]
async fn a_reader_with_a_small_window_gets_everything_and_holds_nobody_up() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    for _ in 0..20 {
        ann.publish(&"ü".repeat(2_000)).await;
    }
    let (mut sender, _) = connect(&server, 1_000, 1 << 20).await;
    let slow = sender.send_request(get(&server, "/v1/feed", &ann), true).unwrap().0.await.unwrap().into_body();
    // It takes nothing more for now; the next one is answered on the same connection.
    let mut sender = sender.ready().await.unwrap();
    let quick = sender.send_request(get(&server, "/v1/me", &ann), true).unwrap().0.await.unwrap();
    assert_eq!(read(quick.into_body()).await.first(), Some(&b'{'));
    let page: serde_json::Value = serde_json::from_slice(&read(slow).await).unwrap();
    assert_eq!(page["items"].as_array().unwrap().len(), 20);
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
/// The headers are whole, and no body follows.
const ALL: u8 = 5;
const ENHANCE_YOUR_CALM: u8 = 11;

/// `GET http://x/healthz`, in HPACK.
const HEALTH: &[u8] = b"\x82\x86\x04\x08/healthz\x01\x01x";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Opens a connection by hand and sends these frames.
async fn sends(server: &Server, frames: impl IntoIterator<Item = Vec<u8>>) -> Wire {
    let mut wire = Wire::open(server.address).await;
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    bytes.extend(frames.into_iter().flatten());
    wire.send(bytes).await;
    wire
}

/// Kind, stream and payload of each whole frame.
fn frames(mut bytes: &[u8]) -> Vec<(u8, u32, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [a, b, c, kind, _, s, t, u, v, rest @ ..] = bytes {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let Some(payload) = rest.get(..length) else { break };
        frames.push((*kind, u32::from_be_bytes([*s, *t, *u, *v]), payload.to_vec()));
        bytes = &rest[length..];
    }
    frames
}

/// Whether the server has ended the connection and said that the client is a nuisance.
fn told_to_calm_down(bytes: &[u8]) -> bool {
    frames(bytes).iter().any(|(kind, _, payload)| *kind == GOAWAY && payload.get(7) == Some(&ENHANCE_YOUR_CALM))
}

#[tokio::test]
async fn what_is_written_by_hand_is_understood() {
    let server = Server::start().await;
    let mut wire = sends(&server, [frame(HEADERS, ALL, 1, HEALTH), frame(GOAWAY, 0, 0, &[0; 8])]).await;
    let told = frames(&wire.rest_as_bytes().await);
    assert!(told.iter().any(|(kind, stream, _)| *kind == HEADERS && *stream == 1), "{told:?}");
}

#[tokio::test]
async fn requests_that_are_taken_back_at_once_end_the_connection() {
    let server = Server::start().await;
    let flood = (0..5_000).flat_map(|n| {
        let stream = 2 * n + 1;
        [frame(HEADERS, ALL, stream, HEALTH), frame(RST_STREAM, 0, stream, &8u32.to_be_bytes())]
    });
    let mut wire = sends(&server, flood).await;
    assert!(told_to_calm_down(&wire.rest_as_bytes().await));
    alive(&server).await;
}

#[tokio::test]
async fn a_few_malformed_requests_are_refused_and_many_end_the_connection() {
    let server = Server::start().await;
    // Without a path.
    let malformed = |n: u32| frame(HEADERS, ALL, 2 * n + 1, b"\x82\x86\x01\x01x");
    let some = (0..3).map(malformed);
    let mut wire = sends(&server, some.chain([frame(HEADERS, ALL, 7, HEALTH), frame(GOAWAY, 0, 0, &[0; 8])])).await;
    let told = frames(&wire.rest_as_bytes().await);
    let refused = told.iter().filter(|(kind, ..)| *kind == RST_STREAM).count();
    assert!(refused == 3 && told.iter().any(|(kind, stream, _)| *kind == HEADERS && *stream == 7), "{told:?}");

    let mut wire = sends(&server, (0..100).map(malformed)).await;
    assert!(told_to_calm_down(&wire.rest_as_bytes().await));
    alive(&server).await;
}

#[tokio::test]
async fn endless_headers_are_refused() {
    let server = Server::start().await;
    // A header of 16,000 bytes, again and again: its length is what 7 bits cannot say and 15,873 more.
    let mut field = b"\x00\x01x\x7f\x81\x7c".to_vec();
    field.extend(std::iter::repeat_n(b'a', 16_000));
    let mut wire = sends(&server, [frame(HEADERS, 1, 1, HEALTH)]).await;
    let taken = wire.send(frame(CONTINUATION, 0, 1, &field).repeat(2_000)).await;
    assert!(!taken, "32 MB of headers were taken");
    alive(&server).await;
}

#[tokio::test]
async fn headers_that_never_end_are_hung_up_on() {
    let server = Server::with(|settings| settings.bounds.headers = Duration::from_millis(300)).await;
    for begun in [Vec::new(), frame(HEADERS, 1, 1, HEALTH)] {
        sends(&server, [begun]).await.rest_as_bytes().await;
    }
    alive(&server).await;
}

#[tokio::test]
async fn a_slow_body_is_408() {
    let server = Server::start().await;
    let (mut sender, _) = connect(&server, 65_535, 65_535).await;
    let uri = format!("http://{}/v1/auth/dev", server.address);
    let request = Request::post(uri).header("content-type", "application/json").body(()).unwrap();
    let (answer, mut body) = sender.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(b"{"), false).unwrap();
    assert_eq!(answer.await.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
    drop(body);
}

/// A connection that takes one byte of this answer, and goes on asking for what needs no window.
async fn holds_and_goes_on(server: &Server, path: &str, reader: &Session) -> JoinHandle<()> {
    let (mut sender, busy) = connect(server, 1, 1 << 20).await;
    let held = sender.send_request(get(server, path, reader), true).unwrap().0.await.unwrap();
    let health = Request::head(format!("http://{}/healthz", server.address)).body(()).unwrap();
    tokio::spawn(async move {
        let _held = held;
        while let Ok(mut ready) = sender.clone().ready().await
            && let Ok((answer, _)) = ready.send_request(health.clone(), true)
            && answer.await.is_ok()
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    busy
}

#[tokio::test]
async fn whoever_withholds_the_window_or_asks_for_nothing_is_given_up() {
    let server = Server::with(|settings| {
        settings.bounds.headers = Duration::from_millis(500);
        settings.bounds.write = Duration::from_millis(500);
    })
    .await;
    let ann = server.sign_in("ann").await;
    for _ in 0..20 {
        ann.publish(&"ü".repeat(2_000)).await;
    }
    // All answer pings all the time.
    let (mut greedy, greedy_busy) = connect(&server, 1, 1 << 20).await;
    let mut page = greedy.send_request(get(&server, "/v1/feed", &ann), true).unwrap().0.await.unwrap().into_body();
    let (mut idle, idle_busy) = connect(&server, 65_535, 65_535).await;
    let own = idle.send_request(get(&server, "/v1/me", &ann), true).unwrap().0.await.unwrap();
    read(own.into_body()).await;
    // What goes on beside it keeps neither a page nor a few bytes that hyper has taken over already.
    let of_page = holds_and_goes_on(&server, "/v1/feed", &ann).await;
    let of_bytes = holds_and_goes_on(&server, "/v1/me", &ann).await;
    let all = [("the idle", idle_busy), ("the greedy", greedy_busy), ("a page's", of_page), ("a few bytes'", of_bytes)];
    for (who, busy) in all {
        tokio::time::timeout(Duration::from_secs(20), busy).await.expect(who).unwrap();
    }
    while let Some(Ok(piece)) = page.data().await {
        assert_eq!(piece.len(), 1, "more than the window");
    }
    alive(&server).await;
}

//! What is a WebSocket's own: the handshake, what clients say, and their farewell.

use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::common::{Server, Wire};
use crate::live::Listener;

#[tokio::test]
async fn a_client_of_a_websocket_has_little_to_say() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    let open = || Listener::socket(server.address, &ann.token, None);
    let mut socket = open().await;
    assert!(socket.say(Message::text("hello")).await && socket.say(Message::Ping(b"?".to_vec().into())).await);
    socket.id().await;
    for _ in 0..40 {
        socket.say(Message::text("hello?")).await;
    }
    assert_eq!(socket.end().await, "1008 say less");

    let mut socket = open().await;
    socket.say(Message::binary(vec![0; 5_000])).await;
    assert_eq!(socket.end().await, "1009 say less");
    // What it was sent is still there for others.
    open().await.id().await;
}

#[tokio::test]
async fn a_handshake_is_whole_or_refused() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    let ask = || ann.get("/v1/feed/live").header("connection", "upgrade").header("upgrade", "websocket");
    let whole = || ask().header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    whole().header("sec-websocket-version", "8").await.problem(426, "bad_handshake");
    whole().await.problem(426, "bad_handshake");
    ask().header("sec-websocket-version", "13").await.problem(400, "bad_handshake");
    assert_eq!(ann.get("/v1/feed/live").header("upgrade", "h2c").open().await.status(), 200, "not asked for");
    let wrong = server.client().get("/v1/feed/live").header("sec-websocket-protocol", "tributary, bearer.x");
    wrong.await.problem(401, "token_invalid");
    // The token may as well come as everywhere else; then there is no subprotocol to speak of.
    let mut wire = Wire::open(server.address).await;
    let token = &ann.token;
    wire.send(format!(
        "GET /v1/feed/live HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: Upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ))
    .await;
    let answer = wire.until("\"id\":").await.to_lowercase();
    assert!(answer.starts_with("http/1.1 101 ") && answer.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
    assert!(!answer.contains("sec-websocket-protocol"));
}

#[tokio::test]
async fn a_client_that_says_farewell_is_told_it_back() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    let mut socket = Listener::socket(server.address, &ann.token, None).await;
    socket.id().await;
    let farewell = CloseFrame { code: 1_000.into(), reason: "enough".into() };
    assert!(socket.say(Message::Close(Some(farewell))).await);
    assert_eq!(socket.end().await, "1000 enough");
}

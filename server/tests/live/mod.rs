//! A client that listens to a live timeline, as server-sent events or over a WebSocket.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::common::Client;

/// Longer than anything may take: a hang fails the test.
const PATIENCE: Duration = Duration::from_secs(20);

/// An event, or (without a name) the word that the stream is there.
#[derive(Clone, Debug)]
pub struct Told {
    pub event: String,
    pub id: String,
    pub data: Value,
}

enum Kind {
    /// With the text of the body so far, and how much of it has been looked at.
    Events {
        body: Incoming,
        text: String,
        seen: usize,
    },
    Socket(Box<WebSocketStream<TcpStream>>),
}

/// Listens.
pub struct Listener(Kind);

impl Listener {
    /// The answer to the request for a stream of events, whose body goes on. `since` is the id heard last.
    pub async fn ask(client: &Client, token: &str, since: Option<&str>) -> Response<Incoming> {
        let mut ask = client.ask(Method::GET, "/v1/feed/live").header("authorization", &format!("Bearer {token}"));
        if let Some(id) = since {
            ask = ask.header("last-event-id", id);
        }
        ask.open().await
    }

    /// To server-sent events.
    pub async fn events(client: &Client, token: &str, since: Option<&str>) -> Self {
        let answer = Self::ask(client, token, since).await;
        assert_eq!(answer.status(), 200);
        Self(Kind::Events { body: answer.into_body(), text: String::new(), seen: 0 })
    }

    /// To a WebSocket, opened as browsers do.
    pub async fn socket(address: SocketAddr, token: &str, since: Option<&str>) -> Self {
        Self::socket_over(TcpStream::connect(address).await.unwrap(), token, since).await
    }

    /// To a WebSocket, over a connection that holds little of what is not read.
    pub async fn narrow_socket(address: SocketAddr, token: &str, since: &str) -> Self {
        Self::socket_over(narrow(address).await, token, Some(since)).await
    }

    async fn socket_over(stream: TcpStream, token: &str, since: Option<&str>) -> Self {
        let address = stream.peer_addr().unwrap();
        let since = since.map(|token| format!("?since={token}")).unwrap_or_default();
        let mut request = format!("ws://{address}/v1/feed/live{since}").into_client_request().unwrap();
        let protocol = format!("tributary, bearer.{token}").parse().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let (socket, answer) = tokio_tungstenite::client_async(request, stream).await.unwrap();
        assert_eq!(answer.headers()["sec-websocket-protocol"], "tributary");
        Self(Kind::Socket(Box::new(socket)))
    }

    /// To server-sent events, over a connection that holds little of what is not read.
    pub async fn slow_events(address: SocketAddr, token: &str) -> Self {
        let stream = TokioIo::new(narrow(address).await);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get("/v1/feed/live").header("host", address.to_string());
        let request = request.header("authorization", format!("Bearer {token}"));
        let answer = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        Self(Kind::Events { body: answer.into_body(), text: String::new(), seen: 0 })
    }

    /// To server-sent events, over HTTP/2 with a window that holds little of what is not read.
    pub async fn narrow_events(address: SocketAddr, token: &str, since: &str) -> Self {
        let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let mut client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        client.initial_stream_window_size(16 * 1024);
        let (mut sender, connection) = client.handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get(format!("http://{address}/v1/feed/live")).header("last-event-id", since);
        let request = request.header("authorization", format!("Bearer {token}"));
        let answer = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        Self(Kind::Events { body: answer.into_body(), text: String::new(), seen: 0 })
    }

    /// What is told next; none at the end.
    async fn next(&mut self) -> Option<Told> {
        tokio::time::timeout(PATIENCE, self.read()).await.expect("something is told in time")
    }

    async fn read(&mut self) -> Option<Told> {
        match &mut self.0 {
            Kind::Events { body, text, seen } => loop {
                if let Some(end) = text[*seen..].find("\n\n") {
                    let told = parsed(&text[*seen..*seen + end]);
                    *seen += end + 2;
                    match told {
                        Some(told) => return Some(told),
                        None => continue,
                    }
                }
                let data = body.frame().await?.unwrap().into_data().unwrap();
                text.push_str(std::str::from_utf8(&data).unwrap());
            },
            Kind::Socket(socket) => loop {
                let text = match socket.next().await?.unwrap() {
                    Message::Text(text) => text,
                    Message::Ping(_) => continue,
                    other => panic!("{other:?}"),
                };
                let message: Value = serde_json::from_str(&text).unwrap();
                let field = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
                return Some(Told { event: field("event"), id: field("id"), data: message["data"].clone() });
            },
        }
    }

    /// The next word that the stream is there: its id.
    pub async fn id(&mut self) -> String {
        loop {
            let told = self.next().await.expect("the stream goes on");
            if told.event.is_empty() {
                return told.id;
            }
        }
    }

    /// The next event.
    pub async fn event(&mut self) -> Told {
        self.event_but(|_| false).await
    }

    /// The next event but those that are to be passed over.
    pub async fn event_but(&mut self, passed_over: impl Fn(&Told) -> bool) -> Told {
        loop {
            let told = self.next().await.expect("the stream goes on");
            assert!(!told.id.is_empty(), "everything has an id: {told:?}");
            if !told.event.is_empty() && !passed_over(&told) {
                return told;
            }
        }
    }

    /// Everything until the stream ends.
    pub async fn rest(&mut self) -> Vec<Told> {
        let mut all = Vec::new();
        while let Some(told) = self.next().await {
            all.push(told);
        }
        all
    }

    /// Waits until the server ends the stream: everything that was sent, or the code and reason of the farewell.
    pub async fn end(&mut self) -> String {
        if let Kind::Socket(socket) = &mut self.0 {
            return tokio::time::timeout(PATIENCE, farewell(socket)).await.expect("an end in time");
        }
        self.rest().await;
        match &self.0 {
            Kind::Events { text, .. } => text.clone(),
            Kind::Socket(_) => unreachable!("told of above"),
        }
    }

    /// Says something to the server.
    pub async fn say(&mut self, message: Message) -> bool {
        let Kind::Socket(socket) = &mut self.0 else { panic!("nothing can be said to a stream of events") };
        socket.send(message).await.is_ok()
    }
}

/// A connection that holds little of what is not read.
async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.connect(address).await.unwrap()
}

async fn farewell(socket: &mut WebSocketStream<TcpStream>) -> String {
    loop {
        match socket.next().await.expect("a farewell").unwrap() {
            Message::Close(Some(close)) => return format!("{} {}", u16::from(close.code), close.reason),
            Message::Close(None) => panic!("a farewell has a reason"),
            _ => {}
        }
    }
}

/// What a block of lines says; none where it is but a comment or a time to wait.
fn parsed(block: &str) -> Option<Told> {
    let mut told = Told { event: String::new(), id: String::new(), data: Value::Null };
    for line in block.lines() {
        match line.split_once(": ") {
            Some(("event", event)) => told.event = event.to_owned(),
            Some(("id", id)) => told.id = id.to_owned(),
            Some(("data", data)) => told.data = serde_json::from_str(data).unwrap(),
            Some(("retry", _) | ("", _)) => {}
            _ if line == ":" => {}
            _ => panic!("not a line of a stream of events: {line:?}"),
        }
    }
    (!told.id.is_empty()).then_some(told)
}

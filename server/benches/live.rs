//! What an idle live stream costs: a node in a process of its own, ten thousand streams to it, of each kind. Prints the
//! memory of each, how long a post takes to reach all of them, and what posts cost that concern none of them.
//!
//! `TRIBUTARY_LIVE_STREAMS` says another number of streams, `TRIBUTARY_LIVE_FOLLOWS` how many each reader follows.

#![allow(clippy::unwrap_used, reason = "a measurement stops at what it did not expect")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use common::{Client, Process, Session, say};
use futures::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Streams of one user: as many as the server lets one have.
const OF_USER: usize = 8;
/// Posts by strangers.
const STRANGERS_POSTS: usize = 2_000;
/// Requests at the same time.
const AT_ONCE: usize = 64;

const CONFIG: &str = r#"
[http]
listen = "127.0.0.1:0"
[auth]
dev_login = true
[limits]
posts_per_minute = 0
requests_per_second = 0
[telemetry]
log = "info"
"#;

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (streams, follows) = (number("TRIBUTARY_LIVE_STREAMS", 10_000), number("TRIBUTARY_LIVE_FOLLOWS", 50));
    for kind in ["sse", "websocket"] {
        runtime.block_on(measure(kind, streams, follows));
    }
}

async fn measure(kind: &str, count: usize, follows: usize) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bench.toml"), CONFIG).unwrap();
    let node = Process::start(folder.path(), "bench.toml", folder.path().join("log")).await;
    let client = Client::new(node.address);
    let readers = people(&client, "reader", count.div_ceil(OF_USER)).await;
    let authors = people(&client, "author", follows.max(1)).await;
    let stranger = client.sign_in("stranger").await;
    let pairs = readers.iter().flat_map(|reader| authors.iter().map(move |author| reader.follow(author)));
    stream::iter(pairs).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;

    let before = node.resident_bytes();
    let opening = (0..count).map(|n| open(node.address, kind, &readers[n / OF_USER].token));
    let mut open: Vec<TcpStream> = stream::iter(opening).buffer_unordered(AT_ONCE).collect().await;
    let each = node.resident_bytes().saturating_sub(before) / count as u64;
    say(format!("{kind}: {count} streams, {follows} followees each: {each} bytes of resident memory a stream"));

    let (busy, started) = (node.busy(), Instant::now());
    let texts: Vec<String> = (0..STRANGERS_POSTS).map(|n| n.to_string()).collect();
    stream::iter(&texts).map(|text| stranger.publish(text)).buffer_unordered(AT_ONCE).collect::<Vec<String>>().await;
    let (took, busy) = (started.elapsed(), node.busy() - busy);
    let each = busy / STRANGERS_POSTS as u32;
    say(format!("{kind}: {STRANGERS_POSTS} posts by a stranger in {took:?}, {each:?} of processor time each"));

    let (busy, started) = (node.busy(), Instant::now());
    authors[0].publish("to all").await;
    stream::iter(&mut open).for_each_concurrent(None, |stream| until(stream, "to all")).await;
    let (took, busy) = (started.elapsed(), node.busy() - busy);
    say(format!("{kind}: a post reached all {count} after {took:?}, with {busy:?} of the node's processor time"));
}

async fn people(client: &Client, name: &str, count: usize) -> Vec<Session> {
    let names: Vec<String> = (0..count).map(|n| format!("{name}{n}")).collect();
    stream::iter(&names).map(|name| client.sign_in(name)).buffered(AT_ONCE).collect().await
}

/// A stream, once it has said that it is there.
async fn open(address: SocketAddr, kind: &str, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let upgrade = if kind == "websocket" { upgrade } else { "" };
    let ask = format!("GET /v1/feed/live HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{upgrade}\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    until(&mut stream, if kind == "websocket" { "\"id\":" } else { "\nid: " }).await;
    stream
}

/// Reads until `text` has come.
async fn until(stream: &mut TcpStream, text: &str) {
    let mut all = Vec::new();
    let mut chunk = [0; 1_024];
    while !String::from_utf8_lossy(&all).contains(text) {
        let read = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut chunk)).await;
        let read = read.expect("it comes in time").unwrap();
        assert_ne!(read, 0, "closed after {:?}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&chunk[..read]);
    }
}

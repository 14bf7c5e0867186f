//! A fuzz target for the bytes that a client sends once its connection is a WebSocket. What it says is not looked at, only
//! counted: it hears whole frames of ours until it is told why not, or is hung up on.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tributary_engine::testkit::fuzz;

use super::common::Server;

/// A frame of a client: masked, with a mask that changes nothing.
fn frame(head: u8, text: &[u8]) -> Vec<u8> {
    [&[head, 0x80 | text.len() as u8, 0, 0, 0, 0], text].concat()
}

/// What comes until the end of the connection, after the answer to the handshake, to a client that says `bytes`.
fn heard(server: &Server, token: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let handshake = format!(
        "GET /v1/feed/live HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(handshake.as_bytes()).unwrap();
    let (mut told, mut byte) = (Vec::new(), [0]);
    while !told.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        told.push(byte[0]);
    }
    assert!(told.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&told));
    // The server may hang up at any time, which is its right.
    let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
    told.clear();
    match stream.read_to_end(&mut told) {
        Err(error) if !matches!(error.kind(), std::io::ErrorKind::ConnectionReset) => panic!("no end: {error}"),
        _ => told,
    }
}

/// The frames of a server, kind and content; what is not whole at the end is left out.
fn frames(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = Vec::new();
    while let [head, length, rest @ ..] = bytes {
        assert!(head & 0xf0 == 0x80 && length & 0x80 == 0, "a frame is whole and not masked: {bytes:x?}");
        let (length, rest) = match (length, rest) {
            (126, [high, low, rest @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            (126.., _) => break,
            (short, rest) => (usize::from(*short), rest),
        };
        let Some((content, behind)) = rest.split_at_checked(length) else { break };
        frames.push((head & 0x0f, content));
        bytes = behind;
    }
    frames
}

/// Panics of this process: that of a task which serves a WebSocket shows nowhere else.
static PANICS: AtomicUsize = AtomicUsize::new(0);

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn whatever_a_client_says_it_hears_whole_frames_until_it_is_told_why_not() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(panic);
    }));
    let server = Server::with(|settings| settings.bounds.live_streams_of_user = 1_000).await;
    let ann = server.sign_in("ann").await;
    let (token, many) = (ann.token.clone(), frame(0x81, b"hello").repeat(40));
    let seeds = vec![
        [frame(0x81, b"hello"), frame(0x82, b"\0\xff"), frame(0x89, b"ping"), frame(0x8a, b"")].concat(),
        [frame(0x01, b"in two "), frame(0x80, b"pieces"), frame(0x88, b"\x03\xe8bye")].concat(),
        frame(0x88, b""),
        many.clone(),
        [&[0x82, 0xfe, 0x10, 0x01, 0, 0, 0, 0][..], &[7; 4_097]].concat(),
        [&[0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0][..], b"x"].concat(),
    ];
    let server = tokio::task::spawn_blocking(move || {
        let farewell = |bytes: &[u8]| {
            let told = heard(&server, &token, bytes);
            frames(&told).into_iter().find(|(kind, _)| *kind == 8).map(|(_, content)| content.to_vec())
        };
        assert_eq!(farewell(&many).as_deref(), Some(&b"\x03\xf0say less"[..]), "too many messages");
        assert_eq!(farewell(&seeds[4]).as_deref(), Some(&b"\x03\xf1say less"[..]), "too long a message");
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/socket");
        fuzz(kept, seeds, |input| {
            let told = heard(&server, &token, input);
            assert_eq!(PANICS.load(Ordering::Relaxed), 0, "a task, or another test, has panicked");
            for (kind, content) in frames(&told) {
                match kind {
                    1 => assert!(
                        serde_json::from_slice::<serde_json::Value>(content).is_ok_and(|said| said["id"].is_string())
                    ),
                    8..=10 => assert!(content.len() <= 125),
                    _ => panic!("a frame of kind {kind}"),
                }
            }
            !told.is_empty()
        });
        server
    });
    server.await.unwrap().client().get("/readyz").await.expect(200);
}

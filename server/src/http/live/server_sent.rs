//! A live stream as `text/event-stream` (the HTML standard's server-sent events), over HTTP/1.1 and HTTP/2.
//!
//! What only says that the stream is there has an id and no data: a client keeps the id and is told of no event.

use std::convert::Infallible;

use bytes::Bytes;
use futures::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Either, StreamBody};
use hyper::body::Frame;
use tokio::time::Instant;

use super::teller::{End, Say, Teller, name, write_data};
use crate::http::respond::Answer;

/// A piece of a stream ends with the event that makes it longer than this.
const PIECE_BYTES: usize = 16 * 1024;
/// How long a client waits before it comes back: this, and a random part of as much again, so that not all come at once.
const RETRY_MS: u64 = 1_000;

static ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The answer whose body tells what the teller says.
pub fn answer(teller: Teller) -> Answer {
    let told = Telling { teller, begun: false, handed_over: None };
    let pieces = stream::unfold(Some(told), |telling| async {
        let (piece, telling) = telling?.piece().await;
        Some((Ok::<_, Infallible>(Frame::data(piece)), telling))
    });
    let mut answer = Response::new(Either::Right(StreamBody::new(pieces).boxed_unsync()));
    *answer.status_mut() = StatusCode::OK;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx and those who took the name over would keep pieces back.
    headers.insert(ACCEL_BUFFERING.clone(), HeaderValue::from_static("no"));
    answer
}

struct Telling {
    teller: Teller,
    begun: bool,
    /// When the connection took the piece before. It asks for the next as soon as it has room for it.
    handed_over: Option<Instant>,
}

impl Telling {
    /// The next piece, and what goes on after it.
    async fn piece(mut self) -> (Bytes, Option<Self>) {
        let slow = self.handed_over.is_some_and(|then| then.elapsed() > self.teller.slow());
        let mut say = if slow { Say::End(End::Slow) } else { self.teller.next().await };
        let mut piece = Vec::new();
        if !std::mem::replace(&mut self.begun, true) {
            let retry_ms = RETRY_MS + fastrand::u64(..RETRY_MS);
            piece.extend_from_slice(format!("retry: {retry_ms}\n\n").as_bytes());
        }
        loop {
            match say {
                Say::Event(event) => {
                    let token = self.teller.tell(&event);
                    piece.extend_from_slice(format!("event: {}\nid: {token}\ndata: ", name(&event.news)).as_bytes());
                    write_data(&event.news, &mut piece);
                    piece.extend_from_slice(b"\n\n");
                }
                Say::Here(token) => piece.extend_from_slice(format!(":\nid: {token}\n\n").as_bytes()),
                Say::End(end) => {
                    end.count();
                    piece.extend_from_slice(format!(": {}\n\n", end.reason()).as_bytes());
                    return (piece.into(), None);
                }
            }
            if piece.len() >= PIECE_BYTES {
                break;
            }
            let Some(event) = self.teller.found() else { break };
            say = Say::Event(event);
        }
        self.handed_over = Some(Instant::now());
        (piece.into(), Some(self))
    }
}

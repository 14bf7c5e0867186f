//! What is under way on one connection, each from its request until the end of its answer was taken, and whether it
//! goes on. hyper has no such bound for HTTP/2, where a peer that answers pings may send nothing for ever, or withhold
//! the window that one of its answers waits for (law 9).

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// Bytes of a body that are handed out at once. hyper drops them when they are written: what it still has is known not
/// to be taken.
const PIECE_BYTES: usize = 16 * 1024;

/// What is under way on one connection.
pub struct Exchanges {
    begun: Instant,
    state: Mutex<State>,
}

/// Times are milliseconds from the beginning.
#[derive(Default)]
struct State {
    /// When each that has not ended went on last.
    open: HashMap<u64, u64>,
    /// How many there have been.
    count: u64,
    /// When one ended last.
    ended_ms: u64,
}

impl Exchanges {
    /// Nothing, from now on.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { begun: Instant::now(), state: Mutex::default() })
    }

    /// Notes a request; its exchange lasts until the value is dropped.
    pub fn begin(self: &Arc<Self>) -> Exchange {
        let now_ms = self.now_ms();
        let mut state = self.state();
        state.count += 1;
        let id = state.count;
        state.open.insert(id, now_ms);
        Exchange { all: Arc::clone(self), id }
    }

    /// How much longer the connection may stand still: nothing may be under way for `idle`, and of what is, each must go
    /// on within `stalled`, whatever becomes of the others: else one that moves would keep all that do not. None:
    /// something has stood still for too long.
    pub fn patience(&self, idle: Duration, stalled: Duration) -> Option<Duration> {
        let state = self.state();
        let (most, moved_ms) = match state.open.values().min() {
            Some(&oldest) => (stalled, oldest),
            None => (idle, state.ended_ms),
        };
        drop(state);
        let still = self.begun.elapsed().saturating_sub(Duration::from_millis(moved_ms));
        most.checked_sub(still).filter(|left| !left.is_zero())
    }

    fn now_ms(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request and its answer.
pub struct Exchange {
    all: Arc<Exchanges>,
    id: u64,
}

impl Exchange {
    fn moved(&self) {
        let now_ms = self.all.now_ms();
        self.all.state().open.insert(self.id, now_ms);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let now_ms = self.all.now_ms();
        let mut state = self.all.state();
        state.open.remove(&self.id);
        state.ended_ms = now_ms;
    }
}

/// The body of an answer. With its last piece, or with itself, its exchange ends.
pub struct Watched<B> {
    body: B,
    /// Of the last frame, what was not handed out.
    rest: Bytes,
    exchange: Arc<Exchange>,
}

impl<B> Watched<B> {
    /// `body` as the end of `exchange`.
    pub fn new(body: B, exchange: Exchange) -> Self {
        Self { body, rest: Bytes::new(), exchange: Arc::new(exchange) }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Piece;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Piece>, B::Error>>> {
        self.exchange.moved();
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(other) => {
                    return Poll::Ready(other.into_trailers().ok().map(|trailers| Ok(Frame::trailers(trailers))));
                }
            }
        }
        let length = self.rest.len().min(PIECE_BYTES);
        let bytes = self.rest.split_to(length);
        Poll::Ready(Some(Ok(Frame::data(Piece { bytes, exchange: Arc::clone(&self.exchange) }))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (of_body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(of_body.lower() + rest);
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

/// A piece of a body. Its exchange goes on when it was written, and lasts at least until then.
pub struct Piece {
    bytes: Bytes,
    exchange: Arc<Exchange>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.exchange.moved();
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{BodyExt, Full};
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const IDLE: Duration = Duration::from_secs(30);
    const STALLED: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_connection_may_stand_still_for_so_long() {
        let exchanges = Exchanges::new();
        let left = || exchanges.patience(IDLE, STALLED);
        assert_eq!(left(), Some(IDLE), "nobody has asked yet");
        tokio::time::advance(Duration::from_secs(29)).await;
        assert_eq!(left(), Some(Duration::from_secs(1)));
        let exchange = exchanges.begin();
        assert_eq!(left(), Some(STALLED));
        let mut body = Watched::new(Full::new(Bytes::from(vec![7; 2 * PIECE_BYTES + 1])), exchange);
        for length in [PIECE_BYTES, PIECE_BYTES, 1] {
            tokio::time::advance(Duration::from_secs(9)).await;
            assert_eq!(left(), Some(Duration::from_secs(1)));
            assert!(!body.is_end_stream());
            let piece = body.frame().await.unwrap().unwrap().into_data().ok().unwrap();
            assert_eq!((piece.remaining(), left()), (length, Some(STALLED)), "it is asked for more");
            tokio::time::advance(Duration::from_secs(9)).await;
            drop(piece);
            assert_eq!(left(), Some(STALLED), "what was handed out is taken");
        }
        assert!(body.is_end_stream() && body.size_hint().exact() == Some(0));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(left(), None, "its end is not taken");
        drop(body);
        assert_eq!(left(), Some(IDLE), "it has ended now");
        tokio::time::advance(IDLE).await;
        assert_eq!(left(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_moves_keeps_none_that_does_not() {
        let exchanges = Exchanges::new();
        let mut held = Watched::new(Full::new(Bytes::from_static(b"held")), exchanges.begin());
        let piece = held.frame().await.unwrap().unwrap();
        drop(held);
        for _ in 0..9 {
            tokio::time::advance(Duration::from_secs(1)).await;
            drop(exchanges.begin());
            let mut moving = Watched::new(Full::new(Bytes::from_static(b"taken")), exchanges.begin());
            drop(moving.frame().await);
        }
        assert_eq!(exchanges.patience(IDLE, STALLED), Some(Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(1)).await;
        drop(exchanges.begin());
        assert_eq!(exchanges.patience(IDLE, STALLED), None, "the end of one is held by hyper, and nobody takes it");
        drop(piece);
        assert_eq!(exchanges.patience(IDLE, STALLED), Some(IDLE));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_reads_slowly_is_waited_for_to_the_last_byte() {
        const BODY: usize = 20 * PIECE_BYTES;
        const SECOND: Duration = Duration::from_secs(1);
        let exchanges = Exchanges::new();
        let (near, mut far) = tokio::io::duplex(PIECE_BYTES / 8);
        let of_server = Arc::clone(&exchanges);
        let service = service_fn(move |_| {
            let body = Watched::new(Full::new(Bytes::from(vec![b'x'; BODY])), of_server.begin());
            async { Ok::<_, Infallible>(http::Response::new(body)) }
        });
        let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(near), service);
        tokio::spawn(serving);
        far.write_all(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.unwrap();
        let (mut some, mut read) = ([0; PIECE_BYTES / 8], 0);
        loop {
            tokio::time::sleep(SECOND).await;
            assert!(exchanges.patience(3 * SECOND, STALLED).is_some(), "given up after {read} bytes");
            let count = far.read(&mut some).await.unwrap();
            if count == 0 {
                break;
            }
            read += some[..count].iter().filter(|&&byte| byte == b'x').count();
        }
        assert_eq!(read, BODY);
    }

    #[tokio::test]
    async fn a_watched_body_is_the_same_body() {
        let bytes: Bytes = (0..100_000u32).map(|n| n as u8).collect();
        let body = Watched::new(Full::new(bytes.clone()), Exchanges::new().begin());
        assert_eq!(body.size_hint().exact(), Some(100_000));
        assert_eq!(body.collect().await.unwrap().to_bytes(), bytes);
        let empty = Watched::new(Full::new(Bytes::new()), Exchanges::new().begin());
        assert!(empty.is_end_stream() && empty.size_hint().exact() == Some(0));
    }
}

//! What is under way on one connection, from a request to the end of its answer, and whether any of it goes on. hyper
//! has no such bound for HTTP/2, where a peer that answers pings may send nothing for ever, or withhold the window that
//! its answers wait for (law 9).

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// Bytes of a body that are handed out at once: what is not handed out is known not to be taken.
const PIECE_BYTES: usize = 16 * 1024;

/// What is under way on one connection.
pub struct Exchanges {
    begun: Instant,
    /// Requests whose answers have not ended.
    open: AtomicUsize,
    /// When one began, went on or ended last, in milliseconds from the beginning.
    moved_ms: AtomicU64,
}

impl Exchanges {
    /// Nothing, from now on.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { begun: Instant::now(), open: AtomicUsize::new(0), moved_ms: AtomicU64::new(0) })
    }

    /// Notes a request; its exchange lasts until the value is dropped.
    pub fn begin(self: &Arc<Self>) -> Exchange {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.moved();
        Exchange(Arc::clone(self))
    }

    /// How much longer the connection may stand still: nothing may be under way for `idle`, and what is may make no
    /// progress for `stalled`. None: it has stood still for too long.
    pub fn patience(&self, idle: Duration, stalled: Duration) -> Option<Duration> {
        let most = if self.open.load(Ordering::Relaxed) == 0 { idle } else { stalled };
        let moved = Duration::from_millis(self.moved_ms.load(Ordering::Relaxed));
        let still = self.begun.elapsed().saturating_sub(moved);
        most.checked_sub(still).filter(|left| !left.is_zero())
    }

    fn moved(&self) {
        self.moved_ms.fetch_max(self.begun.elapsed().as_millis() as u64, Ordering::Relaxed);
    }
}

/// A request and its answer.
pub struct Exchange(Arc<Exchanges>);

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.moved();
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer, which ends its exchange.
pub struct Watched<B> {
    body: B,
    /// Of the last frame, what was not handed out.
    rest: Bytes,
    exchange: Exchange,
}

impl<B> Watched<B> {
    /// `body` as the end of `exchange`.
    pub fn new(body: B, exchange: Exchange) -> Self {
        Self { body, rest: Bytes::new(), exchange }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.exchange.0.moved();
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                ended => return Poll::Ready(ended),
            };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let piece = self.rest.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(piece)))))
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

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

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
        for lengths in [PIECE_BYTES, PIECE_BYTES, 1] {
            tokio::time::advance(Duration::from_secs(9)).await;
            assert_eq!(left(), Some(Duration::from_secs(1)));
            assert!(!body.is_end_stream());
            let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!((data.len(), left()), (lengths, Some(STALLED)), "it goes on");
        }
        assert!(body.is_end_stream() && body.size_hint().exact() == Some(0));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(left(), None, "its end is not taken");
        drop(body);
        assert_eq!(left(), Some(IDLE), "it has ended now");
        tokio::time::advance(IDLE).await;
        assert_eq!(left(), None);
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

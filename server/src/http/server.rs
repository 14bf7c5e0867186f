//! Connections: accepted up to a bound, given up when they stall, and closed gracefully (law 9). HTTP/1.1 and
//! HTTP/2 with prior knowledge on one port.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::header::UPGRADE;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use metrics::counter;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower::{Service, service_fn};

use super::app::App;
use super::dispatch::Inbound;
use super::exchanges::{Exchanges, Watched};
use super::layers::{Answers, stack};
use super::patience::Patient;
use super::peers::{self, Peers};
use super::respond::Body;
use super::settings::{
    Bounds, HEADER_BUFFER_BYTES, MALFORMED_STREAMS, RESETS_UNSEEN, SEND_BUFFER_BYTES, STREAMS, WINDOWS,
};

/// Pause after a failed accept (no file descriptor is free, say): trying again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often a silent HTTP/2 connection is asked whether it is still there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(20);

/// A connection's place among all that there may be, and among those of its address: free again once nobody uses the
/// connection, also not as what it was upgraded to.
#[derive(Clone)]
pub struct Place {
    _free: Arc<(OwnedSemaphorePermit, peers::Place)>,
}

/// Serves until `shutdown` turns true (or its sender is gone), then finishes what is in flight, within bounds.
pub async fn run(app: Arc<App>, listener: TcpListener, mut shutdown: watch::Receiver<bool>) {
    let bounds = app.settings.bounds;
    let builder = Arc::new(builder(&bounds));
    let graceful = GracefulShutdown::new();
    let free = Arc::new(Semaphore::new(bounds.connections));
    let peers = Peers::new(bounds.connections_of_address, app.settings.unbounded_peers.clone());
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = shutdown.wait_for(|&on| on) => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &free) => accepted,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                let Some(of_peer) = peers.admit(peer.ip()) else {
                    // To tell it why would take as much as to serve it.
                    counter!("http_connections_refused_total").increment(1);
                    continue;
                };
                let place = Place { _free: Arc::new((permit, of_peer)) };
                let (app, builder) = (Arc::clone(&app), Arc::clone(&builder));
                connections.spawn(connection(app, builder, graceful.watcher(), stream, peer.ip(), place));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // A WebSocket is no connection of hyper's any more. Live streams of both kinds end by themselves.
    let ended = futures::future::join(graceful.shutdown(), app.streams.ended());
    if tokio::time::timeout(bounds.drain, ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests in flight were cut off at shutdown");
    }
    connections.shutdown().await;
}

async fn accept(
    listener: &TcpListener,
    free: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(free).acquire_owned().await.expect("the semaphore is never closed");
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer, permit))
}

fn builder(bounds: &Bounds) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(bounds.headers).max_buf_size(HEADER_BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEADER_BUFFER_BYTES as u32)
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(RESETS_UNSEEN)
        .max_local_error_reset_streams(MALFORMED_STREAMS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    builder
}

/// Serves one connection to its end, or until it has stood still for too long: before the protocol is known, and within
/// HTTP/2, hyper's own timers do not run.
async fn connection(
    app: Arc<App>,
    builder: Arc<Builder<TokioExecutor>>,
    watcher: Watcher,
    stream: TcpStream,
    peer: IpAddr,
    place: Place,
) {
    let Bounds { headers: idle, write: stalled, .. } = app.settings.bounds;
    let exchanges = Exchanges::new();
    let service = TowerToHyperService::new(requests(app, stack(), peer, Arc::clone(&exchanges), place));
    let stream = TokioIo::new(Patient::new(stream, stalled));
    let serving = watcher.watch(builder.serve_connection_with_upgrades(stream, service).into_owned());
    tokio::pin!(serving);
    while let Some(patience) = exchanges.patience(idle, stalled) {
        if let Ok(ended) = tokio::time::timeout(patience, &mut serving).await {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended badly");
            }
            return;
        }
    }
    tracing::debug!("a connection stood still and was closed");
}

fn requests(
    app: Arc<App>,
    service: impl Answers,
    peer: IpAddr,
    exchanges: Arc<Exchanges>,
    place: Place,
) -> impl Service<
    http::Request<hyper::body::Incoming>,
    Response = http::Response<Watched<Body>>,
    Error = std::convert::Infallible,
    Future: Send,
> + Clone
+ Send {
    service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
        if request.headers().contains_key(UPGRADE) {
            request.extensions_mut().insert(place.clone());
        }
        let exchange = exchanges.begin();
        let answer = service.clone().call(Inbound::new(Arc::clone(&app), request, peer));
        async { Ok(answer.await?.map(|body| Watched::new(body, exchange))) }
    })
}

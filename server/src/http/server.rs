//! Connections: accepted up to a bound, given up when they stall, and closed gracefully (law 9). HTTP/1.1 and
//! HTTP/2 with prior knowledge on one port.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::UPGRADE;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower::{Service, service_fn};

use super::app::App;
use super::dispatch::Inbound;
use super::layers::{Answers, stack};
use super::patience::Patient;
use super::settings::{Bounds, HEADER_BUFFER_BYTES, STREAMS};

/// Pause after a failed accept (no file descriptor is free, say): trying again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often a silent HTTP/2 connection is asked whether it is still there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(20);

/// A connection's place among all that there may be: free again once nobody uses the connection, also not as what it was
/// upgraded to.
#[derive(Clone)]
pub struct Place {
    _free: Arc<OwnedSemaphorePermit>,
}

/// Serves until `shutdown` turns true (or its sender is gone), then finishes what is in flight, within bounds.
pub async fn run(app: Arc<App>, listener: TcpListener, mut shutdown: watch::Receiver<bool>) {
    let bounds = app.settings.bounds;
    let builder = Arc::new(builder(&bounds));
    let graceful = GracefulShutdown::new();
    let free = Arc::new(Semaphore::new(bounds.connections));
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
                let place = Place { _free: Arc::new(permit) };
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
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    builder
}

/// Serves one connection to its end. One that brings no request in time is dropped: before the protocol is
/// known, hyper's own timer does not run.
async fn connection(
    app: Arc<App>,
    builder: Arc<Builder<TokioExecutor>>,
    watcher: Watcher,
    stream: TcpStream,
    peer: IpAddr,
    place: Place,
) {
    let Bounds { headers: patience, write, .. } = app.settings.bounds;
    let asked = Arc::new(AtomicBool::new(false));
    let service = TowerToHyperService::new(requests(app, stack(), peer, Arc::clone(&asked), place));
    let stream = TokioIo::new(Patient::new(stream, write));
    let serving = watcher.watch(builder.serve_connection_with_upgrades(stream, service).into_owned());
    tokio::pin!(serving);
    let ended = match tokio::time::timeout(patience, &mut serving).await {
        Ok(ended) => ended,
        Err(_) if asked.load(Ordering::Relaxed) => serving.await,
        Err(_) => return,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}

fn requests(
    app: Arc<App>,
    service: impl Answers,
    peer: IpAddr,
    asked: Arc<AtomicBool>,
    place: Place,
) -> impl Service<
    http::Request<hyper::body::Incoming>,
    Response = super::respond::Answer,
    Error = std::convert::Infallible,
    Future: Send,
> + Clone
+ Send {
    service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
        asked.store(true, Ordering::Relaxed);
        if request.headers().contains_key(UPGRADE) {
            request.extensions_mut().insert(place.clone());
        }
        service.clone().call(Inbound::new(Arc::clone(&app), request, peer))
    })
}

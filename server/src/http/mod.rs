//! The HTTP server: hyper directly, one table of routes ([`router`]), tower layers around it ([`layers`]).
//!
//! A request goes: connection ([`server`]) -> id, metrics, log, deadline ([`layers`]) -> role, method, door,
//! body ([`dispatch`]) -> handler ([`routes`]) -> engine. Handlers parse ([`request`]), ask the engine, and
//! shape the answer ([`respond`]); whatever goes wrong is a [`Fault`](problem::Fault).

mod address;
mod app;
mod auth;
mod dispatch;
#[cfg(test)]
mod fuzz_tests;
mod idempotency;
mod layers;
mod limits;
mod openapi;
mod patience;
mod problem;
mod request;
mod respond;
mod router;
mod routes;
mod server;
mod settings;
mod tokens;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tributary_engine::Engine;

pub use limits::SharedRates;
pub use settings::{Asset, Bounds, Settings};

/// Serves on `listener` until `shutdown` turns true; then stops accepting, finishes what is in flight within
/// its bounds, and returns. `token_key` is the same on all nodes; `rates`: what they share of the rate limits;
/// `metrics` renders Prometheus text.
pub async fn serve(
    settings: Settings,
    engine: Engine,
    metrics: impl Fn() -> String + Send + Sync + 'static,
    token_key: &[u8; 32],
    rates: Option<Arc<dyn SharedRates>>,
    listener: TcpListener,
    shutdown: watch::Receiver<bool>,
) {
    let app = Arc::new(app::App::new(settings, engine, token_key, metrics, rates));
    server::run(app, listener, shutdown).await;
}

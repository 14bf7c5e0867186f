//! The HTTP server: hyper directly, one table of routes ([`router`]), tower layers around it ([`layers`]).
//!
//! A request goes: connection ([`server`]) -> id, metrics, log ([`layers`]), form of the answer ([`shape`])
//! -> deadline, role, method, door, body ([`dispatch`]) -> handler ([`routes`]) -> engine. Handlers parse ([`request`]), ask the
//! engine, and render the answer ([`respond`]), which may go on ([`live`]); whatever goes wrong is a
//! [`Fault`](problem::Fault).

mod address;
mod app;
mod auth;
mod coding;
mod cors;
mod dispatch;
mod etag;
mod exchanges;
#[cfg(test)]
mod fuzz_tests;
mod idempotency;
mod lately;
mod layers;
mod limits;
mod live;
mod openapi;
mod pages;
mod patience;
mod peers;
mod problem;
mod refresh_token;
mod request;
mod respond;
mod router;
mod routes;
mod server;
mod settings;
mod shape;
mod signin;
#[cfg(test)]
mod signin_fuzz_tests;
mod tokens;
#[cfg(test)]
mod tokens_fuzz_tests;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tributary_engine::Engine;

use crate::config::TokenKey;

pub use limits::SharedRates;
pub use settings::{Asset, Bounds, Settings};
pub use signin::SignIn;

/// Serves on `listener` until `shutdown` turns true; then stops accepting, finishes what is in flight within
/// its bounds, and returns. The first of `token_keys` signs; `rates`: what nodes share of the rate limits;
/// `metrics` renders Prometheus text.
pub async fn serve(
    settings: Settings,
    engine: Engine,
    metrics: impl Fn() -> String + Send + Sync + 'static,
    token_keys: &[TokenKey],
    rates: Option<Arc<dyn SharedRates>>,
    listener: TcpListener,
    shutdown: watch::Receiver<bool>,
) {
    let app = Arc::new(app::App::new(settings, engine, token_keys, metrics, rates, shutdown.clone()));
    server::run(app, listener, shutdown).await;
}

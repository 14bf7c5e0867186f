//! What every request of a process shares.

use std::sync::Arc;

use tokio::sync::watch;
use tributary_engine::Engine;

use super::limits::{Limits, SharedRates};
use super::live::Streams;
use super::settings::Settings;
use super::tokens::Tokens;

/// What every request of a process shares.
pub struct App {
    /// The node.
    pub engine: Engine,
    /// What the server was told.
    pub settings: Settings,
    /// Makes and verifies access tokens.
    pub tokens: Tokens,
    /// The rate limits.
    pub limits: Limits,
    /// The live streams.
    pub streams: Streams,
    /// Turns true when the server is to stop.
    pub stopping: watch::Receiver<bool>,
    /// Renders the metrics as Prometheus text.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
}

impl App {
    /// `token_key` is the same on all nodes; `rates`: what they share of the limits.
    pub fn new(
        settings: Settings,
        engine: Engine,
        token_key: &[u8; 32],
        metrics: impl Fn() -> String + Send + Sync + 'static,
        rates: Option<Arc<dyn SharedRates>>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let tokens = Tokens::new(token_key, &settings);
        let limits = Limits::new(settings.requests_per_second, settings.posts_per_minute, rates);
        let streams = Streams::new(&settings.bounds);
        Self { engine, settings, tokens, limits, streams, stopping, metrics: Box::new(metrics) }
    }
}

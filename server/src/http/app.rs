//! What every request of a process shares.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use tributary_engine::timeline::ListId;
use tributary_engine::{Check, Engine};

use super::etag::Validator;
use super::lately::Lately;
use super::limits::{Limits, SharedRates};
use super::live::Streams;
use super::pages::Pages;
use super::settings::{PROBES_APART, Settings};
use super::tokens::Tokens;
use crate::config::TokenKey;

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
    /// Of nothing yet. Made by the key that seals cursors and `fresh` tokens: a client never keeps a page whose tokens
    /// are of a key that is gone.
    pub validator: Validator,
    /// Static pages as they are sent.
    pub pages: Pages,
    /// The live streams.
    pub streams: Streams,
    /// Turns true when the server is to stop.
    pub stopping: watch::Receiver<bool>,
    /// Renders the metrics as Prometheus text.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// The metrics as they were rendered last.
    pub rendered: Lately<Bytes>,
    /// How the node was when somebody looked last.
    pub checked: Lately<Arc<[Check]>>,
}

impl App {
    /// The first of `token_keys` signs; `rates`: what nodes share of the limits.
    pub fn new(
        settings: Settings,
        engine: Engine,
        token_keys: &[TokenKey],
        metrics: impl Fn() -> String + Send + Sync + 'static,
        rates: Option<Arc<dyn SharedRates>>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let tokens = Tokens::new(token_keys, &settings);
        let limits = Limits::new(settings.requests_per_second, settings.posts_per_minute, rates);
        let validator = Validator::new(&engine.reads().signer.seal(ListId::Tunings, [0]));
        let streams = Streams::new(&settings.bounds);
        let pages = Pages::default();
        let metrics = Box::new(metrics);
        let (rendered, checked) = (Lately::new(PROBES_APART), Lately::new(PROBES_APART));
        Self { engine, settings, tokens, limits, validator, pages, streams, stopping, metrics, rendered, checked }
    }
}

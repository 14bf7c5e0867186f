//! What every request of a process shares.

use std::sync::Arc;

use tributary_engine::Engine;
use tributary_engine::timeline::ListId;

use super::etag::Validator;
use super::limits::{Limits, SharedRates};
use super::pages::Pages;
use super::settings::Settings;
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
    /// Renders the metrics as Prometheus text.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
}

impl App {
    /// The first of `token_keys` signs; `rates`: what nodes share of the limits.
    pub fn new(
        settings: Settings,
        engine: Engine,
        token_keys: &[TokenKey],
        metrics: impl Fn() -> String + Send + Sync + 'static,
        rates: Option<Arc<dyn SharedRates>>,
    ) -> Self {
        let tokens = Tokens::new(token_keys, &settings);
        let limits = Limits::new(settings.requests_per_second, settings.posts_per_minute, rates);
        let validator = Validator::new(&engine.reads().signer.seal(ListId::Tunings, [0]));
        Self { engine, settings, tokens, limits, validator, pages: Pages::default(), metrics: Box::new(metrics) }
    }
}

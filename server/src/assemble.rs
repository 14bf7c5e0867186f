//! The one file that names adapters: here the configuration becomes ports, and ports become an engine. Everything
//! else in the server knows the engine only.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use tributary_engine::embedded::{EmbeddedLog, EmbeddedStore, ProcessShard};
use tributary_engine::model::Tuning;
use tributary_engine::ports::{self, Clock};
use tributary_engine::{CacheBytes, Engine, Options, Ports};

use crate::config::{Config, Keys, Store, ToldTuning};
use crate::http::SharedRates;
use crate::sync_tuning;

/// The store of this configuration, for those who need no engine.
///
/// # Errors
/// When it cannot be opened.
pub async fn store(config: &Config, clock: Clock) -> Result<Arc<dyn ports::Store>> {
    Ok(services(config, clock).await?.store)
}

/// Truth and events, for those who need no engine.
pub struct Services {
    /// Truth.
    pub store: Arc<dyn ports::Store>,
    /// The events.
    pub log: Arc<dyn ports::Log>,
}

/// Store and log of this configuration.
///
/// # Errors
/// When one of them cannot be opened.
pub async fn services(config: &Config, clock: Clock) -> Result<Services> {
    match &config.store {
        Store::Embedded { path } => {
            let store = EmbeddedStore::open(path, clock)?;
            Ok(Services { store: store.clone(), log: Arc::new(EmbeddedLog::new(store)) })
        }
        Store::Postgres { .. } => bail!("not yet"),
    }
}

/// A running engine, with what it runs on.
pub struct Node {
    /// The engine.
    pub engine: Engine,
    /// The rate limits that nodes share, where they do.
    pub rates: Option<Arc<dyn SharedRates>>,
    store: Arc<dyn ports::Store>,
}

impl Node {
    /// Opens what the configuration names and starts an engine on it.
    ///
    /// # Errors
    /// When something cannot be opened, or does not answer.
    pub async fn start(config: &Config, keys: &Keys) -> Result<Self> {
        let clock = Clock::System;
        let Services { store, log } = services(config, clock.clone()).await?;
        let (cache, shard_bytes) = share_windows(config.cache);
        let shard = Arc::new(ProcessShard::new(shard_bytes, clock.clone()));
        let ports = Ports { store: store.clone(), log, shard };
        let options = Options { roles: config.roles, cache, cursor_key: keys.cursors, clock };
        let engine = Engine::start(ports, options).await.context("the engine cannot start")?;
        Ok(Self { engine, rates: None, store })
    }

    /// Makes a new version of the tuning where the configuration says something else than it last did.
    ///
    /// # Errors
    /// When the store does not answer. Trying again is harmless.
    pub async fn sync_tuning(&self, told: ToldTuning) -> Result<Option<Tuning>> {
        sync_tuning::on_node(&self.engine, &*self.store, told).await
    }
}

/// In one process L1 and the shard both hold windows: each gets half of the bytes meant for windows.
fn share_windows(cache: CacheBytes) -> (CacheBytes, usize) {
    let half = cache.windows / 2;
    (CacheBytes { windows: cache.windows - half, ..cache }, usize::try_from(half).unwrap_or(usize::MAX))
}

pub async fn migrate(_: &Config) -> Result<String> {
    bail!("not yet")
}
pub async fn shards_in_force(_: &Config) -> Result<String> {
    bail!("not yet")
}
pub async fn plan_shards(_: &Config) -> Result<String> {
    bail!("not yet")
}
pub async fn apply_shards(_: &Config) -> Result<String> {
    bail!("not yet")
}

//! The one file that names adapters: here the configuration becomes ports, and ports become an engine. Everything
//! else in the server knows the engine only.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use tributary_engine::embedded::{EmbeddedLog, EmbeddedStore, ProcessShard};
use tributary_engine::model::{ChangedBy, Command, CommandKey, Outcome, Request, Tuning, TuningSettings, UserId};
use tributary_engine::ports::{self, Clock};
use tributary_engine::{CacheBytes, Engine, Options, Ports};

use crate::config::{Config, Keys, Store, ToldTuning};

/// The name under which the store keeps what the configuration last said about the tuning.
const TUNING_NOTE: &str = "config_tuning";

/// The store of this configuration, for those who need no engine. One process has it open at a time.
///
/// # Errors
/// When it cannot be opened.
pub async fn store(config: &Config, clock: Clock) -> Result<Arc<dyn ports::Store>> {
    let Store::Embedded { path } = &config.store;
    Ok(EmbeddedStore::open(path, clock)?)
}

/// A running engine, with the store it runs on.
pub struct Node {
    /// The engine.
    pub engine: Engine,
    store: Arc<dyn ports::Store>,
}

impl Node {
    /// Opens what the configuration names and starts an engine on it.
    ///
    /// # Errors
    /// When something cannot be opened, or does not answer.
    pub async fn start(config: &Config, keys: &Keys) -> Result<Self> {
        let clock = Clock::System;
        let Store::Embedded { path } = &config.store;
        let store = EmbeddedStore::open(path, clock.clone())?;
        let (cache, shard_bytes) = share_windows(config.cache);
        let ports = Ports {
            store: store.clone(),
            log: Arc::new(EmbeddedLog::new(store.clone())),
            shard: Arc::new(ProcessShard::new(shard_bytes, clock.clone())),
        };
        let options = Options { roles: config.roles, cache, cursor_key: keys.cursors, clock };
        let engine = Engine::start(ports, options).await.context("the engine cannot start")?;
        Ok(Self { engine, store })
    }

    /// Makes a new version of the tuning where the configuration says something else than it last did.
    ///
    /// # Errors
    /// When the store does not answer. Trying again is harmless.
    pub async fn sync_tuning(&self, told: ToldTuning) -> Result<Option<Tuning>> {
        let present = self.engine.tuning().await.context("the present tuning cannot be read")?;
        sync(&*self.store, told, present.settings, async |settings| self.tune(settings).await).await
    }

    async fn tune(&self, settings: TuningSettings) -> Result<Tuning> {
        let command = Command::Tune { expected: None, settings, by: ChangedBy::Config };
        let nobody = UserId::default();
        tuned(self.engine.execute(nobody, command, None).await?.outcome)
    }
}

/// As [`Node::sync_tuning`], on a store that no node serves.
///
/// # Errors
/// When the store does not answer. Trying again is harmless.
pub async fn sync_tuning(store: &dyn ports::Store, told: ToldTuning) -> Result<Option<Tuning>> {
    let present = store.tuning().await.context("the present tuning cannot be read")?;
    let tune = async |settings| {
        // A key that no client can send; once it is committed the version is another.
        let key = format!("\0config after version {}", present.version).into_bytes().into();
        let command = Command::Tune { expected: Some(present.version), settings, by: ChangedBy::Config };
        let key = CommandKey { key, fingerprint: [0; 16] };
        tuned(store.commit(&Request { actor: UserId::default(), key, command }).await?.outcome)
    };
    sync(store, told, present.settings, tune).await
}

async fn sync(
    store: &dyn ports::Store,
    told: ToldTuning,
    present: TuningSettings,
    tune: impl AsyncFnOnce(TuningSettings) -> Result<Tuning>,
) -> Result<Option<Tuning>> {
    let last: ToldTuning = match store.note(TUNING_NOTE).await? {
        Some(note) => serde_json::from_str(&note).context("what the configuration last said cannot be read")?,
        None => ToldTuning::default(),
    };
    let said = told.after(last);
    if said == last {
        return Ok(None);
    }
    let settings = told.applied(last, present);
    let tuned = if settings == present { None } else { Some(tune(settings).await?) };
    // Only now: an interrupted sync is repeated, and then finds the version already made.
    store.set_note(TUNING_NOTE, &serde_json::to_string(&said)?).await?;
    Ok(tuned)
}

fn tuned(outcome: Outcome) -> Result<Tuning> {
    match outcome {
        Outcome::Tuned(tuning) => Ok(tuning),
        other => anyhow::bail!("tuning came to {other:?}"),
    }
}

/// In one process L1 and the shard both hold windows: each gets half of the bytes meant for windows.
fn share_windows(cache: CacheBytes) -> (CacheBytes, usize) {
    let half = cache.windows / 2;
    (CacheBytes { windows: cache.windows - half, ..cache }, usize::try_from(half).unwrap_or(usize::MAX))
}

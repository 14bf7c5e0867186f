//! Puts in force what the configuration says about the tuning, where that differs from what it last said. What it last
//! said is kept in the store, so that an operator's change by the API outlasts a restart.

use anyhow::{Context as _, Result};
use tributary_engine::Engine;
use tributary_engine::model::{ChangedBy, Command, CommandKey, Outcome, Request, Tuning, TuningSettings, UserId};
use tributary_engine::ports::Store;

use crate::config::ToldTuning;

/// The name under which the store keeps what the configuration last said.
const NOTE: &str = "config_tuning";

/// Makes a new version of the tuning of a running node, where the configuration says something new.
///
/// # Errors
/// When the store does not answer. Trying again is harmless.
pub async fn on_node(engine: &Engine, store: &dyn Store, told: ToldTuning) -> Result<Option<Tuning>> {
    let present = engine.tuning().await.context("the present tuning cannot be read")?;
    let tune = async |settings| {
        let command = Command::Tune { expected: None, settings, by: ChangedBy::Config };
        tuned(engine.execute(UserId::default(), command, None).await?.outcome)
    };
    sync(store, told, present.settings, tune).await
}

/// As [`on_node`], on a store that no node serves.
///
/// # Errors
/// When the store does not answer. Trying again is harmless.
pub async fn on_store(store: &dyn Store, told: ToldTuning) -> Result<Option<Tuning>> {
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
    store: &dyn Store,
    told: ToldTuning,
    present: TuningSettings,
    tune: impl AsyncFnOnce(TuningSettings) -> Result<Tuning>,
) -> Result<Option<Tuning>> {
    let last: ToldTuning = match store.note(NOTE).await? {
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
    store.set_note(NOTE, &serde_json::to_string(&said)?).await?;
    Ok(tuned)
}

fn tuned(outcome: Outcome) -> Result<Tuning> {
    match outcome {
        Outcome::Tuned(tuning) => Ok(tuning),
        other => anyhow::bail!("tuning came to {other:?}"),
    }
}

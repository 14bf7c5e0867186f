//! The pieces of a node, not yet running.

use std::sync::Arc;

use tokio::sync::watch;

use super::Options;
use crate::cache::Tier;
use crate::command::Commands;
use crate::limits::LOG_WAIT;
use crate::model::{Epoch, Position, Tuning};
use crate::ports::{Log, LogError, Shard, Store, StoreError};
use crate::read::Reads;
use crate::work::{Checkpointer, Follower};

/// The pieces of a node, not yet running: what [`Engine::start`](super::Engine::start) runs, and what a test drives step
/// by step.
pub struct Parts {
    /// Reads.
    pub reads: Reads,
    /// Commands.
    pub commands: Commands,
    /// The log's follower, with the ring warm.
    pub follower: Follower,
    /// Saves checkpoints.
    pub checkpointer: Checkpointer,
    /// The tuning, kept up to date by the follower.
    pub tuning: watch::Receiver<Tuning>,
}

impl Parts {
    /// Loads what a node needs to know and warms the ring.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn assemble(
        store: Arc<dyn Store>,
        log: Arc<dyn Log>,
        shard: Arc<dyn Shard>,
        options: &Options,
    ) -> Result<Self, StoreError> {
        let epoch = confirmed_epoch(&*store, &*log).await?;
        let (tuning_teller, tuning) = watch::channel(store.tuning().await?);
        let (tier, writer) = Tier::new(store.clone(), epoch, &options.cache, Position::ZERO);
        let mut follower = Follower::new(tier.clone(), log, writer, tuning_teller, options.clock.clone());
        tier.load_pulls().await?;
        follower.start().await?;
        let (queue, checkpointer) = Checkpointer::new(tier.clone());
        let commands = Commands::new(store, tier.clone());
        let reads = Reads::new(tier, shard, options.signer.clone(), queue);
        Ok(Self { reads, commands, follower, checkpointer, tuning })
    }
}

/// The epoch of the store's history, held against the newest event of the log: a store that was restored while no node
/// was there to notice has not come to that event.
async fn confirmed_epoch(store: &dyn Store, log: &dyn Log) -> Result<Epoch, StoreError> {
    let epoch = store.epoch(None).await?;
    let newest = tokio::time::timeout(LOG_WAIT, log.newest(epoch)).await;
    match newest.unwrap_or_else(|_| Err(LogError::Unavailable("no answer in time".to_owned()))) {
        Ok(Some(newest)) => store.epoch(Some(&newest)).await,
        Ok(None) => Ok(epoch),
        Err(error) => {
            tracing::warn!(%error, "the store's history is not held against the log");
            Ok(epoch)
        }
    }
}

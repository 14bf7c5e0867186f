//! Keeps the node and the store in one history: asks the store for its epoch, with the newest event that the node has
//! applied as a witness, and replaces a node whose history is no longer the store's.

use std::sync::{Arc, PoisonError, Weak};

use super::node::Node;
use super::{Options, Shared};
use crate::limits::EPOCH_CHECK_EVERY;
use crate::retry::Backoff;
use crate::work::{Stop, stopped};

/// Goes on until stopped, or until nobody has the engine any more.
pub(super) async fn run(engine: Weak<Shared>, options: Options, mut stop: Stop) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EPOCH_CHECK_EVERY) => {}
            () = stopped(&mut stop) => return,
        }
        let Some(engine) = engine.upgrade() else { return };
        for shard in engine.ports.shard.states() {
            metrics::gauge!("shard_up", "shard" => shard.name.into_string()).set(if shard.up { 1.0 } else { 0.0 });
        }
        let node = engine.any_node();
        let witness = node.reads.tier.witness();
        // A store that does not answer tells nothing; it is asked again.
        let Ok(epoch) = engine.ports.store.epoch(witness.as_ref()).await else { continue };
        if epoch != node.reads.tier.epoch {
            tracing::warn!(epoch = epoch.0, "the store's history has changed: everything cached is dropped");
            node.retire();
            tokio::select! {
                () = replace(&engine, &node, &options) => {}
                () = stopped(&mut stop) => return,
            }
        }
    }
}

async fn replace(engine: &Arc<Shared>, old: &Node, options: &Options) {
    old.stop().await;
    let mut backoff = Backoff::default();
    loop {
        match Node::start(&engine.ports, options).await {
            Ok(node) => {
                *engine.node.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(node);
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "a node for the new history cannot start; trying again");
                tokio::time::sleep(backoff.pause()).await;
            }
        }
    }
}

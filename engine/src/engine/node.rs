//! A running node: caches of one history of the store, and the work of its roles in the background.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::meter::Meter;
use super::{Options, Parts, Ports};
use crate::command::Commands;
use crate::model::{Costs, Tuning};
use crate::ports::StoreError;
use crate::read::Reads;
use crate::work::{Flush, FlushState, Janitor, PopularCopy, Relay, Share};

pub(super) struct Node {
    pub(super) reads: Reads,
    pub(super) commands: Commands,
    pub(super) tuning: watch::Receiver<Tuning>,
    pub(super) flush: Option<Arc<FlushState>>,
    /// What all nodes have measured, as this one last heard; none before it has.
    pub(super) costs: watch::Receiver<Option<Costs>>,
    /// Whether its caches are of the history that the store has.
    current: AtomicBool,
    stop: watch::Sender<bool>,
    tasks: Mutex<JoinSet<()>>,
}

impl Node {
    /// Loads what a node needs to know, warms the ring and starts the work of its roles.
    pub(super) async fn start(ports: &Ports, options: &Options) -> Result<Self, StoreError> {
        let Ports { store, log, shard } = ports.clone();
        let parts = Parts::assemble(store.clone(), log.clone(), shard.clone(), options).await?;
        let Parts { reads, commands, follower, checkpointer, tuning } = parts;
        let tier = reads.tier.clone();
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let mut flush_state = None;
        if options.roles.api {
            tasks.spawn(Relay::new(store.clone(), log.clone()).run(stopped.clone()));
            tasks.spawn(checkpointer.run(stopped.clone()));
            tasks.spawn(PopularCopy::new(tier.clone(), shard.clone()).run(stopped.clone()));
        }
        if options.roles.worker {
            let (share, slots) = Share::take(store.clone()).await;
            let (position, capacity) = (tier.ring.position(), tier.ring.capacity());
            let flush = Flush::new(store.clone(), shard.clone(), tier.epoch, slots, tuning.clone(), capacity, position);
            flush_state = Some(flush.state());
            tasks.spawn(share.run(stopped.clone()));
            tasks.spawn(flush.run(log, stopped.clone()));
            tasks.spawn(Janitor::new(tier, shard, options.clock.clone()).run(stopped.clone()));
        }
        let (meter, costs) = Meter::new(store, reads.clone(), flush_state.clone(), options.clock.clone());
        tasks.spawn(meter.run(stopped.clone()));
        tasks.spawn(follower.run(stopped));
        Ok(Self {
            reads,
            commands,
            tuning,
            flush: flush_state,
            costs,
            current: AtomicBool::new(true),
            stop,
            tasks: Mutex::new(tasks),
        })
    }

    /// Whether the store still has the history that this node knows, as far as has been noticed.
    pub(super) fn is_current(&self) -> bool {
        self.current.load(Ordering::Acquire)
    }

    /// The store has another history by now: nothing that this node knows is to be told any more.
    pub(super) fn retire(&self) {
        self.current.store(false, Ordering::Release);
        self.reads.tier.watchers.close();
    }

    /// Ends the work in the background and waits for it.
    pub(super) async fn stop(&self) {
        self.stop.send_replace(true);
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }
}

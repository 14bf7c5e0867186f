//! The meter: adds what this node measures of deliveries and merges to what all nodes have measured, and knows what has
//! come of it. Channels are chosen by that in mode `cost`, inside the commits of posts (law 3).

use std::sync::Arc;

use tokio::sync::watch;

use crate::limits::COSTS_EVERY;
use crate::model::{Costs, Measured};
use crate::ports::{Clock, Store, StoreError};
use crate::read::Reads;
use crate::work::{FlushState, Stop, stopped};

/// What measures for one node.
pub(super) struct Meter {
    store: Arc<dyn Store>,
    reads: Reads,
    flush: Option<Arc<FlushState>>,
    clock: Clock,
    /// What the store has been told of.
    told: Measured,
    costs: watch::Sender<Option<Costs>>,
}

impl Meter {
    /// A meter, and the costs of all nodes as it last heard of them.
    pub(super) fn new(
        store: Arc<dyn Store>,
        reads: Reads,
        flush: Option<Arc<FlushState>>,
        clock: Clock,
    ) -> (Self, watch::Receiver<Option<Costs>>) {
        let (costs, heard) = watch::channel(None);
        (Self { store, reads, flush, clock, told: Measured::default(), costs }, heard)
    }

    /// Tells the store what was measured since it was last told. What it does not take is told again: that it may count
    /// twice is less than what a measurement is off by anyway.
    async fn tell(&mut self) -> Result<(), StoreError> {
        let measured = measured(&self.reads, self.flush.as_deref());
        let costs = self.store.add_costs(&measured.since(self.told), self.clock.now()).await?;
        self.told = measured;
        self.costs.send_replace(Some(costs));
        Ok(())
    }

    /// Goes on until stopped.
    pub(super) async fn run(mut self, mut stop: Stop) {
        while !*stop.borrow() {
            if let Err(error) = self.tell().await {
                tracing::warn!(%error, "measured costs were not added; trying again later");
            }
            tokio::select! {
                () = tokio::time::sleep(COSTS_EVERY) => {}
                () = stopped(&mut stop) => {}
            }
        }
    }
}

/// What a node has measured since it started.
pub(super) fn measured(reads: &Reads, flush: Option<&FlushState>) -> Measured {
    let Measured { flush_ns, deliveries, .. } = flush.map(FlushState::measured).unwrap_or_default();
    Measured { flush_ns, deliveries, ..reads.measured() }
}

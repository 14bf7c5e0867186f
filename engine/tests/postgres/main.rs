//! The store on a real PostgreSQL, which the environment names: the contract of stores, plans of the hot statements,
//! connections that are killed, and what is said when the server is not as it should be.

mod nodes;
mod plans;
mod server;
mod speed;
mod trouble;

use std::sync::Arc;

use server::Server;
use tributary_engine::ports::Store;
use tributary_engine::testkit::RetryingStore;
use tributary_engine::testkit::contract;
use tributary_engine::testkit::faulty::{Fault, Faults, FaultyStore};

fn probable(probability: f64) -> Arc<Faults> {
    let faults = Faults::new(fastrand::u64(..));
    faults.set_all(probability);
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_on_postgres_keeps_the_laws_of_stores() {
    let Some(server) = Server::named() else { return };
    contract::store::run(async || server.fresh().await as Arc<dyn Store>).await;
    server.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_on_postgres_outlives_restarts() {
    let Some(server) = Server::named() else { return };
    let database = server.migrated().await;
    let open = async || server.open(&database).await as Arc<dyn Store>;
    contract::store::outlives_restarts(open, fastrand::u64(..), 1_000).await;
    server.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_store_on_postgres_switched_off_keeps_the_laws_of_stores() {
    let Some(server) = Server::named() else { return };
    let faults = probable(1.0);
    faults.switch(false);
    contract::store::run(async || {
        let faulty = FaultyStore::new(server.fresh().await, faults.clone());
        Arc::new(RetryingStore::new(Arc::new(faulty))) as Arc<dyn Store>
    })
    .await;
    server.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retrying_by_key_settles_every_command_of_a_faulty_store_on_postgres() {
    let Some(server) = Server::named() else { return };
    let faults = probable(0.2);
    let store = RetryingStore::new(Arc::new(FaultyStore::new(server.fresh().await, faults.clone())));
    contract::store::matches_truth(Arc::new(store), faults.seed(), 1_000).await;
    for fault in [Fault::StoreUnavailable, Fault::CommitLost, Fault::CommitReplyLost] {
        assert!(faults.injected(fault) > 50, "{fault:?}");
    }
    server.clear().await;
}

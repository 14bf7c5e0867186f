//! Every adapter that needs no service, held against the suite of its port; and the decorators, which must change
//! nothing while they are switched off, and nothing that retrying cannot mend while they are on.

use std::sync::Arc;

use tempfile::TempDir;
use tributary_engine::embedded::{EmbeddedLog, EmbeddedStore, ProcessShard};
use tributary_engine::model::Position;
use tributary_engine::ports::{Clock, Log, Shard, Store};
use tributary_engine::testkit::RetryingStore;
use tributary_engine::testkit::contract::{self, log::Source};
use tributary_engine::testkit::faulty::{Fault, Faults, FaultyLog, FaultyShard, FaultyStore};

/// An empty store in a folder that lasts as long as `folders`.
fn embedded(folders: &std::cell::RefCell<Vec<TempDir>>) -> Arc<EmbeddedStore> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = EmbeddedStore::open(folder.path(), Clock::System).expect("a new store opens");
    folders.borrow_mut().push(folder);
    store
}

fn process_shard() -> Arc<dyn Shard> {
    Arc::new(ProcessShard::new(64 << 20, Clock::System))
}

fn probable(probability: f64) -> Arc<Faults> {
    let faults = Faults::new(fastrand::u64(..));
    faults.set_all(probability);
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_keeps_the_laws_of_stores() {
    let folders = Default::default();
    contract::store::run(async || embedded(&folders) as Arc<dyn Store>).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_outlives_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let open = async || EmbeddedStore::open(folder.path(), Clock::System).unwrap() as Arc<dyn Store>;
    contract::store::outlives_restarts(open, fastrand::u64(..), 1_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_store_switched_off_keeps_the_laws_of_stores() {
    let folders = Default::default();
    let faults = probable(1.0);
    faults.switch(false);
    contract::store::run(async || {
        Arc::new(RetryingStore::new(Arc::new(FaultyStore::new(embedded(&folders), faults.clone())))) as Arc<dyn Store>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retrying_by_key_settles_every_command_of_a_faulty_store() {
    let folders = Default::default();
    let faults = probable(0.2);
    let store = RetryingStore::new(Arc::new(FaultyStore::new(embedded(&folders), faults.clone())));
    contract::store::matches_truth(Arc::new(store), faults.seed(), 1_000).await;
    for fault in [Fault::StoreUnavailable, Fault::CommitLost, Fault::CommitReplyLost] {
        assert!(faults.injected(fault) > 50, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_of_the_store_costs_nobody_their_session() {
    let folders = Default::default();
    let faults = probable(0.3);
    for _ in 0..20 {
        let store = RetryingStore::new(Arc::new(FaultyStore::new(embedded(&folders), faults.clone())));
        contract::store::each_token_is_good_once_and_gives_the_next(Arc::new(store)).await;
    }
    for fault in [Fault::StoreUnavailable, Fault::CommitLost, Fault::CommitReplyLost] {
        assert!(faults.injected(fault) > 20, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_log_keeps_the_laws_of_logs() {
    let folders = Default::default();
    contract::log::run(async || {
        let store = embedded(&folders);
        Source::over_store(Arc::new(EmbeddedLog::new(store.clone())), store).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_log_switched_off_keeps_the_laws_of_logs_and_so_does_one_that_only_repeats() {
    let folders = Default::default();
    for repeating in [false, true] {
        contract::log::run(async || {
            let store = embedded(&folders);
            let faults = probable(0.0);
            faults.switch(repeating);
            for fault in [Fault::PublishedAgain, Fault::EventsRepeated, Fault::EventsFew] {
                faults.set(fault, 0.5);
            }
            let log: Arc<dyn Log> = Arc::new(EmbeddedLog::new(store.clone()));
            Source::over_store(Arc::new(FaultyLog::new(log, faults)), store).await
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_log_loses_nothing_for_those_who_try_again() {
    let folders = Default::default();
    let store = embedded(&folders);
    let inner: Arc<dyn Log> = Arc::new(EmbeddedLog::new(store.clone()));
    let faults = probable(0.4);
    let log = FaultyLog::new(inner.clone(), faults.clone());
    let source = Source::over_store(inner, store).await;
    let mut reader = log.follow(source.epoch, Position::ZERO).await;
    while reader.is_err() {
        reader = log.follow(source.epoch, Position::ZERO).await;
    }
    let mut reader = reader.unwrap();
    let (mut published, mut told) = (Vec::new(), Vec::new());
    for count in [1, 9, 2, 4].repeat(15) {
        let events = (source.make)(count).await;
        while log.publish(&events).await.is_err() {}
        published.extend(events);
        while told.len() < published.len() {
            for event in reader.next().await.unwrap_or_default() {
                // What repeats is skipped by its number; what is next is taken; there is nothing else.
                let known = told.len() as u64;
                assert!(event.position.0 <= known + 1, "seed {}", faults.seed());
                if event.position.0 == known + 1 {
                    told.push(event);
                }
            }
        }
    }
    assert_eq!(told, published, "seed {}", faults.seed());
    for fault in [Fault::LogUnavailable, Fault::EventsRepeated, Fault::EventsFew] {
        assert!(faults.injected(fault) > 0, "{fault:?}");
    }
}

#[tokio::test]
async fn the_process_shard_keeps_the_laws_of_shards() {
    contract::shard::run(async || process_shard()).await;
}

#[tokio::test]
async fn a_faulty_shard_switched_off_keeps_the_laws_of_shards() {
    let faults = probable(1.0);
    faults.switch(false);
    contract::shard::run(async || Arc::new(FaultyShard::new(process_shard(), faults.clone())) as Arc<dyn Shard>).await;
}

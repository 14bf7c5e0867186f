//! Every adapter that needs no service, held against the suite of its port.

use std::sync::Arc;

use tributary_engine::embedded::ProcessShard;
use tributary_engine::ports::{Clock, Shard};
use tributary_engine::testkit::contract;
use tributary_engine::testkit::faulty::{Faults, FaultyShard};

fn process_shard() -> Arc<dyn Shard> {
    Arc::new(ProcessShard::new(64 << 20, Clock::System))
}

#[tokio::test]
async fn the_process_shard_keeps_the_laws_of_shards() {
    contract::shard::run(async || process_shard()).await;
}

#[tokio::test]
async fn a_faulty_shard_without_faults_keeps_the_laws_of_shards() {
    contract::shard::run(async || Arc::new(FaultyShard::new(process_shard(), Faults::new(1))) as Arc<dyn Shard>).await;
}

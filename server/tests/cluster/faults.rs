//! What breaks, one thing a phase: under load, then healed, so that afterwards everything must be as it should.

use std::time::Duration;

use crate::services::SHARDS;
use crate::topic;
use crate::world::World;

/// What can break.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    WorkerKilled,
    NodeKilled,
    RelayKilled,
    ShardFlushed,
    ShardPaused,
    ShardEmptied,
    ShardFromOldSnapshot,
    KafkaRestarted,
    PostgresRestarted,
    LeasesLost,
    WorkerWithOldShare,
    WorkerWithOldMap,
    NoWorkers,
    UnknownEvent,
    /// See [`restore`](crate::restore).
    PostgresRestored,
    PostgresRestoredUnseen,
}

impl Fault {
    pub const ALL: [Self; 16] = [
        Self::WorkerKilled,
        Self::NodeKilled,
        Self::RelayKilled,
        Self::ShardFlushed,
        Self::ShardPaused,
        Self::ShardEmptied,
        Self::ShardFromOldSnapshot,
        Self::KafkaRestarted,
        Self::PostgresRestarted,
        Self::LeasesLost,
        Self::WorkerWithOldShare,
        Self::WorkerWithOldMap,
        Self::NoWorkers,
        Self::UnknownEvent,
        Self::PostgresRestored,
        Self::PostgresRestoredUnseen,
    ];

    /// Breaks it and heals it, while others make load.
    pub async fn strike(self, world: &World, rng: &mut fastrand::Rng) {
        let (node, shard) = (rng.usize(..2), rng.usize(..SHARDS.len()));
        match self {
            Self::WorkerKilled => {
                let worker = &world.nodes.workers[node];
                worker.kill();
                any_moment(rng, 1_500).await;
                worker.start().await;
            }
            Self::NodeKilled => world.kill_api(node, Duration::from_millis(rng.u64(..1_500))).await,
            Self::RelayKilled => {
                let relay = relay(world).await;
                world.kill_api(relay, Duration::from_millis(rng.u64(500..1_500))).await;
                assert_ne!(self::relay(world).await, relay, "another node relays now");
            }
            Self::ShardFlushed => {
                for _ in 0..3 {
                    world.services.flush_all(shard).await;
                    any_moment(rng, 500).await;
                }
            }
            Self::ShardPaused => {
                world.services.deed("pause", &[SHARDS[shard]]).await;
                tokio::time::sleep(Duration::from_secs(3)).await;
                world.services.deed("resume", &[SHARDS[shard]]).await;
            }
            Self::ShardEmptied => {
                world.services.deed("stop", &[SHARDS[shard]]).await;
                any_moment(rng, 2_000).await;
                assert!(!world.services.dump(shard).exists(), "it has nothing to load");
                world.services.deed("start", &[SHARDS[shard]]).await;
            }
            Self::ShardFromOldSnapshot => Snapshot::start_from(world, shard).await,
            Self::KafkaRestarted => {
                // Nobody waits for it: what it is late with, nodes take from the store.
                world.services.deed("stop", &["kafka"]).await;
                tokio::time::sleep(Duration::from_secs(2)).await;
                world.services.deed("start", &["kafka"]).await;
                topic::until_led(world).await;
            }
            Self::PostgresRestarted => {
                world.weather.store.goes();
                world.services.deed("stop", &["postgres"]).await;
                any_moment(rng, 1_000).await;
                world.services.deed("start", &["postgres"]).await;
                world.until_ready().await;
                world.weather.store.is_back();
            }
            Self::LeasesLost => {
                // A worker that renews its lease while the other's is gone takes all slots for its own.
                for _ in 0..30 {
                    world.sql("DELETE FROM leases").await;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            Self::WorkerWithOldShare => {
                // It stands still until the other has its slots, then goes on with what it had begun.
                world.nodes.workers[node].signal("STOP");
                let alone = async || {
                    let holders = "SELECT count(*) FROM leases WHERE until > clock_timestamp()";
                    (world.number(holders).await == 1).then_some(())
                };
                world.until("the lease has run out", alone).await;
                any_moment(rng, 1_500).await;
                world.nodes.workers[node].signal("CONT");
            }
            Self::WorkerWithOldMap => {
                world.nodes.workers[node].signal("STOP");
                apply_weights(world, [1, rng.u32(2..5), rng.u32(1..5)]).await;
                // The others look for another map every two seconds.
                tokio::time::sleep(Duration::from_millis(rng.u64(2_200..4_000))).await;
                world.nodes.workers[node].signal("CONT");
            }
            Self::NoWorkers => {
                world.nodes.workers.iter().for_each(crate::nodes::Node::kill);
                tokio::time::sleep(Duration::from_secs(4)).await;
            }
            Self::UnknownEvent => topic::say_something_unknown(world).await,
            Self::PostgresRestored | Self::PostgresRestoredUnseen => unreachable!("they have a course of their own"),
        }
    }

    /// What is healed only after everything was compared.
    pub async fn heal_late(self, world: &World) {
        match self {
            Self::NoWorkers => {
                for worker in &world.nodes.workers {
                    worker.start().await;
                }
            }
            Self::UnknownEvent => topic::drop_what_is_unknown(world).await,
            _ => {}
        }
    }
}

/// Not a wait for something: the moment is to be any.
pub async fn any_moment(rng: &mut fastrand::Rng, ms_max: u64) {
    tokio::time::sleep(Duration::from_millis(rng.u64(50..ms_max))).await;
}

/// The node that publishes: the one whose session holds the lock.
async fn relay(world: &World) -> usize {
    let holder = "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND application_name LIKE 'api-%'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let look = async || {
        let rows = world.services.sql(&world.nodes.database, holder).await.ok()?;
        rows.first()?.get(0)?.strip_prefix("api-")?.parse().ok()
    };
    world.until("some node relays", look).await
}

/// Other weights come into force.
async fn apply_weights(world: &World, weights: [u32; 3]) {
    world.nodes.configure(&world.services, "api-weights", weights);
    let applied = world.nodes.run(&["shards", "apply", "--config", "api-weights.toml"]).await;
    crate::nodes::done_well(applied);
}

/// An old state of each shard, to start from later.
pub struct Snapshot;

impl Snapshot {
    /// Keeps the present state of all shards.
    pub async fn take(world: &World) {
        for (shard, name) in SHARDS.iter().enumerate() {
            assert_eq!(world.services.shard(shard, "SAVE").await, "+OK");
            // Away from where the shard would load it at every start.
            crate::nodes::copy(&world.services.dump(shard), &world.nodes.folder().join(name)).await;
            std::fs::remove_file(world.services.dump(shard)).unwrap();
        }
    }

    /// Stops a shard and starts it in the state that was kept.
    async fn start_from(world: &World, shard: usize) {
        world.services.deed("stop", &[SHARDS[shard]]).await;
        crate::nodes::copy(&world.nodes.folder().join(SHARDS[shard]), &world.services.dump(shard)).await;
        world.services.deed("start", &[SHARDS[shard]]).await;
        std::fs::remove_file(world.services.dump(shard)).unwrap();
        let told = world.services.shard(shard, "INFO persistence").await;
        let loaded = told.lines().find_map(|line| line.strip_prefix("rdb_last_load_keys_loaded:"));
        assert!(loaded.is_some_and(|keys| keys.trim() != "0"), "the old windows are back: {told}");
    }
}

//! The oracle over real services: two nodes that serve and two that work, on PostgreSQL, Kafka and three shards of
//! Redis, under load, while one thing after the other breaks (laws 1 to 8). During it every page that is read is held
//! against what was acknowledged; afterwards everything is, on both nodes, to the last entry.
//!
//! It stops and restarts services, so it runs where `compose/native.py run` has made some for it
//! (`./taskw test:e2e`), and is skipped elsewhere. `TRIBUTARY_CLUSTER_SEED` repeats the choices of a run (not its
//! moments); `TRIBUTARY_CLUSTER_FAULTS` (names of [`Fault`], comma-separated) has only these, in this order.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod faults;
mod freshness;
mod ledger;
mod nodes;
mod readers;
mod restore;
mod seen;
mod services;
mod settle;
mod topic;
mod weather;
mod world;
mod writers;

use std::time::{Duration, Instant};

use common::say;
use faults::{Fault, Snapshot, any_moment};
use freshness::{BELLS, Freshness, LISTENER, WHISPERS};
use nodes::Nodes;
use restore::Backup;
use seen::Seen;
use services::{Restored, Services};
use tributary_engine::model::Command;
use world::World;

/// Load before and after a fault lasts for up to this.
const LOAD_MS_MAX: u64 = 1_500;
/// Between a backup and its restoration: long enough that all nodes have seen something that is lost then.
const LOST: Duration = Duration::from_secs(1);
/// Of each partition so many messages are published again.
const REPEATED_MESSAGES: i64 = 1_000;

#[tokio::test]
async fn nothing_is_lost_or_shown_twice_whatever_breaks() {
    let Some(services) = Services::of_environment() else {
        say("skipped: it needs services that it may stop: `python3 compose/native.py run -- cargo test ...`");
        return;
    };
    let seed = match std::env::var("TRIBUTARY_CLUSTER_SEED") {
        Ok(text) => text.parse().expect("TRIBUTARY_CLUSTER_SEED is a number"),
        Err(_) => fastrand::u64(..) >> 16,
    };
    say(format!("TRIBUTARY_CLUSTER_SEED={seed}"));
    let mut rng = fastrand::Rng::with_seed(seed);
    let started = Instant::now();
    // Dropped last: while the nodes end, their services are there.
    let _restored = Restored::new(&services);

    let nodes = Nodes::start(&services, seed).await;
    let world = World::new(services, nodes, &[&BELLS[..], &WHISPERS, &[LISTENER]].concat()).await;
    let run = Run { world, freshness: Freshness::default(), seen: Seen::default(), started };
    run.begin(&mut rng).await;
    for fault in chosen(&mut rng) {
        run.meet(fault, &mut rng).await;
    }
    run.replay(&mut rng).await;
    run.world.nodes.check_logs();
    say(format!("acknowledged on one node, {} on the other, all in all", run.freshness.all()));
    run.seen.check();
    run.world.nodes.remove(&run.world.services).await;
    say(format!("{:.1} s", started.elapsed().as_secs_f64()));
}

/// The faults in an order by the dice, or those that were asked for.
fn chosen(rng: &mut fastrand::Rng) -> Vec<Fault> {
    let mut faults = Fault::ALL.to_vec();
    rng.shuffle(&mut faults);
    let Ok(names) = std::env::var("TRIBUTARY_CLUSTER_FAULTS") else { return faults };
    let named = |name: &str| {
        let fault = Fault::ALL.into_iter().find(|fault| format!("{fault:?}") == name.trim());
        fault.unwrap_or_else(|| panic!("{name} is none of {:?}", Fault::ALL))
    };
    names.split(',').filter(|name| !name.trim().is_empty()).map(named).collect()
}

struct Run {
    world: World,
    freshness: Freshness,
    seen: Seen,
    started: Instant,
}

impl Run {
    /// Load with nothing away, until there is something to lose.
    async fn begin(&self, rng: &mut fastrand::Rng) {
        self.world.enter("the beginning");
        for author in BELLS.iter().chain(&WHISPERS) {
            self.follow(author, rng).await;
        }
        self.load(rng, async |_| tokio::time::sleep(Duration::from_secs(6)).await).await;
        self.settle(rng).await;
        Snapshot::take(&self.world).await;
    }

    /// Bells are followed by everybody, whispers by the listener.
    async fn follow(&self, author: &str, rng: &mut fastrand::Rng) {
        let user = self.world.user(author).id;
        let heard = |handle: &str| handle != author && (BELLS.contains(&author) || handle == LISTENER);
        for follower in self.world.users.iter().filter(|follower| heard(&follower.handle)) {
            let follow = Command::Follow { user, limit: 0 };
            writers::command_until_done(&self.world, follower, follow, self.world.next_number(), 0, rng).await;
        }
    }

    async fn meet(&self, fault: Fault, rng: &mut fastrand::Rng) {
        self.world.enter(&format!("{fault:?}"));
        let world = &self.world;
        match fault {
            Fault::PostgresRestored => {
                let backup = Backup::take(world).await;
                self.load(rng, async |rng| {
                    tokio::time::sleep(LOST).await;
                    backup.restore_under_load(world, rng).await;
                    any_moment(rng, LOAD_MS_MAX).await;
                })
                .await;
            }
            Fault::PostgresRestoredUnseen => {
                let backup = Backup::take(world).await;
                self.load(rng, async |_| tokio::time::sleep(LOST).await).await;
                backup.restore_unseen(world, rng).await;
                self.settle(rng).await;
                self.load(rng, async |rng| any_moment(rng, LOAD_MS_MAX).await).await;
            }
            _ => {
                self.load(rng, async |rng| {
                    any_moment(rng, LOAD_MS_MAX).await;
                    fault.strike(world, rng).await;
                    any_moment(rng, LOAD_MS_MAX).await;
                })
                .await;
            }
        }
        self.settle(rng).await;
        fault.heal_late(world).await;
    }

    /// Everything that the log says, said again, and every cache lost: nothing changes.
    async fn replay(&self, rng: &mut fastrand::Rng) {
        let world = &self.world;
        world.enter("everything anew");
        world.nodes.all().for_each(nodes::Node::kill);
        for shard in 0..services::SHARDS.len() {
            world.services.flush_all(shard).await;
        }
        for node in world.nodes.all() {
            node.start().await;
        }
        self.settle(rng).await;

        world.enter("messages that came again");
        self.load(rng, async |rng| {
            let repeated = topic::repeat_messages(world, REPEATED_MESSAGES).await;
            say(format!("  {repeated} messages published again"));
            any_moment(rng, LOAD_MS_MAX).await;
        })
        .await;
        self.settle(rng).await;
    }

    /// Load, as long as `story` goes on.
    async fn load(&self, rng: &mut fastrand::Rng, story: impl AsyncFnOnce(&mut fastrand::Rng)) {
        let world = &self.world;
        world.loading.set(true);
        let (mut writers, mut readers, mut probes, mut teller) = (rng.fork(), rng.fork(), rng.fork(), rng.fork());
        let story = async {
            story(&mut teller).await;
            world.loading.set(false);
        };
        futures::join!(
            writers::write(world, &mut writers),
            readers::read(world, &mut readers),
            self.freshness.measure(world, &mut probes),
            story,
        );
    }

    /// Nothing is open any more: everything is compared.
    async fn settle(&self, rng: &mut fastrand::Rng) {
        let loaded = self.started.elapsed().as_secs_f64();
        self.seen.look(&self.world).await;
        settle::compare(&self.world, rng).await;
        let posts = self.world.ledger.borrow().truth.post_ids().len();
        say(format!(
            "{:7.1} s {}: {}; {posts} posts, compared in {:.1} s",
            self.started.elapsed().as_secs_f64(),
            self.world.phase(),
            self.freshness.phase(),
            self.started.elapsed().as_secs_f64() - loaded,
        ));
    }
}

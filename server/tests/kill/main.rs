//! kill -9 at random points of a write load, again and again on the same folder (law 7): every acknowledged command
//! is there afterwards, every other one wholly or not at all, and a retry with its key settles it.
//!
//! `TRIBUTARY_KILL_SEED` repeats the choices of a run (not its moments); `TRIBUTARY_KILL_ROUNDS` (default 20) says
//! how often the server is killed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod clients;
mod found;
mod node;

use std::time::{Duration, Instant};

use clients::Clients;
use node::Home;

/// A server is killed after it has served writes for this long at the most.
const LOAD_MS_MAX: u64 = 700;
/// Every reader's home timeline is read to its end in the last round, those of so many readers in the others.
const SAMPLED_READERS: usize = 6;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

#[tokio::test]
async fn what_was_acknowledged_outlives_a_kill_and_a_retry_settles_the_rest() {
    let seed = setting("TRIBUTARY_KILL_SEED").unwrap_or_else(|| fastrand::u64(..) >> 16);
    let rounds = setting("TRIBUTARY_KILL_ROUNDS").unwrap_or(20);
    println!("TRIBUTARY_KILL_SEED={seed}");
    let (mut rng, started) = (fastrand::Rng::with_seed(seed), Instant::now());

    let home = Home::new();
    let node = home.start().await;
    let mut clients = Clients::sign_in(node.address, &mut rng).await;
    node.kill();
    for round in 1..=rounds {
        let node = home.start().await;
        clients.reconnect(node.address);
        clients.settle(SAMPLED_READERS).await;
        let moment = Duration::from_micros(rng.u64(1_000..LOAD_MS_MAX * 1_000));
        let kill = async {
            // Not a wait for something: the moment is to be any.
            tokio::time::sleep(moment).await;
            node.kill();
        };
        clients.load(kill).await;
        println!("round {round}: killed after {moment:?}; {}", clients.told());
    }
    // Once more, so that what the last retries did must outlive a kill as well.
    for _ in 0..2 {
        let node = home.start().await;
        clients.reconnect(node.address);
        clients.settle(usize::MAX).await;
        node.kill();
    }
    println!("{rounds} kills in {:.1} s; {}", started.elapsed().as_secs_f64(), clients.told());
}

//! How soon a post that one node has acknowledged is visible on the other. The bells are followed by everybody, so
//! hot; the whispers by the listener alone. A bell and a whisper for each way.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use tributary_engine::model::Command;

use crate::common::{post_id, text};
use crate::weather::VISIBLE_WITHIN;
use crate::world::{LOOK_EVERY, World};
use crate::writers::command_until_done;

pub const BELLS: [&str; 2] = ["bell_0", "bell_1"];
pub const WHISPERS: [&str; 2] = ["whisper_0", "whisper_1"];
pub const LISTENER: &str = "listener";
const PAUSE_MS: std::ops::Range<u64> = 20..80;

/// Times from the acknowledgement on one node to being seen on the other.
#[derive(Default)]
pub struct Freshness {
    /// Of this phase, while the store and the other node were there all the time.
    calm: RefCell<Vec<Duration>>,
    /// Of this phase, while one was away: from its return on.
    stormy: RefCell<Vec<Duration>>,
    all: RefCell<Vec<Duration>>,
}

impl Freshness {
    /// Posts on one node and looks on the other, in both directions, as long as there is load.
    pub async fn measure(&self, world: &World, rng: &mut fastrand::Rng) {
        let ways = [0, 1].map(|from| self.one_way(world, from, rng.fork()));
        futures::future::join_all(ways).await;
    }

    async fn one_way(&self, world: &World, from: usize, mut rng: fastrand::Rng) {
        while world.loading.get() {
            let author = world.user([BELLS, WHISPERS][rng.usize(..2)][from]);
            let (number, restored) = (world.next_number(), world.weather.restored.get());
            let command = Command::Publish { text: text(number, &mut rng) };
            let (node, reply) = command_until_done(world, author, command, number, from, &mut rng).await;
            let (post, acknowledged) = (post_id(&reply.json()), Instant::now());
            let listener = world.user(LISTENER);
            loop {
                // What was acknowledged before the store went back is gone.
                if world.weather.restored.get() != restored || world.weather.changing.get() {
                    break;
                }
                let seen = world.ask(listener, 1 - node, |session| session.get("/v1/feed?limit=10")).await;
                let counts_from = world.weather.counts_from(1 - node, acknowledged);
                let seen = seen.map(|reply| reply.expect(200).json());
                if seen.is_some_and(|page| page["items"].as_array().unwrap().iter().any(|item| post_id(item) == post)) {
                    // What was visible although something was away says nothing about how soon.
                    if let Some(from) = counts_from {
                        let times = if from == acknowledged { &self.calm } else { &self.stormy };
                        times.borrow_mut().push(from.elapsed());
                    }
                    break;
                }
                let late = counts_from.is_some_and(|from| from.elapsed() > VISIBLE_WITHIN);
                assert!(!late, "during {}: {post} of api-{node} is not visible on api-{}", world.phase(), 1 - node);
                tokio::time::sleep(LOOK_EVERY).await;
            }
            tokio::time::sleep(Duration::from_millis(rng.u64(PAUSE_MS))).await;
        }
    }

    /// The figures of the phase, which ends.
    pub fn phase(&self) -> String {
        let (mut calm, mut stormy) = (self.calm.take(), self.stormy.take());
        self.all.borrow_mut().extend(&calm);
        let stormy =
            if stormy.is_empty() { String::new() } else { format!("; after an outage {}", figures(&mut stormy)) };
        format!("visible after {}{stormy}", figures(&mut calm))
    }

    /// The figures of all phases, without what was waiting for store or log.
    pub fn all(&self) -> String {
        figures(&mut self.all.borrow_mut())
    }
}

fn figures(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let ms = |part: f64| {
        let place = ((times.len() as f64 * part) as usize).min(times.len().saturating_sub(1));
        times.get(place).map_or("?".to_owned(), |time| format!("{:.0}", time.as_secs_f64() * 1_000.0))
    };
    format!("p50 {} ms, p99 {} ms, at most {} ms ({} posts)", ms(0.5), ms(0.99), ms(1.0), times.len())
}

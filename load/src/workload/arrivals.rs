//! When jobs come: Poisson arrivals, drawn from the seed by a thread of their own, so that a busy client does not
//! delay what it should send. The same seed gives the same jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fastrand::Rng;

use super::cast::Cast;
use super::mix::{Deed, Mix};
use super::queue::{Job, Queue};

/// How often the celebrity of a `burst` posts, and how many posts at once.
const BURST_EVERY: Duration = Duration::from_secs(5);
const BURST_POSTS: u64 = 10;

/// What to draw.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// What is done how often.
    pub mix: Mix,
    /// Posts a second.
    pub posts_per_second: f64,
    /// How long.
    pub length: Duration,
    /// What everything is drawn from.
    pub seed: u64,
}

impl Schedule {
    /// The jobs in the order of their times, counted from `start`.
    pub fn jobs(self, cast: &Cast, start: Instant) -> impl Iterator<Item = Job> {
        let mut rng = Rng::with_seed(self.seed);
        let rate = self.posts_per_second * self.mix.deeds_per_post();
        let mut celebrity_at = if self.mix == Mix::Burst { BURST_EVERY.as_secs_f64() } else { f64::INFINITY };
        let mut celebrity_posts = 0;
        let mut next = step(&mut rng, rate);
        std::iter::from_fn(move || {
            let dice = rng.u64(..);
            let at = next.min(celebrity_at);
            let (deed, who) = if celebrity_at <= next {
                celebrity_posts += 1;
                if celebrity_posts % BURST_POSTS == 0 {
                    celebrity_at += BURST_EVERY.as_secs_f64();
                }
                (Deed::Post, cast.celebrity)
            } else {
                next += step(&mut rng, rate);
                let deed = self.mix.draw(&mut rng);
                let who = if deed == Deed::Post { cast.draw_author(&mut rng) } else { cast.draw_reader(&mut rng) };
                (deed, who)
            };
            let after = Duration::from_secs_f64(at);
            (after < self.length).then(|| Job { at: start + after, deed, who, dice })
        })
    }

    /// Begins to put jobs into `queue`, and closes it at the end.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(self, cast: Arc<Cast>, queue: Arc<Queue>) -> Result<Arrivals> {
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let arrive = move || {
            for job in self.jobs(&cast, Instant::now()) {
                // The system wakes a thread closer to the time than the runtime's timer does.
                while let Some(left) = job.at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    thread::park_timeout(left);
                }
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                queue.push(job);
            }
            queue.close();
        };
        let thread = thread::Builder::new().name("arrivals".to_owned()).spawn(arrive);
        Ok(Arrivals { stopped, thread: thread.context("starting the thread that draws arrivals")? })
    }
}

/// Seconds to the next arrival.
fn step(rng: &mut Rng, rate: f64) -> f64 {
    -(1.0 - rng.f64()).ln() / rate
}

/// The running thread.
pub struct Arrivals {
    stopped: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Arrivals {
    /// No more jobs come.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Sample;
    use crate::world::World;
    use crate::world::made::{Recipe, make};

    fn cast() -> Cast {
        let folder = tempfile::TempDir::new().unwrap();
        make(Recipe { users: 500, seed: 1, mean_follows: Some(10.0) }, folder.path()).unwrap();
        let world = World::open(folder.path()).unwrap();
        Cast::read(&world, Mix::Natural, 1_000, 1, &mut Sample::none()).unwrap()
    }

    #[test]
    fn arrivals_have_their_rate_and_are_the_same_for_a_seed() {
        let (cast, start) = (cast(), Instant::now());
        let schedule = Schedule { mix: Mix::Natural, posts_per_second: 20.0, length: Duration::from_secs(20), seed: 9 };
        let jobs: Vec<Job> = schedule.jobs(&cast, start).collect();
        assert!(jobs.is_sorted_by_key(|job| job.at));
        assert!((19_500..21_500).contains(&jobs.len()), "{}", jobs.len());
        assert!(schedule.jobs(&cast, start).eq(jobs.iter().copied()));
        let other = Schedule { seed: 10, ..schedule };
        assert!(!other.jobs(&cast, start).eq(jobs.iter().copied()));
    }

    #[test]
    fn a_celebrity_posts_in_bursts() {
        let (cast, start) = (cast(), Instant::now());
        let schedule = Schedule { mix: Mix::Burst, posts_per_second: 1.0, length: Duration::from_secs(11), seed: 9 };
        let at = |seconds| start + Duration::from_secs(seconds);
        let bursts = |seconds| schedule.jobs(&cast, start).filter(|job| job.at == at(seconds)).count() as u64;
        assert_eq!((bursts(5), bursts(10)), (BURST_POSTS, BURST_POSTS));
    }

    #[test]
    fn a_stopped_thread_ends_the_queue() {
        let queue = Arc::new(Queue::default());
        let schedule =
            Schedule { mix: Mix::Natural, posts_per_second: 1e-9, length: Duration::from_secs(3_600), seed: 1 };
        // The next job is years away, and beyond the end.
        let schedule = Schedule { length: Duration::from_secs(1 << 40), ..schedule };
        let arrivals = schedule.start(Arc::new(cast()), Arc::clone(&queue)).unwrap();
        arrivals.stop();
        arrivals.thread.join().unwrap();
        assert_eq!(queue.waiting(), 0);
    }
}

//! The open loop: jobs come at the times that were drawn for them, whether or not earlier ones are answered, and wait
//! in a bounded queue for a connection (law 9). Where it is full the oldest job falls out, and is counted with its
//! wait: a slow server cannot slow down what is asked of it, nor hide what was not.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Semaphore;

use super::mix::Deed;

/// Jobs that wait for a connection, at the most.
pub const WAITING_MAX: usize = 10_000;

/// A deed with everything that was drawn for it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Job {
    /// When it should be done: latency counts from here.
    pub at: Instant,
    /// What to do.
    pub deed: Deed,
    /// Index of the user who does it.
    pub who: u32,
    /// Whatever else has to be chosen follows from this.
    pub dice: u64,
}

/// Jobs from the thread that draws them to the connections that do them.
pub struct Queue {
    /// As many permits as there are waiting jobs.
    waiting: Semaphore,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    jobs: VecDeque<Job>,
    /// Those that fell out, until somebody counts them.
    missed: Vec<Job>,
}

impl Default for Queue {
    /// An empty one.
    fn default() -> Self {
        Self { waiting: Semaphore::new(0), inner: Mutex::default() }
    }
}

impl Queue {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job; the oldest falls out if there are too many.
    pub fn push(&self, job: Job) {
        let mut inner = self.inner();
        inner.jobs.push_back(job);
        if inner.jobs.len() > WAITING_MAX {
            let oldest = inner.jobs.pop_front().expect("there is more than one");
            inner.missed.push(oldest);
        } else {
            self.waiting.add_permits(1);
        }
    }

    /// The next job, once there is one; none when the queue is closed and all are given out.
    pub async fn next(&self) -> Option<Job> {
        if let Ok(permit) = self.waiting.acquire().await {
            permit.forget();
        }
        self.inner().jobs.pop_front()
    }

    /// Says that no more jobs come.
    pub fn close(&self) {
        self.waiting.close();
    }

    /// How many jobs wait.
    pub fn waiting(&self) -> usize {
        self.inner().jobs.len()
    }

    /// Takes the jobs that fell out since the last call.
    pub fn take_missed(&self) -> Vec<Job> {
        std::mem::take(&mut self.inner().missed)
    }

    /// Takes all jobs that wait: nobody will do them.
    pub fn take_waiting(&self) -> Vec<Job> {
        self.inner().jobs.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(dice: u64) -> Job {
        Job { at: Instant::now(), deed: Deed::Post, who: 0, dice }
    }

    #[tokio::test]
    async fn jobs_come_in_order_and_end_with_the_queue() {
        let queue = Queue::default();
        (0..3).for_each(|dice| queue.push(job(dice)));
        assert_eq!(queue.next().await.unwrap().dice, 0);
        queue.close();
        assert_eq!(queue.next().await.unwrap().dice, 1);
        assert_eq!(queue.next().await.unwrap().dice, 2);
        assert_eq!(queue.next().await, None);
    }

    #[tokio::test]
    async fn a_full_queue_counts_the_oldest_as_missed() {
        let queue = Queue::default();
        (0..WAITING_MAX as u64 + 2).for_each(|dice| queue.push(job(dice)));
        assert_eq!(queue.take_missed().iter().map(|job| job.dice).collect::<Vec<_>>(), [0, 1]);
        assert_eq!((queue.waiting(), queue.take_missed().len()), (WAITING_MAX, 0));
        assert_eq!(queue.next().await.unwrap().dice, 2);
    }
}

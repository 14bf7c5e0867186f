//! How many live streams there may be: of a user, and of all in this process (law 9).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use rustc_hash::FxHashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tributary_engine::model::UserId;

use crate::http::problem::Fault;
use crate::http::settings::Bounds;

/// Seconds after which a user with too many streams may try again.
const RETRY_AFTER_S: u64 = 10;

/// The live streams of a process.
pub struct Streams {
    free: Arc<Semaphore>,
    most: usize,
    most_of_user: usize,
    of_users: Arc<Mutex<FxHashMap<UserId, usize>>>,
}

impl Streams {
    /// None so far.
    pub fn new(bounds: &Bounds) -> Self {
        let most = bounds.live_streams;
        let free = Arc::new(Semaphore::new(most));
        Self { free, most, most_of_user: bounds.live_streams_of_user, of_users: Arc::default() }
    }

    /// Room for a stream of a user, whose `kind` metrics name.
    pub fn take(&self, user: UserId, kind: &'static str) -> Result<Seat, Fault> {
        let free = Arc::clone(&self.free).try_acquire_owned();
        let free = free.map_err(|_| Fault::unavailable("as many live streams as there may be"))?;
        let mut of_users = locked(&self.of_users);
        let of_user = of_users.entry(user).or_default();
        if *of_user >= self.most_of_user {
            let detail = format!("a user has {} live streams at the most", self.most_of_user);
            let fault = Fault::new(StatusCode::TOO_MANY_REQUESTS, "too_many_streams", detail);
            return Err(fault.with(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S)));
        }
        *of_user += 1;
        drop(of_users);
        let gauge = metrics::gauge!("live_streams", "kind" => kind);
        gauge.increment(1);
        Ok(Seat { user, of_users: Arc::clone(&self.of_users), gauge, _free: free })
    }

    /// Returns once there is no stream any more.
    pub async fn ended(&self) {
        let all = u32::try_from(self.most).expect("a process has fewer than 2^32 streams");
        let _all = self.free.acquire_many(all).await.expect("the semaphore is never closed");
    }
}

fn locked(of_users: &Mutex<FxHashMap<UserId, usize>>) -> MutexGuard<'_, FxHashMap<UserId, usize>> {
    of_users.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The room of one stream, until it is dropped.
pub struct Seat {
    user: UserId,
    of_users: Arc<Mutex<FxHashMap<UserId, usize>>>,
    gauge: metrics::Gauge,
    _free: OwnedSemaphorePermit,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.gauge.decrement(1);
        let mut of_users = locked(&self.of_users);
        if let Some(of_user) = of_users.get_mut(&self.user) {
            *of_user -= 1;
            if *of_user == 0 {
                of_users.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_seat_is_free_again_once_its_stream_has_ended() {
        let streams = Streams::new(&Bounds { live_streams: 3, live_streams_of_user: 2, ..Bounds::default() });
        let (ann, ben) = (UserId(1), UserId(2));
        let first = streams.take(ann, "sse").unwrap();
        let _second = streams.take(ann, "sse").unwrap();
        assert_eq!(streams.take(ann, "sse").err().unwrap().into_answer().status(), 429);
        let third = streams.take(ben, "sse").unwrap();
        assert_eq!(streams.take(ben, "sse").err().unwrap().into_answer().status(), 503);
        drop((first, third));
        assert!(streams.take(ann, "sse").is_ok());
        assert_eq!(locked(&streams.of_users).len(), 1, "nobody is remembered who has no stream");
    }
}

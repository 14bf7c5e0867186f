//! Rate limits, in process (laws 8 and 9): the generic cell rate algorithm, one number a caller, in a bounded
//! cache. Forgetting a caller forgives it; under a flood of callers that is the harmless side to err on.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use tributary_engine::model::UserId;

use super::problem::Fault;

/// Callers that are remembered at the most, of each kind.
const CALLERS: u64 = 100_000;

/// The limits of one process.
pub struct Limits {
    started: Instant,
    users: Option<Rate<UserId>>,
    addresses: Option<Rate<IpAddr>>,
    posts: Option<Rate<UserId>>,
}

impl Limits {
    /// 0: no limit.
    pub fn new(requests_per_second: u32, posts_per_minute: u32) -> Self {
        let second = Duration::from_secs(1);
        let posts = u64::from(posts_per_minute);
        let requests = |n: u32| (n > 0).then(|| (u64::from(n), second, 2 * u64::from(n)));
        Self {
            started: Instant::now(),
            users: requests(requests_per_second).map(Rate::new),
            addresses: requests(requests_per_second).map(Rate::new),
            posts: (posts_per_minute > 0).then(|| Rate::new((posts, second * 60, posts))),
        }
    }

    /// Counts a request of a user.
    pub fn user(&self, user: UserId) -> Result<(), Fault> {
        self.charge(self.users.as_ref(), user)
    }

    /// Counts a request from an address, by nobody we know.
    pub fn address(&self, address: IpAddr) -> Result<(), Fault> {
        self.charge(self.addresses.as_ref(), address)
    }

    /// Counts a post.
    pub fn post(&self, user: UserId) -> Result<(), Fault> {
        self.charge(self.posts.as_ref(), user)
    }

    fn charge<K: Hash + Eq + Send + Sync + 'static>(&self, rate: Option<&Rate<K>>, key: K) -> Result<(), Fault> {
        let Some(rate) = rate else { return Ok(()) };
        let now = self.started.elapsed();
        rate.charge(key, now).map_err(|wait| Fault::too_often(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)))
    }
}

/// `count` in `period` on the average, `burst` at once.
struct Rate<K> {
    /// When each caller will have paid for all it did, in nanoseconds since the start.
    paid: Cache<K, Arc<AtomicU64>>,
    cost_ns: u64,
    burst_ns: u64,
}

impl<K: Hash + Eq + Send + Sync + 'static> Rate<K> {
    fn new((count, period, burst): (u64, Duration, u64)) -> Self {
        let cost_ns = (period.as_nanos() as u64 / count).max(1);
        let burst_ns = cost_ns.saturating_mul(burst);
        // A caller that was idle for a whole burst has paid for everything: nothing is lost by forgetting it.
        let idle = Duration::from_nanos(burst_ns) + Duration::from_secs(1);
        Self { paid: Cache::builder().max_capacity(CALLERS).time_to_idle(idle).build(), cost_ns, burst_ns }
    }

    /// `now`: since the start. Refused: how long to wait.
    fn charge(&self, key: K, now: Duration) -> Result<(), Duration> {
        let now = now.as_nanos() as u64;
        let paid = self.paid.get_with(key, || Arc::new(AtomicU64::new(0)));
        let after = |paid: u64| paid.max(now).saturating_add(self.cost_ns);
        let allowed = now.saturating_add(self.burst_ns);
        paid.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |paid| {
            Some(after(paid)).filter(|&next| next <= allowed)
        })
        .map(drop)
        .map_err(|paid| Duration::from_nanos(after(paid).saturating_sub(allowed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds_and_callers_do_not_share() {
        let rate = Rate::new((10, Duration::from_secs(1), 20));
        let passed = (0..50).filter(|_| rate.charge(1, Duration::from_secs(5)).is_ok()).count();
        assert_eq!(passed, 20);
        assert_eq!(rate.charge(1, Duration::from_secs(5)), Err(Duration::from_millis(100)));
        assert_eq!(rate.charge(2, Duration::from_secs(5)), Ok(()));
        let later = (0..50).filter(|_| rate.charge(1, Duration::from_secs(6)).is_ok()).count();
        assert_eq!(later, 10);
    }

    #[test]
    fn no_limit_is_no_limit() {
        let limits = Limits::new(0, 0);
        assert!((0..10_000).all(|_| limits.user(UserId(1)).is_ok() && limits.post(UserId(1)).is_ok()));
    }
}

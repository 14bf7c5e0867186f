//! Rate limits (laws 8 and 9): the generic cell rate algorithm, one number a caller, in a bounded cache of this process
//! and, where nodes share their limits, in one place for all of them. Forgetting a caller forgives it; under a flood
//! of callers that is the harmless side to err on.
//!
//! This process decides first: whom it refuses alone is refused by all together, and costs the shared place nothing.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use moka::sync::Cache;
use tributary_engine::model::UserId;

use super::problem::Fault;

/// Callers that are remembered at the most, of each kind.
const CALLERS: u64 = 100_000;

/// Rates that nodes share.
#[async_trait]
pub trait SharedRates: Send + Sync + 'static {
    /// Counts one use of `key`, which costs `cost` of a time of which `burst` may be owed at once; refused: how long to
    /// wait. None where it cannot be told quickly: then this process decides alone (law 8).
    async fn charge(&self, key: &[u8], cost: Duration, burst: Duration) -> Option<Result<(), Duration>>;
}

/// The limits of one process.
pub struct Limits {
    started: Instant,
    users: Option<Rate<UserId>>,
    addresses: Option<Rate<IpAddr>>,
    posts: Option<Rate<UserId>>,
    shared: Option<Arc<dyn SharedRates>>,
}

impl Limits {
    /// 0: no limit.
    pub fn new(requests_per_second: u32, posts_per_minute: u32, shared: Option<Arc<dyn SharedRates>>) -> Self {
        let second = Duration::from_secs(1);
        let posts = u64::from(posts_per_minute);
        let requests = |n: u32| (n > 0).then(|| (u64::from(n), second, 2 * u64::from(n)));
        Self {
            started: Instant::now(),
            users: requests(requests_per_second).map(Rate::new),
            addresses: requests(requests_per_second).map(Rate::new),
            posts: (posts_per_minute > 0).then(|| Rate::new((posts, second * 60, posts))),
            shared,
        }
    }

    /// Counts a request of a user.
    pub async fn user(&self, user: UserId) -> Result<(), Fault> {
        self.charge(self.users.as_ref(), user, || format!("u{user}")).await
    }

    /// Counts a request from an address, by nobody we know.
    pub async fn address(&self, address: IpAddr) -> Result<(), Fault> {
        self.charge(self.addresses.as_ref(), address, || format!("a{address}")).await
    }

    /// Counts a post.
    pub async fn post(&self, user: UserId) -> Result<(), Fault> {
        self.charge(self.posts.as_ref(), user, || format!("p{user}")).await
    }

    async fn charge<K: Hash + Eq + Send + Sync + 'static>(
        &self,
        rate: Option<&Rate<K>>,
        key: K,
        shared_key: impl FnOnce() -> String,
    ) -> Result<(), Fault> {
        let Some(rate) = rate else { return Ok(()) };
        let mut charged = rate.charge(key, self.started.elapsed());
        if let (Ok(()), Some(shared)) = (&charged, &self.shared) {
            let (cost, burst) = (Duration::from_nanos(rate.cost_ns), Duration::from_nanos(rate.burst_ns));
            charged = shared.charge(shared_key().as_bytes(), cost, burst).await.unwrap_or(Ok(()));
        }
        charged.map_err(|wait| Fault::too_often(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)))
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

    #[tokio::test]
    async fn no_limit_is_no_limit() {
        let limits = Limits::new(0, 0, None);
        for _ in 0..10_000 {
            assert!(limits.user(UserId(1)).await.is_ok() && limits.post(UserId(1)).await.is_ok());
        }
    }

    /// Other nodes have used up what user 2 may do; of user 3 it cannot be told.
    struct Elsewhere;

    #[async_trait]
    impl SharedRates for Elsewhere {
        async fn charge(&self, key: &[u8], cost: Duration, burst: Duration) -> Option<Result<(), Duration>> {
            assert_eq!((cost, burst), (Duration::from_millis(100), Duration::from_secs(2)));
            match key {
                b"u2" => Some(Err(Duration::from_secs(1))),
                b"u3" => None,
                _ => Some(Ok(())),
            }
        }
    }

    #[tokio::test]
    async fn what_nodes_share_decides_where_it_can_be_told() {
        let limits = Limits::new(10, 0, Some(Arc::new(Elsewhere)));
        assert!(limits.user(UserId(1)).await.is_ok());
        assert!(limits.user(UserId(2)).await.is_err());
        let mut passed = 0;
        while limits.user(UserId(3)).await.is_ok() {
            passed += 1;
        }
        assert!(passed >= 20, "this process decides alone: {passed}");
    }
}

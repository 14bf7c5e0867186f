//! Rate limits (laws 8 and 9): the generic cell rate algorithm, one number a caller, in a bounded cache of this process
//! and, where nodes share their limits, in one place for all of them. Forgetting a caller forgives it; under a flood
//! of callers that is the harmless side to err on.
//!
//! This process decides first: whom it refuses alone is refused by all together, and costs the shared place nothing.
//! Whoever was counted is told where it stands, in the headers of the IETF's draft (`RateLimit-Policy`, `RateLimit`).

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use moka::sync::Cache;
use tributary_engine::model::UserId;

use super::problem::Fault;

/// Callers that are remembered at the most, of each kind.
const CALLERS: u64 = 100_000;
static POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static STATE: HeaderName = HeaderName::from_static("ratelimit");

/// Rates that nodes share.
#[async_trait]
pub trait SharedRates: Send + Sync + 'static {
    /// Counts one use of `key`, which costs `cost` of a time of which `burst` may be owed at once: how much may be owed
    /// still; refused: how long to wait. None where it cannot be told quickly: then this process decides alone (law 8).
    async fn charge(&self, key: &[u8], cost: Duration, burst: Duration) -> Option<Result<Duration, Duration>>;
}

/// What somebody who was counted is told: by which policy, and where that stands. Nothing where there is no limit.
#[derive(Debug, Default)]
pub struct Counted(Option<(HeaderValue, HeaderValue)>);

impl Counted {
    /// Tells it in the headers of an answer, beside what other limits told.
    pub fn tell(self, headers: &mut HeaderMap) {
        if let Some((policy, state)) = self.0 {
            headers.append(POLICY.clone(), policy);
            headers.append(STATE.clone(), state);
        }
    }

    /// The fault that tells it.
    pub fn told_by(self, fault: Fault) -> Fault {
        match self.0 {
            Some((policy, state)) => fault.with(POLICY.clone(), policy).with(STATE.clone(), state),
            None => fault,
        }
    }
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
            users: requests(requests_per_second).map(|rate| Rate::new("user", rate)),
            addresses: requests(requests_per_second).map(|rate| Rate::new("address", rate)),
            posts: (posts_per_minute > 0).then(|| Rate::new("posts", (posts, second * 60, posts))),
            shared,
        }
    }

    /// Counts a request of a user.
    pub async fn user(&self, user: UserId) -> Result<Counted, Fault> {
        self.charge(self.users.as_ref(), user, || format!("u{user}")).await
    }

    /// Counts a request from an address, by nobody we know.
    pub async fn address(&self, address: IpAddr) -> Result<Counted, Fault> {
        self.charge(self.addresses.as_ref(), address, || format!("a{address}")).await
    }

    /// Counts a post.
    pub async fn post(&self, user: UserId) -> Result<Counted, Fault> {
        self.charge(self.posts.as_ref(), user, || format!("p{user}")).await
    }

    async fn charge<K: Hash + Eq + Send + Sync + 'static>(
        &self,
        rate: Option<&Rate<K>>,
        key: K,
        shared_key: impl FnOnce() -> String,
    ) -> Result<Counted, Fault> {
        let Some(rate) = rate else { return Ok(Counted::default()) };
        let mut charged = rate.charge(key, self.started.elapsed());
        if let (Ok(left), Some(shared)) = (charged, &self.shared) {
            let (cost, burst) = (Duration::from_nanos(rate.cost_ns), Duration::from_nanos(rate.burst_ns));
            charged = shared.charge(shared_key().as_bytes(), cost, burst).await.unwrap_or(Ok(left));
        }
        match charged {
            Ok(left) => Ok(rate.told(left)),
            Err(wait) => Err(rate.told_to_wait(wait).told_by(Fault::too_often(seconds(wait)))),
        }
    }
}

/// Whole seconds, rounded up.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// `count` in `period` on the average, `burst` at once.
struct Rate<K> {
    name: &'static str,
    /// How many at once, and in how many seconds as many may follow.
    policy: HeaderValue,
    /// When each caller will have paid for all it did, in nanoseconds since the start.
    paid: Cache<K, Arc<AtomicU64>>,
    cost_ns: u64,
    burst_ns: u64,
}

impl<K: Hash + Eq + Send + Sync + 'static> Rate<K> {
    fn new(name: &'static str, (count, period, burst): (u64, Duration, u64)) -> Self {
        let cost_ns = (period.as_nanos() as u64 / count).max(1);
        let burst_ns = cost_ns.saturating_mul(burst);
        // A caller that was idle for a whole burst has paid for everything: nothing is lost by forgetting it.
        let idle = Duration::from_nanos(burst_ns) + Duration::from_secs(1);
        let policy = format!(r#""{name}";q={burst};w={}"#, seconds(Duration::from_nanos(burst_ns)));
        Self {
            name,
            policy: HeaderValue::try_from(policy).expect("a name and numbers are a header's value"),
            paid: Cache::builder().max_capacity(CALLERS).time_to_idle(idle).build(),
            cost_ns,
            burst_ns,
        }
    }

    /// With so much to owe still.
    fn told(&self, left: Duration) -> Counted {
        let left_ns = (left.as_nanos() as u64).min(self.burst_ns);
        self.tells(left_ns / self.cost_ns, Duration::from_nanos(self.burst_ns - left_ns))
    }

    fn told_to_wait(&self, wait: Duration) -> Counted {
        self.tells(0, wait)
    }

    /// So many remain, until there are more: where some are left, all of them.
    fn tells(&self, remaining: u64, until: Duration) -> Counted {
        let state = format!(r#""{}";r={remaining};t={}"#, self.name, seconds(until));
        let state = HeaderValue::try_from(state).expect("a name and numbers are a header's value");
        Counted(Some((self.policy.clone(), state)))
    }

    /// `now`: since the start. How much may be owed still; refused: how long to wait.
    fn charge(&self, key: K, now: Duration) -> Result<Duration, Duration> {
        let now = now.as_nanos() as u64;
        let paid = self.paid.get_with(key, || Arc::new(AtomicU64::new(0)));
        let after = |paid: u64| paid.max(now).saturating_add(self.cost_ns);
        let allowed = now.saturating_add(self.burst_ns);
        paid.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |paid| {
            Some(after(paid)).filter(|&next| next <= allowed)
        })
        .map(|paid| Duration::from_nanos(allowed.saturating_sub(after(paid))))
        .map_err(|paid| Duration::from_nanos(after(paid).saturating_sub(allowed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds_and_callers_do_not_share() {
        let rate = Rate::new("user", (10, Duration::from_secs(1), 20));
        let passed = (0..50).filter(|_| rate.charge(1, Duration::from_secs(5)).is_ok()).count();
        assert_eq!(passed, 20);
        assert_eq!(rate.charge(1, Duration::from_secs(5)), Err(Duration::from_millis(100)));
        assert_eq!(rate.charge(2, Duration::from_secs(5)), Ok(Duration::from_millis(1_900)));
        let later = (0..50).filter(|_| rate.charge(1, Duration::from_secs(6)).is_ok()).count();
        assert_eq!(later, 10);
    }

    #[tokio::test]
    async fn whoever_is_counted_is_told_where_it_stands() {
        let told = |counted: Counted| {
            let mut headers = HeaderMap::new();
            counted.tell(&mut headers);
            let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            (text(&POLICY), text(&STATE))
        };
        let some = |text: &str| Some(text.to_owned());
        let limits = Limits::new(1, 3, None);
        let policy = some(r#""user";q=2;w=2"#);
        assert_eq!(told(limits.user(UserId(1)).await.unwrap()), (policy.clone(), some(r#""user";r=1;t=1"#)));
        assert_eq!(told(limits.user(UserId(1)).await.unwrap()), (policy, some(r#""user";r=0;t=2"#)));
        assert!(limits.user(UserId(1)).await.is_err());
        let posts = told(limits.post(UserId(1)).await.unwrap());
        assert_eq!(posts, (some(r#""posts";q=3;w=60"#), some(r#""posts";r=2;t=20"#)));
        assert_eq!(told(Limits::new(0, 0, None).user(UserId(1)).await.unwrap()), (None, None));
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
        async fn charge(&self, key: &[u8], cost: Duration, burst: Duration) -> Option<Result<Duration, Duration>> {
            assert_eq!((cost, burst), (Duration::from_millis(100), Duration::from_secs(2)));
            match key {
                b"u2" => Some(Err(Duration::from_secs(1))),
                b"u3" => None,
                _ => Some(Ok(Duration::from_millis(500))),
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

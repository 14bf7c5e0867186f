//! One suite of laws for each port, the same for every adapter. A suite is many small named checks; each gets a
//! fresh adapter, and all of them run before the broken ones are named.

pub mod log;
pub mod shard;
pub mod store;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;

/// A check that takes longer hangs.
const CHECK_TIMEOUT: Duration = Duration::from_secs(120);

/// The checks of one suite that failed so far.
struct Verdict {
    suite: &'static str,
    broken: Vec<String>,
}

impl Verdict {
    fn new(suite: &'static str) -> Self {
        Self { suite, broken: Vec::new() }
    }

    /// Runs one check. A panic in it fails this check only; its message is printed where it happened.
    async fn hear(&mut self, law: &str, check: impl Future<Output = ()>) {
        match tokio::time::timeout(CHECK_TIMEOUT, AssertUnwindSafe(check).catch_unwind()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => self.broken.push(law.into()),
            Err(_) => self.broken.push(format!("{law} (hangs)")),
        }
    }

    fn give(self) {
        assert!(self.broken.is_empty(), "the {} breaks: {}", self.suite, self.broken.join(", "));
    }
}

/// Runs each named check on a fresh adapter that `$make` gives.
macro_rules! laws {
    ($suite:literal, $make:ident, $($($module:ident)::+),+ $(,)?) => {{
        let mut verdict = $crate::testkit::contract::Verdict::new($suite);
        $(
            verdict.hear(&[$(stringify!($module)),+].join("::"), async { $($module)::+($make().await).await }).await;
        )+
        verdict.give();
    }};
}
use laws;

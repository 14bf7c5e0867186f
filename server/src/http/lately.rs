//! What is found out at most once in a while, however many ask: nobody counts probes, so a flood of them must cost no
//! more than a few (law 9), or it takes from those it asks about what they need to answer.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// What was found last.
pub struct Lately<T> {
    found: Mutex<Option<(Instant, T)>>,
    good_for: Duration,
}

impl<T: Clone> Lately<T> {
    /// Nothing yet; what will be found is good for so long.
    pub fn new(good_for: Duration) -> Self {
        Self { found: Mutex::new(None), good_for }
    }

    /// What was found last, if that is good still, else what `find` finds. One looks; whoever asks meanwhile waits for
    /// it.
    pub async fn get(&self, find: impl Future<Output = T>) -> T {
        let mut last = self.found.lock().await;
        if let Some((at, found)) = &*last
            && at.elapsed() < self.good_for
        {
            return found.clone();
        }
        let found = find.await;
        *last = Some((Instant::now(), found.clone()));
        found
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_looks_for_all_and_what_it_finds_is_good_for_a_while() {
        let second = Duration::from_secs(1);
        let (lately, looked) = (Lately::new(second), AtomicU64::new(0));
        let ask = || {
            lately.get(async {
                tokio::time::sleep(3 * second).await;
                looked.fetch_add(1, Ordering::Relaxed) + 1
            })
        };
        assert_eq!(join_all((0..100).map(|_| ask())).await, [1; 100]);
        tokio::time::advance(second / 2).await;
        assert_eq!(ask().await, 1);
        tokio::time::advance(second / 2).await;
        assert_eq!(join_all((0..100).map(|_| ask())).await, [2; 100]);
        // Whoever goes away while it looks leaves that to the next.
        tokio::time::advance(second).await;
        assert!(tokio::time::timeout(second, ask()).await.is_err());
        assert_eq!(ask().await, 3);
    }
}

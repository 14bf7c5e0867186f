//! What is away, and since when: what a node may answer, and what must be visible by now, depends on it.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

/// From the acknowledgement, or from the return of the store, to where everybody must see it, whether or not the log is
/// there. What is usual is measured ([`freshness`](crate::freshness)); this only tells slow from never on a machine that
/// has other things to do.
pub const VISIBLE_WITHIN: Duration = Duration::from_secs(5);
/// For so long after the store is back and confirmed a node may still say 503: it connects anew.
const STORE_SLACK: Duration = Duration::from_secs(2);

/// One thing that may be away.
#[derive(Default)]
pub struct Away {
    since: Cell<Option<Instant>>,
    last: Cell<Option<(Instant, Instant)>>,
}

impl Away {
    /// It goes.
    pub fn goes(&self) {
        if self.since.get().is_none() {
            self.since.set(Some(Instant::now()));
        }
    }

    /// It is back.
    pub fn is_back(&self) {
        if let Some(since) = self.since.take() {
            self.last.set(Some((since, Instant::now())));
        }
    }

    /// Whether it is away now.
    pub fn is_away(&self) -> bool {
        self.since.get().is_some()
    }

    /// Whether it was away at some time after `from`, or within `slack` before.
    pub fn was_away(&self, from: Instant, slack: Duration) -> bool {
        self.is_away() || self.last.get().is_some_and(|(_, end)| end + slack >= from)
    }

    /// When it came back last.
    fn back_at(&self) -> Option<Instant> {
        self.last.get().map(|(_, end)| end)
    }

    /// The moment before which everything must be visible now, as far as this is concerned.
    fn horizon(&self, now: Instant) -> Instant {
        let usual = now.checked_sub(VISIBLE_WITHIN).unwrap_or(now);
        let before = |start: Instant| start.checked_sub(VISIBLE_WITHIN).unwrap_or(start);
        match (self.since.get(), self.last.get()) {
            (Some(start), Some((last, end))) if end + VISIBLE_WITHIN > start => usual.min(before(last)),
            (Some(start), _) => usual.min(before(start)),
            (None, Some((start, end))) if end + VISIBLE_WITHIN > now => usual.min(before(start)),
            (None, _) => usual,
        }
    }
}

/// All that may be away.
#[derive(Default)]
pub struct Weather {
    /// PostgreSQL, until its history is confirmed.
    pub store: Away,
    /// The nodes that serve.
    pub nodes: [Away; 2],
    /// Times that the store went back to an older state.
    pub restored: Cell<u64>,
    /// Whether it has just gone back, and not all nodes need to know.
    pub changing: Cell<bool>,
    /// What is done now, for messages.
    pub phase: RefCell<String>,
}

impl Weather {
    /// Whether 503 may be the answer to a request sent at `from` that ends now.
    pub fn excuses_503(&self, from: Instant) -> bool {
        self.store.was_away(from, STORE_SLACK)
    }

    /// Whether 503 may still be an answer.
    pub fn is_stormy(&self) -> bool {
        self.excuses_503(Instant::now())
    }

    /// Whether a connection to a node may break that was used at `from`.
    pub fn excuses_silence(&self, node: usize, from: Instant) -> bool {
        self.nodes[node].was_away(from, Duration::ZERO)
    }

    /// The moment before which everything acknowledged must be visible everywhere now.
    pub fn horizon(&self) -> Instant {
        self.store.horizon(Instant::now())
    }

    /// When waiting for what was acknowledged at `from` to be visible on `node` began to count; none: not yet.
    pub fn counts_from(&self, node: usize, from: Instant) -> Option<Instant> {
        let all = [&self.store, &self.nodes[node]];
        if all.iter().any(|away| away.is_away()) {
            return None;
        }
        all.iter().filter_map(|away| away.back_at()).chain([from]).max()
    }
}

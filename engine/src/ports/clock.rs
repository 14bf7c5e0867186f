//! Where times come from: the system, or a test's hand. A closed enum, for there are just these two.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::Millis;

/// A source of wall-clock time.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's clock. It may step back; nothing relies on it for order.
    #[default]
    System,
    /// A clock that stands still until a test moves it (Unix milliseconds).
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The time now.
    pub fn now(&self) -> Millis {
        match self {
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Millis(since.as_millis() as u64)
            }
            Self::Manual(ms) => Millis(ms.load(Ordering::Relaxed)),
        }
    }
}

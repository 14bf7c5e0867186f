//! Verification of a run: what sampled readers are served is compared with what the world and the acknowledged
//! commands say (law 1), by code that knows nothing of windows, rings or stores.
//!
//! Before the run, readers are sampled while the world is read ([`Sample`]) and the server is asked whether it holds
//! this world ([`fits`]). During the run acknowledged commands are noted ([`Ledger`]) and first pages of the sampled
//! readers are kept ([`observe`]); after it their whole timelines. When all answers are known, each is judged
//! ([`judge`]). Beside this a probe measures how soon posts are seen ([`probe`]).

pub mod failure;
pub mod fits;
pub mod judge;
pub mod ledger;
pub mod observe;
pub mod probe;
pub mod sample;
mod watch;

pub use ledger::Ledger;
pub use sample::{Reader, Sample};
pub use watch::{Bounds, Watch};

use std::time::Duration;

/// When an acknowledged command of somebody else has to be seen, at the latest. How soon it is seen is measured by
/// the probe; this only tells late from lost.
pub const SEEN_WITHIN: Duration = Duration::from_secs(5);

/// A text, as it is compared: texts are not kept.
pub fn text_hash(text: &str) -> u64 {
    use std::hash::Hasher;
    let mut hasher = rustc_hash::FxHasher::default();
    hasher.write(text.as_bytes());
    hasher.finish()
}

//! Work in the background: the relay numbers and publishes, the follower applies the log to a node's caches, the
//! flush compacts posts into windows for the worker's share of the readers, checkpoints are saved, the popular posts are
//! copied to where other nodes find them, the janitor takes away what nobody needs.
//!
//! Each piece can be driven step by step (tests do) or run on its own. None of it is ever waited for by a command,
//! and none of it has to keep up for a read to be right (laws 2 and 8).

mod checkpoint;
mod flush;
mod follower;
mod group;
mod janitor;
mod memory;
mod popular;
mod relay;
mod share;

pub use checkpoint::{CheckpointQueue, Checkpointer};
pub use flush::{Flush, FlushState};
pub use follower::Follower;
pub use group::{Audience, Group, Posts};
pub use janitor::Janitor;
pub use memory::Memory;
pub use popular::PopularCopy;
pub use relay::Relay;
pub use share::Share;

/// Tells the work in the background to end: true once it should.
pub type Stop = tokio::sync::watch::Receiver<bool>;

/// Returns once `stop` says so (or nobody can say so any more).
pub(crate) async fn stopped(stop: &mut Stop) {
    let _ = stop.wait_for(|stop| *stop).await;
}

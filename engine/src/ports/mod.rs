//! The three ports: what the engine asks of the world around it. Methods are whole units of work; no
//! transaction handle, query or connection crosses a port. Each has a contract suite in
//! [`testkit`](crate::testkit), the same for every adapter, and a seeded faulty decorator.

mod clock;
mod log;
mod shard;
mod store;

pub use clock::Clock;
pub use log::{Log, LogError, LogReader};
pub use shard::{SegmentBatch, Shard, ShardError, ShardState};
pub use store::{
    CommitError, Followers, ImportedPost, ImportedUser, ListedTuning, Removable, Store, StoreError, UserList,
};

//! The recent ring: a node's in-memory tail of the log, chained by author, and the merge that reads it.
//!
//! Rests on law 4 (a reader may be told an entry twice) and law 9 (bounded in bytes). One writer, the log's
//! follower; any number of readers, without locks.

mod authors;
mod logged;
#[cfg(all(test, tributary_loom))]
mod loom_tests;
mod merge;
mod ring;
#[cfg(all(test, not(tributary_loom)))]
mod tests;

pub use authors::{AuthorSet, Tag};
pub use logged::Logged;
pub use merge::Recent;
pub use ring::{BYTES_PER_ENTRY, Lapped, Ring, RingWriter, SharedRing, Snapshot};

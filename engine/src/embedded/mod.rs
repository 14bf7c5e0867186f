//! embedded

mod shard;

pub use shard::ProcessShard;

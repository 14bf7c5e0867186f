//! Ports that fail on purpose, drawn from a seed: refusals, lost replies ("it happened but reported a time-out"),
//! repetitions, and for shards also loss, age and delay. Laws 2, 4, 7 and 8 must hold over them.

mod faults;
mod log;
mod shard;
mod store;

pub use faults::{Fault, Faults};
pub use log::FaultyLog;
pub use shard::FaultyShard;
pub use store::FaultyStore;

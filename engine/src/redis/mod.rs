//! The Shard port over Redis or Valkey.
//!
//! One string a reader (`keys`), on the server that holds the reader's slot (`slots`, `shards`). A server (`node`)
//! is asked over pooled connections (`lines`) behind a breaker (`breaker`); segments are appended blindly (`append`, over `wire`),
//! and what that leaves behind is swept (`sweep`). Beside it, rate limits that all nodes share (`rate`).
//!
//! The one rule that all of it rests on: **a window has a time to live, and a string without one has no fill.** `SET`
//! gives one, `APPEND` to nothing does not, and only readers renew it. So cleaning up needs to know nothing of what
//! is in a string, and is one command that Redis carries out whole: `PEXPIRE key 0 NX`.

mod append;
mod breaker;
mod error;
mod keys;
mod lines;
mod node;
mod rate;
mod shards;
mod slots;
mod sweep;
mod wire;

pub use error::{NodeError, OpenError};
pub use node::NodeOptions;
pub use rate::SharedRates;
pub use shards::RedisShards;
pub use slots::{Share, SlotMap, SlotMapError};

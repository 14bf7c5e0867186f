//! Tributary's engine: home timelines by fan-out on read, with materialised windows where they pay.
//!
//! `docs/architecture.md` is the map. The laws that modules refer to are listed there.

pub mod cache;
pub mod command;
pub mod embedded;
mod engine;
pub mod kafka;
pub mod limits;
pub mod model;
pub mod ports;
pub mod postgres;
pub mod read;
pub mod recent;
pub mod redis;
pub mod retry;
pub mod testkit;
pub mod timeline;
pub mod work;

pub use cache::CacheBytes;
pub use command::{ClientKey, CommandError, Renewal};
pub use engine::{
    CacheStatus, Check, CostsStatus, Engine, Options, Parts, Ports, RingStatus, Roles, ShardStatus, Status,
};

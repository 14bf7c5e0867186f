//! The embedded adapters: a store in one redb file, a log over that store's own event table, and a shard in memory,
//! so that a single process needs no service beside it. They know the ports and the model, nothing else.
//!
//! One thread owns every write ([`writer`]); reads are redb snapshots. The store's logical time is a sequence that
//! rises with each change of a follow, mute or block, so a read's stamp is exact: it saw what is below it.

mod codec;
mod commands;
mod events;
mod fault;
mod home;
mod import;
mod lists;
mod log;
mod port;
mod posts;
mod reads;
mod relations;
mod sessions;
mod shard;
mod store;
mod tables;
#[cfg(test)]
mod tests;
mod users;
mod writer;
mod writing;

pub use log::EmbeddedLog;
pub use shard::ProcessShard;
pub use store::EmbeddedStore;

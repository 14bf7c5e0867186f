//! The Store port over PostgreSQL, for many nodes (laws 1, 3, 6, 7 and 9).
//!
//! - A command is two flights of pipelined statements in one READ COMMITTED transaction ([`commands`]): locks and
//!   reads, then writes and COMMIT. In between, rules are plain functions over what was read.
//! - The store's logical time is the transaction id: a follow carries that of its transaction, a read the oldest one
//!   that was still running in its snapshot. So whatever a read missed carries a stamp that is not below the read's.
//! - Events wait in the outbox until a function numbers those that are committed ([`outbox`]).
//! - No connection is handed out that may talk to another history than the one the node knows ([`gate`]).

mod commands;
mod connect;
mod copy;
mod epoch;
mod fault;
#[cfg(test)]
mod fuzz_tests;
mod gate;
mod home;
mod identities;
mod import;
mod lent;
mod lists;
mod outbox;
mod port;
mod posts;
mod reads;
mod relations;
mod rows;
mod schema;
mod sentinel;
mod sessions;
pub mod sql;
mod store;
mod transaction;
mod tuning;
mod upkeep;

pub use connect::PostgresOptions;
pub use schema::{Migrated, migrate};
pub use store::PostgresStore;

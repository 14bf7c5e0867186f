//! A whole server in this process or in one of its own, on a free port and a temporary folder, clients that talk to it
//! over a real socket, and what must be true. Whatever a test asks: an answer without a request id, a 500, or what the
//! document of the API does not have fails it.

#![allow(dead_code, unused_imports, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod commands;
mod described;
mod process;
mod say;
mod secrets;
mod server;
mod truth;
mod wire;

pub use client::{Ask, Client, Reply, Session, eventually, texts};
pub use commands::{choose, text};
pub use described::faults;
pub use process::{Process, program};
pub use say::say;
pub use secrets::Secrets;
pub use server::{Server, TOKEN_KEY, engine, ports, settings};
pub use truth::{Sent, assert_none, home_faults, number, post_id, user_faults, user_id};
pub use wire::Wire;

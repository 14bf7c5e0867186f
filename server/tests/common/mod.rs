//! A whole server in this process, on a free port and a temporary folder, and clients that talk to it over a
//! real socket. Whatever a test asks: an answer without a request id, or a 500, fails it.

#![allow(dead_code, unused_imports, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod server;
mod wire;

pub use client::{Ask, Client, Reply, Session, eventually, texts};
pub use server::{Server, TOKEN_KEY};
pub use wire::Wire;

//! A whole server in this process, on a free port and a temporary folder, and clients that talk to it over a
//! real socket. Whatever a test asks: an answer without a request id, or a 500, fails it.

#![allow(dead_code, unused_imports, reason = "each test file uses its part")]

mod client;
mod server;
mod wire;

pub use client::{Ask, Client, Reply, Session, texts};
pub use server::{Server, TOKEN_KEY};
pub use wire::Wire;

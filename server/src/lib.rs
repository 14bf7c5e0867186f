//! Server.
pub mod http;

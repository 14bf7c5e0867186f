//! Server.
pub mod demo;

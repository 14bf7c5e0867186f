//! Tributary's server: configuration, HTTP, and the one place where adapters meet the engine.

pub mod config;

//! Tributary's server: configuration, HTTP, and the one place where adapters meet the engine.

pub mod assemble;
pub mod cli;
pub mod config;
pub mod dead;
pub mod demo;
pub mod http;
pub mod open_files;
pub mod operate;
pub mod page;
mod signing_keys;
pub mod slot_map;
pub mod sync_tuning;
pub mod telemetry;

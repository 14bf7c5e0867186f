//! What operators meet over real services: a node that cannot start says why in one line, names the setting, and does
//! not hang; and their commands for dead letters and for the map of slots; sessions and keys of several nodes.
//!
//! Runs where the environment names services (`compose/native.py run`, `./taskw test:e2e`), and is skipped elsewhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod operators;
mod place;
mod secrets;
mod sessions;

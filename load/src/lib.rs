//! The load lab: worlds (who follows whom, who posted when), made or from files, their import into a store, load tests that
//! are verified, plans of channels, comparisons with peers, and reports.
//!
//! `world` makes a folder in a checkable binary format; `import` reads such a folder, and nothing else. `workload` lets
//! a world's users act on a server that holds it, and `verify` compares what it serves with the truth.

pub mod api;
pub mod compare;
pub mod import;
pub mod plan;
pub mod progress;
pub mod report;
pub mod verify;
pub mod workload;
pub mod world;

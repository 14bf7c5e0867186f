//! The load lab: worlds (who follows whom, who posted when), made or from files, and their import into a store.
//!
//! `world` makes a folder in a checkable binary format; `import` reads such a folder, and nothing else.

pub mod import;
pub mod progress;
pub mod verify;
pub mod workload;
pub mod world;

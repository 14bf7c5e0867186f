//! The load lab: worlds (who follows whom, who posted when), made or from files, their import into a store, and reports.
//!
//! `world` makes a folder in a checkable binary format; `import` reads such a folder, and nothing else.

pub mod compare;
pub mod import;
pub mod plan;
pub mod progress;
pub mod report;
pub mod world;

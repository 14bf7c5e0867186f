//! A client of the server's API, as small as a load test needs it: connections, sign-in, and pages read where it counts.

pub mod page;
pub mod tokens;
mod wire;

pub use wire::{Answer, Ask, PATIENCE, Target, Unanswered, Wire};

//! The demo: a small living world, and one page to watch it from.
//!
//! The page is plain files compiled in; the world is a few hundred people who use the engine by the same
//! commands as everybody else, so nothing here rests on anything but the facade.

mod cast;
mod page;
mod plan;
mod texts;
mod world;

pub use page::{asset, paths};
pub use world::{World, live, seed};

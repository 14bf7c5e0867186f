//! The in-process tier of a node: recent ring, L1 windows, author streams, follow views, recent likes, rendered posts.
//!
//! Rests on laws 2 and 9. One path of invalidation, [`Tier::invalidate`]: the log's follower takes it for every
//! event, and a node that has just acknowledged a command takes it for its caller, before the event comes back.

mod loading;
mod marks;
mod own;
mod popular;
mod pulls;
mod remembered;
mod removals;
mod rendered;
mod source;
mod stream;
mod tier;
mod view;
mod watchers;

pub use loading::LoadingCache;
pub use marks::Marks;
pub use own::Unlogged;
pub use popular::Popular;
pub use pulls::PullAuthors;
pub use remembered::{Marked, Remembered, RememberedPage};
pub use removals::{Removals, Removed};
pub use rendered::RenderedPost;
pub use source::Source;
pub use stream::Stream;
pub(crate) use stream::floor_of;
pub use tier::{CacheBytes, Filled, HomeSlot, Tier};
pub use view::{RecentLikes, View};
pub use watchers::{Watch, Watchers};

//! The in-process tier.
mod rendered;
pub use rendered::RenderedPost;

//! Reads.
mod page;
pub use page::{Feed, FeedItem, Page, PageRequest, ReadError, Source};

//! What reads return: pages, where their entries came from, and why there is none.

use std::sync::Arc;

use thiserror::Error;

use crate::cache::{RenderedPost, Source};
use crate::model::PostId;
use crate::ports::StoreError;

/// What a client asks of a list.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// Items at the most, 1 to 100.
    pub limit: usize,
    /// The `next` of the page before; none: the first page.
    pub cursor: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items; as many as asked for unless `next` is none.
    pub items: Vec<T>,
    /// The cursor of the page after; none: the list ends here.
    pub next: Option<String>,
}

/// A post of a feed.
#[derive(Clone, Debug)]
pub struct FeedItem {
    /// The post.
    pub post: Arc<RenderedPost>,
    /// Where its entry came from.
    pub from: Source,
}

/// A page of a home timeline.
#[derive(Clone, Debug)]
pub struct Feed {
    /// The posts, newest (highest id) first.
    pub items: Vec<FeedItem>,
    /// Those of them that the reader likes, in the page's order.
    pub liked: Vec<PostId>,
    /// The cursor of the page after.
    pub next: Option<String>,
    /// The token that asks for what was logged after this page was made.
    pub fresh: String,
    /// As long as this is the same, an older `fresh` of the reader still tells what came since.
    pub era: [u64; 4],
    /// Whether this is a first page because what was asked since could not be told.
    pub gap: bool,
}

/// Why a read gives no answer.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ReadError {
    /// The cursor or token was not made here, was changed, or belongs to another list.
    #[error("the cursor is not one of this list")]
    BadCursor,
    /// No such user for this caller.
    #[error("no such user")]
    UnknownUser,
    /// No such post for this caller.
    #[error("no such post")]
    UnknownPost,
    /// The store is gone, and what was asked cannot be told without it. The text is for the log, not for clients.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

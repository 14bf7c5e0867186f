//! An arm: one way to keep home timelines, asked in the same words as the others.

use anyhow::Result;
use async_trait::async_trait;
use tributary_engine::model::PostId;

/// A page of a home timeline, with its posts as bytes, which are dropped.
pub struct Page {
    /// The posts, newest first.
    pub ids: Vec<PostId>,
    /// What asks for the next page; none at the end.
    pub next: Option<String>,
}

/// One way to keep home timelines. It holds the world's history when it is made.
#[async_trait]
pub trait Arm: Send + Sync {
    /// Its name on the command line and in the results.
    fn name(&self) -> &'static str;

    /// What it is, in a sentence, with what is spared it.
    fn about(&self) -> String;

    /// A page of 20, hydrated.
    async fn read(&self, reader: u32, cursor: Option<&str>) -> Result<Page>;

    /// Writes a post; when it returns, the post is acknowledged. `id` is free and above all others; the arm may have its
    /// own.
    async fn write(&self, author: u32, id: PostId) -> Result<PostId>;

    /// Fan-out of a post that was written, where visibility needs it.
    async fn deliver(&self, _author: u32, _post: PostId) -> Result<()> {
        Ok(())
    }

    /// Whether follows show the followee's older posts; if not, mixes with follows are left out.
    fn can_follow(&self) -> bool;

    /// Makes a reader follow somebody.
    async fn follow(&self, reader: u32, followee: u32) -> Result<()>;

    /// Ends fan-out for good, where it is the arm's own work; the others just are not told to deliver.
    async fn stop_fan_out(&self) -> Result<()> {
        Ok(())
    }

    /// The processes of its servers, without their children; none where they are somebody else's.
    fn servers(&self) -> Option<Vec<u32>>;

    /// What an entry of a full window takes, keys and all; none where it has no windows, or none is full.
    async fn bytes_per_entry(&self) -> Result<Option<f64>>;

    /// Ends it; nothing of it stays in servers that are somebody else's.
    async fn close(&self) -> Result<()>;
}

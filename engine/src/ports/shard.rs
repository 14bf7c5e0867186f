//! The Shard port: strings of bytes, one a reader, that may vanish, go back in time or be repeated at will.
//! What is in them (windows) is the engine's affair: every one is a true statement (law 2). One string more is for all:
//! the popular posts, to be counted anew by whoever reads it.

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

use crate::model::UserId;

/// Why the shard did not do it (or did it, and could not say so).
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("the shard is unavailable: {0}")]
pub struct ShardError(pub String);

/// One of the nodes that hold windows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardState {
    /// Its name.
    pub name: Box<str>,
    /// Whether it answered when it was last asked.
    pub up: bool,
}

/// Segments for many readers, in one buffer.
#[derive(Clone, Debug, Default)]
pub struct SegmentBatch {
    readers: Vec<UserId>,
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

impl SegmentBatch {
    /// Adds the segment that `write` appends to the buffer.
    pub fn push(&mut self, reader: UserId, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.readers.push(reader);
        self.ends.push(self.bytes.len());
    }

    /// Each reader with its segment, in the order added.
    pub fn iter(&self) -> impl Iterator<Item = (UserId, &[u8])> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        self.readers
            .iter()
            .zip(starts.zip(&self.ends))
            .map(|(&reader, (start, &end))| (reader, &self.bytes[start..end]))
    }

    /// How many segments.
    pub fn len(&self) -> usize {
        self.readers.len()
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.readers.is_empty()
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.readers.clear();
        self.ends.clear();
        self.bytes.clear();
    }
}

/// The windows of all readers, on one node or many.
#[async_trait]
pub trait Shard: Send + Sync + 'static {
    /// The reader's string, if there is one. Renews its time to live, as `set` does; appending does not.
    async fn read(&self, reader: UserId) -> Result<Option<Bytes>, ShardError>;

    /// Replaces the reader's string by a fill.
    async fn set(&self, reader: UserId, fill: Bytes) -> Result<(), ShardError>;

    /// Appends each segment to its reader's string. Where there is no string the segment may be left out or
    /// make one that has no fill; readers treat that as absent. Segments of one call for one reader keep their order.
    /// An error names what did not get its segments; the others have theirs.
    async fn append(&self, batch: &SegmentBatch) -> Result<(), ShardError>;

    /// Removes the readers' strings.
    async fn remove(&self, readers: &[UserId]) -> Result<(), ShardError>;

    /// Removes strings that have no fill, and those that nobody has read for [`WINDOW_TTL`](crate::limits::WINDOW_TTL),
    /// as far as the shard does not see to it by itself. Takes its time, and is asked for now and then.
    async fn sweep(&self) -> Result<(), ShardError>;

    /// The string of the popular posts, if there is one.
    async fn read_popular(&self) -> Result<Option<Bytes>, ShardError>;

    /// Replaces the string of the popular posts. It is forgotten where nobody sets it again for
    /// [`WINDOW_TTL`](crate::limits::WINDOW_TTL).
    async fn set_popular(&self, posts: Bytes) -> Result<(), ShardError>;

    /// The nodes behind it, in the order of their names: at least one. Does not ask them.
    fn states(&self) -> Vec<ShardState>;
}

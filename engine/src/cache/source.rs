//! Where an entry came from: what operators see beside it.

/// Where the engine had an entry of a feed from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Source {
    /// The reader's window in this process.
    L1,
    /// The recent ring.
    Ring,
    /// The reader's window in its shard.
    Shard,
    /// The reader's checkpoint.
    Checkpoint,
    /// An author stream.
    Stream,
    /// The store's pull.
    Store,
}

impl Source {
    /// Its name in JSON and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::L1 => "l1",
            Self::Ring => "ring",
            Self::Shard => "shard",
            Self::Checkpoint => "checkpoint",
            Self::Stream => "stream",
            Self::Store => "store",
        }
    }
}

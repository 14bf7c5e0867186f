//! A world: users, who follows whom, and who posted when, in a folder of three binary files and a `world.json`.
//!
//! `world.json` is written last: a folder without it is one whose making was interrupted. The same seed, or the
//! same input files, give the same bytes, so a world has an identity that an import can be resumed by.

pub mod draw;
pub mod format;
#[cfg(test)]
mod fuzz_tests;
pub mod made;
pub mod read;
pub mod shape;
pub mod tsv;
pub mod write;

pub use read::{FollowsReader, PostRecord, PostsReader, UsersReader, World};
pub use shape::Shape;
pub use write::WorldWriter;

use serde::{Deserialize, Serialize};

/// The first second that an id can name: 2010-01-01T00:00:00Z.
pub const FIRST_SECOND: u64 = 1_262_304_000;
/// One past the last second that an id can name: 41 bits of milliseconds after the first.
pub const END_SECOND: u64 = FIRST_SECOND + (1 << 41) / 1_000;

/// What `world.json` says.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// The version of the format, [`format::VERSION`].
    pub version: u16,
    /// How it was made.
    pub origin: Origin,
    /// The file of users.
    pub users: FileSummary,
    /// The file of follows.
    pub follows: FileSummary,
    /// The file of posts.
    pub posts: FileSummary,
    /// What it came to.
    pub shape: Shape,
}

/// One file of a world.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileSummary {
    /// Records: users, follows or posts.
    pub count: u64,
    /// The checksum at the file's end.
    pub crc32: u32,
}

/// How a world was made.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Drawn from distributions.
    Made {
        /// What everything was drawn from.
        seed: u64,
        /// The mean number of follows asked for.
        mean_follows: Option<f64>,
    },
    /// Read from files.
    Files {
        /// Follows of oneself, left out.
        self_follows_dropped: u64,
        /// Follows that had come before, left out.
        duplicate_follows_dropped: u64,
        /// Whether the posts were in order of time; if not, they were sorted (stably).
        posts_were_sorted: bool,
    },
}

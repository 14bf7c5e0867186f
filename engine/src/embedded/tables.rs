//! The tables of the file. Ids are keys as plain `u64`; rows are coded in [`codec`](super::codec).
//! A change of any of them, or of a row's code, is a new [`SCHEMA`]; one table more is not, for it is made when the
//! store is opened.

use redb::TableDefinition;

/// The version of everything below.
pub(super) const SCHEMA: u64 = 1;

/// Owner and user: a set of pairs, a row each.
pub(super) type Pairs = TableDefinition<'static, (u64, u64), ()>;
/// Owner and lower bound to a chunk of users: see [`lists`](super::lists).
pub(super) type Chunks = TableDefinition<'static, (u64, u64), &'static [u8]>;

/// User and digest of the family.
pub(super) type SessionKey = (u64, &'static [u8; 32]);

/// Single numbers, by the names below.
pub(super) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// The schema's version.
pub(super) const META_SCHEMA: &str = "schema";
/// The identity of this history.
pub(super) const META_EPOCH: &str = "epoch";
/// The last commit sequence: the store's logical time.
pub(super) const META_SEQUENCE: &str = "sequence";
/// The last number given to an event.
pub(super) const META_POSITION: &str = "position";
/// The position before the oldest event that is kept.
pub(super) const META_FLOOR: &str = "floor";

/// User to its row.
pub(super) const USERS: TableDefinition<u64, &[u8]> = TableDefinition::new("users");
/// Handle to user.
pub(super) const HANDLES: TableDefinition<&str, u64> = TableDefinition::new("handles");
/// Provider and subject of an identity to the user whose it is.
pub(super) const SUBJECTS: TableDefinition<(&str, &str), u64> = TableDefinition::new("subjects");
/// Logical shard to the last post id made in it: ids of two authors of one shard must differ.
pub(super) const LAST_IDS: TableDefinition<u16, u64> = TableDefinition::new("last_ids");

/// Post to its row.
pub(super) const POSTS: TableDefinition<u64, &[u8]> = TableDefinition::new("posts");
/// Author and post.
pub(super) const POSTS_BY: Pairs = TableDefinition::new("posts_by");
/// Author to its newest pull post.
pub(super) const PULL_AUTHORS: TableDefinition<u64, u64> = TableDefinition::new("pull_authors");
/// Liker and post. Outlives the post: readers of this table check that the post exists.
pub(super) const LIKES: Pairs = TableDefinition::new("likes");
/// Post to the number of its likes; no row: none.
pub(super) const LIKE_COUNTS: TableDefinition<u64, u64> = TableDefinition::new("like_counts");

/// Reader's followees, with the stamp of each follow.
pub(super) const FOLLOWS: Chunks = TableDefinition::new("follows");
/// Author's followers.
pub(super) const FOLLOWERS: Chunks = TableDefinition::new("followers");
/// User and whom it mutes.
pub(super) const MUTES: Pairs = TableDefinition::new("mutes");
/// User and whom it blocks.
pub(super) const BLOCKS: Pairs = TableDefinition::new("blocks");
/// User and who blocks it: the mirror of `BLOCKS`.
pub(super) const BLOCKED_BY: Pairs = TableDefinition::new("blocked_by");

/// Actor and key to fingerprint, time and outcome.
pub(super) const KEYS: TableDefinition<(u64, &[u8]), &[u8]> = TableDefinition::new("keys");
/// Time, actor and key: `KEYS` in the order in which they expire.
pub(super) const KEYS_BY_TIME: TableDefinition<(u64, u64, &[u8]), ()> = TableDefinition::new("keys_by_time");
/// User and family to the digest of the good token, whether an operator signed in, and when it ends.
pub(super) const SESSIONS: TableDefinition<SessionKey, (&[u8; 32], bool, u64)> = TableDefinition::new("sessions");
/// End, user and family: `SESSIONS` in the order in which they expire.
pub(super) const SESSIONS_BY_END: TableDefinition<(u64, u64, &[u8; 32]), ()> = TableDefinition::new("sessions_by_end");
/// Number to event.
pub(super) const EVENTS: TableDefinition<u64, &[u8]> = TableDefinition::new("events");
/// Epoch and number of an event that could not be applied, to reason and bytes.
pub(super) const DEAD_LETTERS: TableDefinition<(u64, u64), (&str, &[u8])> = TableDefinition::new("dead_letters");
/// Version to tuning, in JSON.
pub(super) const TUNINGS: TableDefinition<u64, &[u8]> = TableDefinition::new("tunings");
/// Reader to checkpoint.
pub(super) const CHECKPOINTS: TableDefinition<u64, &[u8]> = TableDefinition::new("checkpoints");
/// Name to note.
pub(super) const NOTES: TableDefinition<&str, &str> = TableDefinition::new("notes");

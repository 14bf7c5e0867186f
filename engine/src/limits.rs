//! Every limit of the engine, in one file, with the relations between them asserted at compile time (law 9).
//!
//! What an operator may set stands in the configuration; what stands here follows from the design.

use std::time::Duration;

/// Entries a window keeps: the newest pushed posts of one reader.
pub const WINDOW_ENTRIES: usize = 800;
/// Entries an author stream keeps. As many as a window has, so that a stream never raises a window's floor.
pub const STREAM_ENTRIES: usize = WINDOW_ENTRIES;
/// Entries that L1 holds unpacked before they are packed into the window again.
pub const L1_TAIL_ENTRIES: usize = 64;
/// A window string in a shard longer than this is dropped: nobody has read (and so folded) it for long.
pub const WINDOW_STRING_BYTES: usize = 32 * 1024;
/// More late followees than this, and the window is filled again instead of merged.
pub const LATE_FOLLOWEES: usize = 16;

/// Items on a page when the request does not say.
pub const PAGE_DEFAULT: usize = 20;
/// Items on a page at the most.
pub const PAGE_MAX: usize = 100;
/// Unicode scalar values in a post.
pub const TEXT_CHARS: usize = 2_000;
/// Bytes of a request's body.
pub const BODY_BYTES: usize = 64 * 1024;
/// Bytes of a handle.
pub const HANDLE_BYTES: usize = 30;
/// Unicode scalar values of a display name that comes from elsewhere.
pub const NAME_CHARS: usize = 100;
/// Bytes of the name that a sign-in provider gives to one of its users: what OpenID Connect allows.
pub const SUBJECT_BYTES: usize = 255;
/// Bytes of a client's idempotency key.
pub const IDEMPOTENCY_KEY_BYTES: usize = 255;
/// How long an idempotency record is kept.
pub const IDEMPOTENCY_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// Sessions of a user at the most: with one more, the one that was refreshed longest ago ends.
pub const SESSIONS_PER_USER: usize = 64;
/// How often what became of a session is asked for, where the store did not tell, before the client is told to try
/// again: a store that was restarted is back by then.
pub const SESSION_TRIES: usize = 12;
/// Newest likes of a reader that a node remembers.
pub const RECENT_LIKES: usize = 1_000;

/// Posts that the ranking of popular posts tells at the most.
pub const POPULAR_POSTS: usize = 500;
/// Posts that it keeps: so many that it still has [`POPULAR_POSTS`] after most of them were removed at once.
pub const POPULAR_KEPT: usize = 2 * POPULAR_POSTS;
/// With every such time of a post's age its likes are worth half as much.
pub const POPULAR_HALF_LIFE: Duration = Duration::from_secs(12 * 60 * 60);
/// How often a node puts the ranking into the shard.
pub const POPULAR_COPY_EVERY: Duration = Duration::from_secs(5);

/// Reader slots: the unit in which readers are shared out among shards and workers.
pub const READER_SLOTS: u16 = 4_096;
/// Logical shards: the unit in which acting users are partitioned in the store.
pub const LOGICAL_SHARDS: u16 = 1_024;

/// A round of compaction takes at most one part in so many of the ring's entries.
pub const ROUND_RING_SHARE: usize = 4;
/// Followers read from the store at a time; a huge audience is streamed in such pages.
pub const FOLLOWERS_PAGE: usize = 65_536;
/// Segments that wait to be sent at the most, where rounds are small.
pub const SEGMENTS_UNSENT: usize = 2_000;
/// A batch of segments with more bytes is not sent aside while the next round is made.
pub const SENT_ASIDE_BYTES: usize = 256 * 1024;
/// Events that a log reader hands over at a time.
pub const EVENTS_BATCH: usize = 4_096;
/// Commands that share one commit (group commit) at the most.
pub const GROUP_COMMANDS: usize = 512;
/// Commands waiting for the store at the most; one more is answered 503.
pub const COMMAND_QUEUE: usize = 8_192;
/// Readers whose checkpoint waits to be saved at the most; one more is forgotten (a checkpoint saves only work).
pub const CHECKPOINT_QUEUE: usize = 16_384;
/// Fills from the store at the same time on one node.
pub const CONCURRENT_FILLS: usize = 32;

/// Posts, and removals, that a live stream is told at a time.
pub const LIVE_BATCH: usize = 32;
/// Newest removals that a node remembers, for live streams that are behind.
pub const REMOVALS_KNOWN: usize = 16_384;

/// After so many events a first page is sent again to who has it already, with a new `fresh`: long before what the
/// older one asks for is forgotten.
pub const ERA_EVENTS: u64 = 8_192;

/// Newest posts of an author that tell how often they post.
pub const RATE_POSTS: usize = 64;
/// How often a node adds what it has measured to what all have.
pub const COSTS_EVERY: Duration = Duration::from_secs(60);
/// In this time a measurement fades to 1/e: a day, so that no hour of it counts for much more than others.
pub const COSTS_FADE: Duration = Duration::from_secs(24 * 60 * 60);
/// Deliveries, merges and fills that must have been measured, each, before channels are chosen by their cost.
pub const COSTS_EVIDENCE: f64 = 100.0;
/// How long they must have been measured.
pub const COSTS_OBSERVED_MIN: Duration = Duration::from_secs(60 * 60);

/// A load that takes longer fails; its waiters are answered 503.
pub const LOAD_TIMEOUT: Duration = Duration::from_secs(5);
/// A shard that takes longer to answer is treated as absent.
pub const SHARD_TIMEOUT: Duration = Duration::from_millis(250);
/// An append of a round's segments that takes longer is given up.
pub const APPEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a node waits for the log position of a cursor that another node made.
pub const BEHIND_WAIT: Duration = Duration::from_millis(250);
/// A window that no reader has asked for in this time is forgotten.
pub const WINDOW_TTL: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// First pause of a retry; doubled each time, with full jitter.
pub const RETRY_FIRST: Duration = Duration::from_millis(10);
/// Longest pause of a retry.
pub const RETRY_MAX: Duration = Duration::from_secs(2);
/// How often the relay looks for work that nobody woke it for.
pub const RELAY_POLL: Duration = Duration::from_millis(250);

/// How often a node looks whether the log is late: what had its number at one look and has not come by the next is taken
/// from the store.
pub const LOG_LATE: Duration = Duration::from_millis(100);
/// How long a node that starts waits for the log to give more, before it asks the store.
pub const LOG_WAIT: Duration = Duration::from_secs(10);
/// How long a reader of the log waits for a number that is missing while later ones are there.
pub const LOG_GAP_WAIT: Duration = Duration::from_secs(1);
/// How long publishing to the log, and any question to it, may take.
pub const LOG_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the log may take to show that it can be reached.
pub const LOG_REACH_TIMEOUT: Duration = Duration::from_secs(1);
/// Questions to the log that wait for an answer at the same time; one more waits for its turn.
pub const LOG_QUESTIONS: usize = 8;
/// How often a dead letter that nobody waits for is tried, before it is only warned of.
pub const BURY_TRIES: u32 = 5;
/// How long the log keeps events.
pub const LOG_RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Commands acknowledged last that a node asks its store for, to notice that they were lost. More than may be committed at
/// the same time.
pub const ACKNOWLEDGED_KNOWN: usize = 64;
/// How often a node asks the store whether its history is still the one that the node knows.
pub const EPOCH_CHECK_EVERY: Duration = Duration::from_millis(250);
/// How long a worker's lease on its share of the readers lasts.
pub const LEASE_TTL: Duration = Duration::from_secs(6);
/// How often it is renewed.
pub const LEASE_RENEW_EVERY: Duration = Duration::from_secs(1);

/// Connections to one Redis for reads and sets, and again for appends: each carries many calls at a time.
pub const REDIS_CONNECTIONS: u32 = 3;
/// A connection to Redis that takes longer to make is given up.
pub const REDIS_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A Redis that takes longer to answer a read or a set has failed. Below [`SHARD_TIMEOUT`], so that it is counted
/// before the caller has gone.
pub const REDIS_TIMEOUT: Duration = Duration::from_millis(200);
/// A pipeline of appends that takes longer has failed.
pub const REDIS_APPEND_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a node that starts waits for a Redis before it goes on without.
pub const REDIS_START_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a request waits for a rate limit that is shared through Redis.
pub const SHARED_RATE_TIMEOUT: Duration = Duration::from_millis(5);
/// Appends in one pipeline at the most.
pub const PIPELINE_COMMANDS: usize = 2_000;
/// Bytes of one pipeline, about.
pub const PIPELINE_BYTES: usize = 1024 * 1024;
/// Failures in a row after which a Redis is no longer asked.
pub const BREAKER_FAILURES: u32 = 3;
/// First pause between two probes of a Redis that failed; doubled each time.
pub const PROBE_FIRST: Duration = Duration::from_millis(50);
/// Longest pause between two probes.
pub const PROBE_MAX: Duration = Duration::from_secs(1);
/// How long connecting to a service takes at the most.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a request waits for a connection that others use.
pub const POOL_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a statement waits for the rows that others have locked.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(3);
/// How often a transaction that others got in the way of is run.
pub const TRANSACTION_ATTEMPTS: usize = 20;
/// How long a batch of a bulk import takes at the most.
pub const IMPORT_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// Smallest ring an operator may configure, in bytes.
pub const RING_BYTES_MIN: usize = 64 * 1024;
/// Largest ring: its indices must stay apart in 32 bits.
pub const RING_ENTRIES_MAX: usize = 1 << 29;

const _: () = assert!(COSTS_EVERY.as_secs() < COSTS_OBSERVED_MIN.as_secs(), "a day is not judged by one sample");
const _: () = assert!(COSTS_OBSERVED_MIN.as_secs() < COSTS_FADE.as_secs());
const _: () = assert!(LIVE_BATCH < REMOVALS_KNOWN);
const _: () = assert!(ERA_EVENTS as usize <= REMOVALS_KNOWN / 2);
const _: () = assert!(PAGE_DEFAULT <= PAGE_MAX);
const _: () = assert!(PAGE_MAX < WINDOW_ENTRIES, "a page comes out of one window");
const _: () = assert!(STREAM_ENTRIES >= WINDOW_ENTRIES, "a stream must reach a window's floor");
const _: () = assert!(L1_TAIL_ENTRIES < WINDOW_ENTRIES);
const _: () = assert!(ROUND_RING_SHARE >= 4, "windows must be able to fall behind by a few rounds");
const _: () = assert!(WINDOW_STRING_BYTES >= 4 * 10 * WINDOW_ENTRIES, "a full window and its segments fit");
const _: () = assert!(TEXT_CHARS * 4 * 6 < BODY_BYTES, "the longest text fits, even \\u-escaped");
const _: () = assert!(3 * LEASE_RENEW_EVERY.as_millis() < LEASE_TTL.as_millis(), "a lease outlives a lost renewal");
const _: () = assert!(REDIS_TIMEOUT.as_millis() < SHARD_TIMEOUT.as_millis(), "a failure is counted");
const _: () =
    assert!(2 * REDIS_APPEND_TIMEOUT.as_millis() < APPEND_TIMEOUT.as_millis(), "one dead shard is waited out");
const _: () = assert!(REDIS_CONNECT_TIMEOUT.as_millis() < REDIS_START_TIMEOUT.as_millis());
const _: () = assert!(PIPELINE_BYTES >= 2 * WINDOW_STRING_BYTES, "any segment fits a pipeline");
const _: () = assert!(BREAKER_FAILURES > 0 && PROBE_FIRST.as_millis() < PROBE_MAX.as_millis());
const _: () = assert!(LOG_REACH_TIMEOUT.as_millis() < LOG_TIMEOUT.as_millis());
const _: () = assert!(LOG_GAP_WAIT.as_millis() < LOG_WAIT.as_millis(), "a node that starts hears of a gap");
const _: () = assert!(LOG_TIMEOUT.as_millis() < LOG_WAIT.as_millis(), "and of an unreachable log");
const _: () = assert!(RETRY_FIRST.as_millis() < RETRY_MAX.as_millis());
const _: () = assert!(LOCK_TIMEOUT.as_millis() < LOAD_TIMEOUT.as_millis(), "who waits for a lock is told so");

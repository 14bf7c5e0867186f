//! Schemas of what is rendered by hand, or serialised by the engine: types for the document alone. The tests hold
//! every answer against it, so these cannot drift from what is sent.

#![expect(dead_code, reason = "of these types only the schema is used")]

use std::collections::BTreeMap;

use utoipa::ToSchema;
use utoipa::openapi::Ref;

use crate::http::respond::UserBody;

/// What went wrong (RFC 9457).
#[derive(ToSchema)]
pub struct Problem {
    /// Always `about:blank`: what there is to say, `code` and `detail` say.
    #[schema(example = "about:blank")]
    r#type: String,
    /// The status in words.
    #[schema(example = "Not Found")]
    title: String,
    /// The status.
    #[schema(minimum = 400, maximum = 599, example = 404)]
    status: u16,
    /// A sentence for humans.
    #[schema(example = "no such post")]
    detail: String,
    /// For programs: stable.
    #[schema(pattern = "^[a-z][a-z0-9_]*$", example = "unknown_post")]
    code: String,
}

impl Problem {
    /// A reference to its schema.
    pub fn reference() -> Ref {
        Ref::from_schema_name(Self::name())
    }
}

/// Who wrote a post.
#[derive(ToSchema)]
pub struct Author {
    #[schema(pattern = "^[1-9][0-9]{0,18}$", example = "506806140928000000")]
    id: String,
    #[schema(pattern = "^[a-z0-9_]{1,30}$", example = "ann")]
    handle: String,
    #[schema(example = "Ann")]
    name: String,
}

/// A post.
#[derive(ToSchema)]
pub struct Post {
    /// Larger is newer.
    #[schema(pattern = "^[1-9][0-9]{0,18}$", example = "506806140928000001")]
    id: String,
    author: Author,
    #[schema(min_length = 1, max_length = 2000, example = "Hello, river.")]
    text: String,
    #[schema(format = DateTime, example = "2026-01-25T17:22:20.928Z")]
    created_at: String,
    /// May trail by a second.
    #[schema(minimum = 0, example = 7)]
    likes: u64,
}

/// Posts.
#[derive(ToSchema)]
pub struct PostPage {
    #[schema(max_items = 100)]
    items: Vec<Post>,
    /// The cursor of the page after this one; null at the end.
    #[schema(required)]
    next: Option<String>,
}

/// Users.
#[derive(ToSchema)]
pub struct UserPage {
    #[schema(max_items = 100)]
    items: Vec<UserBody<'static>>,
    /// The cursor of the page after this one; null at the end.
    #[schema(required)]
    next: Option<String>,
}

/// A page of a home timeline, newest first.
#[derive(ToSchema)]
pub struct Feed {
    #[schema(max_items = 100)]
    items: Vec<Post>,
    /// Those of the page that its reader likes, by id.
    #[schema(max_items = 100)]
    liked: Vec<String>,
    /// The cursor of the page after this one; null at the end.
    #[schema(required)]
    next: Option<String>,
    /// For `since`: what was logged after this page was made.
    fresh: String,
    /// Only with `since`, and only where what is new cannot be told: this is an ordinary first page.
    #[schema(value_type = bool, required = false)]
    gap: Option<bool>,
}

/// A post, and where the engine had its entry from.
#[derive(ToSchema)]
pub struct SourcedPost {
    #[schema(pattern = "^[1-9][0-9]{0,18}$", example = "506806140928000001")]
    id: String,
    author: Author,
    #[schema(min_length = 1, max_length = 2000, example = "Hello, river.")]
    text: String,
    #[schema(format = DateTime, example = "2026-01-25T17:22:20.928Z")]
    created_at: String,
    #[schema(minimum = 0, example = 7)]
    likes: u64,
    from: Source,
}

/// Where the engine had an entry from.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Source {
    L1,
    Ring,
    Shard,
    Checkpoint,
    Stream,
    Store,
}

/// A page of somebody's home timeline, as operators see it.
#[derive(ToSchema)]
pub struct SourcedFeed {
    #[schema(max_items = 100)]
    items: Vec<SourcedPost>,
    /// Those of the page that its reader likes, by id.
    #[schema(max_items = 100)]
    liked: Vec<String>,
    /// The cursor of the page after this one; null at the end.
    #[schema(required)]
    next: Option<String>,
    fresh: String,
    #[schema(value_type = bool, required = false)]
    gap: Option<bool>,
    /// Microseconds that the engine took.
    took_us: u64,
}

/// The ways to sign in.
#[derive(ToSchema)]
pub struct Ways {
    /// Whether developers may sign in as whoever they say they are.
    dev: bool,
    /// Names of providers.
    #[schema(example = json!(["github"]))]
    providers: Vec<String>,
}

/// What a sign-in comes to.
#[derive(ToSchema)]
pub struct Tokens {
    /// For `Authorization: Bearer`.
    access_token: String,
    /// Good once, for the next pair of tokens.
    refresh_token: String,
    token_type: TokenType,
    /// Seconds that the access token is good for.
    #[schema(minimum = 0, example = 900)]
    expires_in: u64,
    user: UserBody<'static>,
}

/// How an access token is sent.
#[derive(ToSchema)]
pub enum TokenType {
    Bearer,
}

/// The channel of new posts: copied into windows, or merged when one reads.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Channel {
    Push,
    Pull,
}

/// What decides an author's channel.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Mode {
    Threshold,
    Cost,
}

/// The thresholds, with their version.
#[derive(ToSchema)]
pub struct Tuning {
    #[schema(minimum = 1, example = 3)]
    version: u64,
    mode: Mode,
    /// At so many followers an author turns hot.
    #[schema(minimum = 1, example = 10000)]
    enter_followers: u64,
    /// Below so many a hot author cools down.
    #[schema(minimum = 0, example = 8000)]
    leave_followers: u64,
    #[schema(minimum = 0, example = 900000)]
    flush_max_age_ms: u64,
    #[schema(minimum = 1, example = 4000000)]
    flush_max_pairs: u64,
}

/// A version of the thresholds, with who made it.
#[derive(ToSchema)]
pub struct PastTuning {
    #[schema(minimum = 1, example = 3)]
    version: u64,
    mode: Mode,
    #[schema(minimum = 1, example = 10000)]
    enter_followers: u64,
    #[schema(minimum = 0, example = 8000)]
    leave_followers: u64,
    #[schema(minimum = 0, example = 900000)]
    flush_max_age_ms: u64,
    #[schema(minimum = 1, example = 4000000)]
    flush_max_pairs: u64,
    /// An operator's handle, `config` or `default`.
    #[schema(example = "ann")]
    changed_by: String,
    #[schema(format = DateTime, example = "2026-01-25T17:22:20.928Z")]
    changed_at: String,
}

/// Versions of the thresholds, newest first.
#[derive(ToSchema)]
pub struct TuningPage {
    #[schema(max_items = 100)]
    items: Vec<PastTuning>,
    /// The cursor of the page after this one; null at the end.
    #[schema(required)]
    next: Option<String>,
}

/// The state of a node.
#[derive(ToSchema)]
pub struct Status {
    /// The position of the log that the node has applied.
    position: u64,
    shards: Vec<ShardStatus>,
    ring: RingStatus,
    caches: Vec<CacheStatus>,
    /// Microseconds to deliver one entry by flush, where measured.
    #[schema(required)]
    h_us: Option<f64>,
    /// Microseconds to merge one author's stream at a fill, where measured.
    #[schema(required)]
    l_us: Option<f64>,
    /// What all nodes together have measured.
    #[schema(required)]
    costs: Option<CostsStatus>,
}

/// What all nodes together have measured.
#[derive(ToSchema)]
pub struct CostsStatus {
    #[schema(required)]
    h_us: Option<f64>,
    #[schema(required)]
    l_us: Option<f64>,
    /// Fills a day of a user on average.
    #[schema(required)]
    fills_per_day: Option<f64>,
    /// Posts a day at which both channels cost the same.
    #[schema(required)]
    balance_posts_per_day: Option<f64>,
    /// When the node last added to them, in Unix milliseconds.
    at_ms: u64,
}

/// A shard as its flush sees it.
#[derive(ToSchema)]
pub struct ShardStatus {
    name: String,
    /// Up to where the node has compacted posts into it.
    #[schema(required)]
    position: Option<u64>,
    /// Events behind the log.
    #[schema(required)]
    backlog_events: Option<u64>,
    /// Whether it answered lately.
    up: bool,
}

/// The recent ring.
#[derive(ToSchema)]
pub struct RingStatus {
    /// The position that it covers everything after.
    floor: u64,
    /// Posts in it.
    entries: u64,
    bytes: u64,
}

/// A cache.
#[derive(ToSchema)]
pub struct CacheStatus {
    name: String,
    entries: u64,
    bytes: u64,
    /// Hits by all look-ups since the start.
    #[schema(required)]
    hit_rate: Option<f64>,
}

/// Whether a process can serve.
#[derive(ToSchema)]
pub struct Health {
    status: HealthStatus,
    /// What was checked, with `ok` or what is wrong.
    checks: BTreeMap<String, String>,
}

/// `degraded`: it serves, only worse.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum HealthStatus {
    Ok,
    Degraded,
    Down,
}

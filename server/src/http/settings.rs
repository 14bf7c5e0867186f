//! What the HTTP server is told: checked by whoever resolved the configuration. The bounds of a connection
//! stand here in one place (law 9).

use std::time::Duration;

use tributary_engine::model::Handle;

use crate::config::{Config, Network};

/// The settings of the HTTP server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether it answers more than health and metrics.
    pub api: bool,
    /// Whether `POST /v1/auth/dev` exists.
    pub dev_login: bool,
    /// Handles of operators, besides those whose token says so.
    pub operators: Vec<Handle>,
    /// How long an access token is good for.
    pub access_ttl_s: u64,
    /// Follows a user may have; 0: no limit.
    pub follows: u64,
    /// Posts of one user in a minute; 0: no limit.
    pub posts_per_minute: u32,
    /// Requests of one user, or of one address without a good token, in a second; 0: no limit.
    pub requests_per_second: u32,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// The static page for a path, where there is one.
    pub pages: fn(&str) -> Option<Asset>,
    /// What a connection and a request may take.
    pub bounds: Bounds,
}

impl Settings {
    /// What the configuration says, with these static pages.
    pub fn new(config: &Config, pages: fn(&str) -> Option<Asset>) -> Self {
        Self {
            api: config.roles.api,
            dev_login: config.auth.dev_login,
            operators: config.auth.operators.clone(),
            access_ttl_s: config.auth.access_ttl.as_secs(),
            follows: config.limits.follows,
            posts_per_minute: config.limits.posts_per_minute,
            requests_per_second: config.limits.requests_per_second,
            trusted_proxies: config.http.trusted_proxies.clone(),
            pages,
            bounds: Bounds::default(),
        }
    }
}

/// A static file.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Its content type.
    pub content_type: &'static str,
    /// Its bytes.
    pub bytes: &'static [u8],
}

/// What a connection and a request may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at the same time; more wait to be accepted.
    pub connections: usize,
    /// From a connection's start, or the answer before, to the end of a request's headers.
    pub headers: Duration,
    /// From the end of the headers to the end of the body.
    pub body: Duration,
    /// From the end of the headers to the answer.
    pub request: Duration,
    /// How long a peer may take no byte of what it is sent.
    pub write: Duration,
    /// What requests in flight get to finish at shutdown.
    pub drain: Duration,
    /// Live streams at the same time.
    pub live_streams: usize,
    /// Of one user.
    pub live_streams_of_user: usize,
    /// How often a live stream shows that it is there. Each waits a random part less, so that not all come at once.
    pub heartbeat: Duration,
    /// A live stream whose peer takes longer from one piece to the next is ended: it may come back.
    pub slow: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 16_384,
            headers: Duration::from_secs(30),
            body: Duration::from_secs(5),
            request: Duration::from_secs(10),
            write: Duration::from_secs(30),
            drain: Duration::from_secs(10),
            live_streams: 12_288,
            live_streams_of_user: 8,
            heartbeat: Duration::from_secs(15),
            slow: Duration::from_secs(10),
        }
    }
}

/// Bytes of a request's path and query.
pub const URI_BYTES: usize = 8 * 1024;
/// Bytes of a request's headers.
pub const HEADER_BYTES: usize = 16 * 1024;
/// Bytes that are read of headers at all. What lies between is answered with a problem document; beyond, hyper
/// answers with a bare 431.
pub const HEADER_BUFFER_BYTES: usize = 128 * 1024;
/// Bytes that are read and dropped of a body that is too large, so that its sender gets to read the answer.
pub const DROPPED_BODY_BYTES: usize = 1024 * 1024;
/// HTTP/2 requests at the same time on one connection.
pub const STREAMS: u32 = 128;
/// How long all checks of health may take; the engine bounds each.
pub const HEALTH_TIMEOUT: Duration = Duration::from_secs(4);

const _: () = assert!(URI_BYTES + HEADER_BYTES < HEADER_BUFFER_BYTES);

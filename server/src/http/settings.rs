//! What the HTTP server is told: checked by whoever resolved the configuration. The bounds of a connection
//! stand here in one place (law 9).

use std::sync::Arc;
use std::time::Duration;

use tributary_engine::model::Handle;

use super::signin::SignIn;
use crate::config::{Config, Network, Origins};

/// The settings of the HTTP server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether it answers more than health and metrics.
    pub api: bool,
    /// Whether `POST /v1/auth/dev` exists.
    pub dev_login: bool,
    /// Others who vouch for users.
    pub sign_in: Arc<SignIn>,
    /// Handles of operators, besides those whose token says so.
    pub operators: Vec<Handle>,
    /// How long an access token is good for.
    pub access_ttl_s: u64,
    /// How long a refresh token is good for.
    pub refresh_ttl_s: u64,
    /// Follows a user may have; 0: no limit.
    pub follows: u64,
    /// Posts of one user in a minute; 0: no limit.
    pub posts_per_minute: u32,
    /// Requests of one user, or of one address without a good token, in a second; 0: no limit.
    pub requests_per_second: u32,
    /// Whose pages may call the API from a browser.
    pub cors_origins: Origins,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Peers that may hold any number of connections: they stand for many callers.
    pub unbounded_peers: Vec<Network>,
    /// The static page for a path, where there is one.
    pub pages: fn(&str) -> Option<Asset>,
    /// What a connection and a request may take.
    pub bounds: Bounds,
}

impl Settings {
    /// What the configuration says, with these static pages; sign-in providers are to be opened.
    pub fn new(config: &Config, pages: fn(&str) -> Option<Asset>) -> Self {
        Self {
            api: config.roles.api,
            dev_login: config.auth.dev_login,
            sign_in: Arc::default(),
            operators: config.auth.operators.clone(),
            access_ttl_s: config.auth.access_ttl.as_secs(),
            refresh_ttl_s: config.auth.refresh_ttl.as_secs(),
            follows: config.limits.follows,
            posts_per_minute: config.limits.posts_per_minute,
            requests_per_second: config.limits.requests_per_second,
            cors_origins: config.http.cors_origins.clone(),
            trusted_proxies: config.http.trusted_proxies.clone(),
            unbounded_peers: config.http.trusted_proxies.iter().copied().chain(Network::loopback()).collect(),
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

impl Asset {
    /// Whether it is a page itself, and not a part of one. Only pages are counted against an address' rate: a page of
    /// which a part is refused does not work at all.
    pub fn is_document(&self) -> bool {
        self.content_type.starts_with("text/html")
    }
}

/// What a connection and a request may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at the same time; more wait to be accepted.
    pub connections: usize,
    /// Connections of one address at the same time; one more is closed at once.
    pub connections_of_address: usize,
    /// From a connection's start, or the answer before, to the end of a request's headers.
    pub headers: Duration,
    /// From the end of the headers to the end of the body.
    pub body: Duration,
    /// From the end of the headers to the answer.
    pub request: Duration,
    /// How long a peer may take no byte of what it is sent, nor the next 16 KiB of one answer.
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
            connections_of_address: 256,
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
/// Bytes that are read of headers at all. What lies between is answered with a problem document. Beyond, at more than
/// 100 headers over HTTP/1.1, and to what is no HTTP, hyper answers with a bare status, without a request id.
pub const HEADER_BUFFER_BYTES: usize = 128 * 1024;
/// Bytes that are read and dropped of a body that is too large, so that its sender gets to read the answer.
pub const DROPPED_BODY_BYTES: usize = 1024 * 1024;
/// HTTP/2 requests at the same time on one connection.
pub const STREAMS: u32 = 128;
/// HTTP/2 requests that a client may take back before they were looked at; one more closes the connection.
pub const RESETS_UNSEEN: usize = 32;
/// HTTP/2 requests of one connection that may be malformed; one more closes it.
pub const MALFORMED_STREAMS: usize = 64;
/// Bytes that an HTTP/2 client may send of one request, and on one connection, before they are looked at.
pub const WINDOWS: (u32, u32) = (128 * 1024, 256 * 1024);
/// Bytes of an HTTP/2 answer that wait for a connection that takes none.
pub const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// Bytes of a body that are worth compressing: fewer fit into one packet anyway.
pub const COMPRESSED_BYTES_MIN: usize = 1024;
/// Bytes of a body that are compressed while others wait.
pub const COMPRESSED_BYTES_MAX: usize = 256 * 1024;
/// Probes that come within this time get what the first of them got.
pub const PROBES_APART: Duration = Duration::from_millis(250);
/// How long all checks of health may take; the engine bounds each.
pub const HEALTH_TIMEOUT: Duration = Duration::from_secs(4);

const _: () = assert!(URI_BYTES + HEADER_BYTES < HEADER_BUFFER_BYTES);

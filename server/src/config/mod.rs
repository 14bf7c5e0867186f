//! The configuration, resolved once: raw settings (file, environment, flags) become one checked [`Config`], or
//! every error that is in them. Nothing else in the server reads a file, a variable or a flag.
//!
//! [`keys`] describes each key in one table; [`layers`] gathers what was said; [`resolve`] checks it and fills in
//! the defaults; [`print`] shows the result with secrets hidden.

mod error;
#[cfg(test)]
mod fuzz_tests;
mod key_file;
mod keys;
mod layers;
mod network;
mod origins;
mod print;
mod provider;
mod resolve;
mod signing;
mod tuning;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tributary_engine::model::Handle;
use tributary_engine::{CacheBytes, Roles};

pub use error::{ConfigError, ConfigErrors, Origin};
pub use layers::Sources;
pub use network::Network;
pub use origins::Origins;
pub use provider::{Protocol, Provider, is_safe};
pub use signing::{Keys, TokenKey};
pub use tuning::{ToldFlush, ToldHot, ToldTuning};

/// Everything a node was told, checked. The relations between the settings hold.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the process does; at least one role.
    pub roles: Roles,
    /// The HTTP side.
    pub http: Http,
    /// Where truth is kept.
    pub store: Store,
    /// Where events go.
    pub log: Log,
    /// The nodes that hold windows; none: this process.
    pub shards: Vec<ShardNode>,
    /// Bytes of each cache.
    pub cache: CacheBytes,
    /// Who may come in, and how.
    pub auth: Auth,
    /// What was said about the tuning.
    pub tuning: ToldTuning,
    /// What a client may do.
    pub limits: Limits,
    /// Logs.
    pub telemetry: Telemetry,
    /// Whether this is the small living world of `--demo`.
    pub demo: bool,
    settings: resolve::Settings,
}

/// The HTTP side.
#[derive(Clone, Debug)]
pub struct Http {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whose pages may call the API from a browser.
    pub cors_origins: Origins,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
}

/// Where truth is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Store {
    /// In a folder of this process.
    Embedded {
        /// The folder; made where it is missing.
        path: PathBuf,
    },
    /// In PostgreSQL.
    Postgres {
        /// Its address.
        url: PostgresUrl,
        /// Connections at the most.
        pool_size: usize,
    },
}

/// The address of PostgreSQL, which may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub enum PostgresUrl {
    /// Said in the configuration.
    Said(String),
    /// In this file.
    InFile(PathBuf),
}

impl std::fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PostgresUrl(secret)")
    }
}

/// Where events go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Log {
    /// Into the store's own table.
    Embedded,
    /// Into a topic of Kafka.
    Kafka(Kafka),
}

/// A topic of Kafka.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kafka {
    /// Brokers to ask first, as `host:port`.
    pub brokers: Vec<String>,
    /// The topic's name.
    pub topic: String,
    /// Partitions that the topic has.
    pub partitions: u32,
    /// The client library.
    pub driver: KafkaDriver,
}

/// A client library of Kafka.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KafkaDriver {
    /// librdkafka.
    Rdkafka,
    /// rust-kafka, for brokers up to 3.9.
    RustKafka,
}

/// A node that holds windows.
#[derive(Clone, PartialEq, Eq)]
pub struct ShardNode {
    /// Its name; no two have the same.
    pub name: String,
    /// Its address, which may hold a password.
    pub url: String,
    /// Its share of the readers, in proportion to the others'.
    pub weight: u32,
}

impl std::fmt::Debug for ShardNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardNode").field("name", &self.name).field("weight", &self.weight).finish_non_exhaustive()
    }
}

/// Who may come in, and how.
#[derive(Clone, Debug)]
pub struct Auth {
    /// Whether `/v1/auth/dev` gives a token to whoever asks.
    pub dev_login: bool,
    /// Holds the keys behind tokens and cursors; see [`Keys::load`].
    pub signing_key_file: PathBuf,
    /// Life of an access token.
    pub access_ttl: Duration,
    /// Life of a refresh token.
    pub refresh_ttl: Duration,
    /// Users who are operators however they came in.
    pub operators: Vec<Handle>,
    /// Others who vouch for users; no two have the same name.
    pub providers: Vec<Provider>,
}

/// What a client may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Follows a user may have; 0: no limit.
    pub follows: u64,
    /// Posts a user may write in a minute; 0: no limit.
    pub posts_per_minute: u32,
    /// Requests a user, or before sign-in an address, may make in a second; 0: no limit.
    pub requests_per_second: u32,
}

/// Logs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Telemetry {
    /// What to log, in the syntax of `tracing`'s environment filter; valid.
    pub log: String,
    /// How it looks.
    pub log_format: LogFormat,
}

/// How a line of the log looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Resolves `sources`.
    ///
    /// # Errors
    /// Everything that is wrong in them, at once.
    pub fn resolve(sources: &Sources) -> Result<Self, ConfigErrors> {
        resolve::resolve(sources)
    }

    /// Resolves `file` (none: the defaults) under the environment of this process.
    ///
    /// # Errors
    /// Everything that is wrong in them, at once.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigErrors> {
        Self::resolve(&Sources { file: file.map(Path::to_owned), ..Sources::of_process() })
    }

    /// Every setting in effect, as a configuration file in which secrets are hidden.
    pub fn to_toml(&self) -> String {
        print::to_toml(&self.settings, &self.shards, &self.auth.providers)
    }
}

//! What goes wrong with a Redis: with one call, and with opening them all. No message holds a URL, which may hold a
//! password.

use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};
use thiserror::Error;

use super::slots::SlotMapError;

/// Why one Redis did not do it (or did it, and could not say so).
#[derive(Clone, Debug, Error)]
pub enum NodeError {
    /// It failed before, and is asked again only by the probe.
    #[error("it does not answer")]
    Open,
    /// It took too long.
    #[error("no answer within {} ms", .0.as_millis())]
    Slow(Duration),
    /// No connection, or it broke.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It is there, but does not serve for now (it loads its data, say).
    #[error("it is not ready: {0}")]
    NotReady(String),
    /// It answered with an error.
    #[error("it refused: {0}")]
    Refused(String),
    /// It was restarted since it was told the script.
    #[error("it does not know the script")]
    NoScript,
    /// It does not let us in.
    #[error("it does not let us in: {0}; check the user and the password in `url`")]
    Denied(String),
    /// It lacks what we need.
    #[error("it is too old: Redis 7.0 or Valkey is needed ({0})")]
    TooOld(String),
    /// Somebody else's keys, or ours of another version.
    #[error("foreign data under our keys: {0}; give this installation a key prefix or a Redis of its own")]
    Foreign(String),
}

impl NodeError {
    /// Whether it counts as not being there: asking again would be waiting in vain.
    pub(super) fn is_absence(&self) -> bool {
        !matches!(self, Self::Open | Self::Refused(_) | Self::NoScript)
    }

    /// Whether only an operator can mend it.
    pub(super) fn is_lasting(&self) -> bool {
        matches!(self, Self::Denied(_) | Self::TooOld(_) | Self::Foreign(_))
    }
}

impl From<RedisError> for NodeError {
    fn from(error: RedisError) -> Self {
        let text = error.to_string();
        match error.kind() {
            ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm) => Self::Denied(text),
            _ if matches!(error.code(), Some("NOAUTH" | "WRONGPASS")) => Self::Denied(text),
            ErrorKind::Server(ServerErrorKind::NoScript) => Self::NoScript,
            ErrorKind::Server(
                ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown | ServerErrorKind::ClusterDown,
            ) => Self::NotReady(text),
            ErrorKind::Io | ErrorKind::Parse => Self::Unreachable(text),
            _ => Self::Refused(text),
        }
    }
}

/// Why the shards cannot be opened. Each names the setting.
#[derive(Clone, Debug, Error)]
pub enum OpenError {
    /// There must be one.
    #[error("[[shard]]: at least one shard is needed")]
    NoShards,
    /// One name for two.
    #[error("[[shard]] name = {0:?} stands for two shards")]
    Twice(Box<str>),
    /// A URL that is none.
    #[error("[[shard]] name = {name:?}: `url` is not a Redis URL such as redis://:password@host:6379/0: {reason}")]
    Url {
        /// The shard.
        name: Box<str>,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS is not compiled in.
    #[error(
        "[[shard]] name = {0:?}: TLS (rediss://) is not supported; use redis:// over a private network or a tunnel"
    )]
    Tls(Box<str>),
    /// The server is there and is not what we need.
    #[error("[[shard]] name = {name:?}: {error}")]
    Node {
        /// The shard.
        name: Box<str>,
        /// What is wrong with it.
        error: NodeError,
    },
    /// A prefix that could not be told from what stands behind it.
    #[error("the key prefix {0:?} must be 1 to 32 of the characters A-Z a-z 0-9 _ - .")]
    KeyPrefix(String),
    /// A map with a shard that is not configured.
    #[error("[[shard]]: the slot map of version {version} has the shards {map}, the configuration has {configured}")]
    Names {
        /// The map's version.
        version: u64,
        /// Its shards.
        map: String,
        /// Those of the configuration.
        configured: String,
    },
    /// No map.
    #[error(transparent)]
    Map(#[from] SlotMapError),
}

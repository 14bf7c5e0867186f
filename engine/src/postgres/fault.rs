//! What can go wrong below the port. No error here holds a URL or a password: those of a server and of the client
//! library name hosts, users and databases at the most.

use std::error::Error as _;

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::ports::StoreError;

/// A failure, before it is known what was being done.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server's error, or that of the connection to it.
    Postgres(Error),
    /// No connection, or none that may be used.
    Closed(String),
    /// No answer within the time that the client gives.
    TimedOut,
    /// A row that this version does not understand, or that another row promises and is not there.
    Malformed(&'static str),
    /// What was asked for does not fit what the store holds; says what to do.
    Conflict(String),
}

impl Fault {
    /// The port's error: what was being done, and what happened.
    pub(super) fn during(self, doing: &str) -> StoreError {
        match self {
            Self::Malformed(what) => StoreError::Corrupt(format!("{doing}: {what}")),
            other => StoreError::Unavailable(format!("{doing}: {}", other.text())),
        }
    }

    /// What happened.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Postgres(error) => text(error),
            Self::Closed(why) | Self::Conflict(why) => why.clone(),
            Self::TimedOut => "PostgreSQL did not answer in time".into(),
            Self::Malformed(what) => (*what).into(),
        }
    }

    /// The server's code.
    pub(super) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Postgres(error) => error.code(),
            _ => None,
        }
    }

    /// Whether the same transaction may succeed when it is run again at once.
    pub(super) fn passes(&self) -> bool {
        self.code().is_some_and(|code| {
            *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
        })
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Postgres(error)
    }
}

impl From<PoolError> for Fault {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => Self::Postgres(error),
            PoolError::PostCreateHook(HookError::Message(why)) => Self::Closed(why.into_owned()),
            PoolError::Timeout(TimeoutType::Wait) => {
                Self::Closed("every connection is in use: the pool is too small, or PostgreSQL too slow".into())
            }
            PoolError::Timeout(_) => Self::TimedOut,
            PoolError::Closed | PoolError::NoRuntimeSpecified => Self::Closed("the pool is closed".into()),
        }
    }
}

/// The server's message with its code, or the client library's with its cause.
fn text(error: &Error) -> String {
    if let Some(error) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", error.message(), error.code().code());
    }
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

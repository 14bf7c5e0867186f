//! What can go wrong below the port: redb failed, or a row cannot be understood.

use crate::ports::StoreError;

/// A failure, before it is known what was being done.
#[derive(Debug)]
pub(super) enum Fault {
    /// redb's own error.
    Redb(redb::Error),
    /// A row that this version does not understand, or that another row promises and is not there.
    Malformed(&'static str),
    /// An import that does not fit what the store holds; says what to do.
    Conflict(String),
}

impl Fault {
    /// The port's error: what was being done, and what happened.
    pub(super) fn during(self, doing: &'static str) -> StoreError {
        match self {
            Self::Redb(redb::Error::Corrupted(why)) => StoreError::Corrupt(format!("{doing}: {why}")),
            Self::Redb(why) => StoreError::Unavailable(format!("{doing}: {why}")),
            Self::Malformed(what) => StoreError::Corrupt(format!("{doing}: {what}")),
            Self::Conflict(why) => StoreError::Unavailable(format!("{doing}: {why}")),
        }
    }
}

macro_rules! from_redb {
    ($($error:ident)*) => {
        $(impl From<redb::$error> for Fault {
            fn from(error: redb::$error) -> Self {
                Self::Redb(error.into())
            }
        })*
    };
}
from_redb!(StorageError TableError TransactionError CommitError SetDurabilityError);

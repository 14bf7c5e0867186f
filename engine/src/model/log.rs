//! Numbers of the log and of the store: positions, stamps, epochs.

use serde::{Deserialize, Serialize};

/// A number in the log. As a statement: "everything up to and including this event". 0: nothing yet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Position(pub u64);

impl Position {
    /// Before the first event.
    pub const ZERO: Self = Self(0);

    /// The number after this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The store's logical time of a read, or of a change to a follow. A change made at or after a read's stamp
/// may not have been seen by that read; one made before it was.
/// PostgreSQL: `pg_current_xact_id()` on the row, `pg_snapshot_xmin` of the read; redb: the commit sequence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Stamp(pub u64);

/// The identity of the store's history. A restore, a failover that lost commits or an import changes it;
/// whatever was cached or tokened under another epoch is absent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Epoch(pub u64);

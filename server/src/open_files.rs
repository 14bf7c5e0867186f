//! Open files: each connection is one, and what a process may have by default is often less than it may ask for.

use crate::http::Bounds;

/// Files that are no connections of clients: of the store, the log, the shards.
const OWN: u64 = 1_024;

/// Asks the system for as many open files as the bounds of connections need.
pub fn allow(bounds: &Bounds) {
    let needed = OWN + bounds.connections as u64;
    match rlimit::increase_nofile_limit(needed) {
        Ok(allowed) if allowed >= needed => {}
        Ok(allowed) => tracing::warn!(allowed, needed, "few open files are allowed: connections may have to wait"),
        Err(error) => tracing::warn!(%error, needed, "how many open files are allowed is not known"),
    }
}

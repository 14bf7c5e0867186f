//! The gate before the connections: none is handed out that may talk to another history than the one the node knows.
//!
//! A server that was started again may have been restored from a backup in between. Until the node has confirmed the
//! epoch with its newest event as a witness ([`epoch`](super::epoch)), a command must not be committed there: it would
//! be acknowledged beside caches of a history that is gone. And a store that is found on another system or timeline
//! than the last time (restored elsewhere, replica promoted) is another history at once.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use super::rows::new_epoch;
use crate::limits::{LOAD_TIMEOUT, LOCK_TIMEOUT};

/// Settings of every connection, and when its server was started (microseconds).
/// Plans are generic: each of our statements is a look-up by its key whatever the values, and planning one anew for
/// eight partitions costs more than running it.
const OPEN: &str = "SELECT pg_is_in_recovery(), (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,
    set_config('statement_timeout', $1, false), set_config('lock_timeout', $2, false),
    set_config('idle_in_transaction_session_timeout', $3, false),
    set_config('plan_cache_mode', 'force_generic_plan', false), set_config('jit', 'off', false),
    set_config('synchronous_commit',
               CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END,
               false)";
/// The history's place as it was last seen and as it is now. The control file learns of a promotion at the next
/// checkpoint only; the name of the present WAL file begins with the timeline.
const PLACE: &str = "SELECT epoch.id, epoch.system_identifier, epoch.timeline, here.system_identifier,
    ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer
    FROM epoch, pg_control_system() AS here";
/// Another history, once: unless another connection has said so before.
const MOVED: &str = "UPDATE epoch SET id = $1, system_identifier = $2, timeline = $3
    WHERE id = $4 AND (system_identifier, timeline) IS DISTINCT FROM ($2, $3)";

/// A run of the server, from its start to its end.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// When the server was started, by its own clock.
    started: i64,
    /// Since when this node knows of it. Connections made before belong to an earlier one.
    known: Instant,
    /// Whether its history is confirmed.
    confirmed: bool,
}

/// What of a new connection is wrong.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A query failed.
    Postgres(Error),
    /// The server only repeats another one.
    Standby,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Postgres(error)
    }
}

/// The gate of one store.
#[derive(Debug, Default)]
pub(super) struct Gate {
    run: Mutex<Option<Run>>,
}

impl Gate {
    /// Sets a new connection up and looks at whom it talks to. Every connection passes here, so its server is that
    /// of [`Run`], or it becomes a run to be confirmed.
    pub(super) async fn open(&self, client: &Client) -> Result<(), Refusal> {
        let ms = |time: std::time::Duration| time.as_millis().to_string();
        let (statement, lock) = (ms(LOAD_TIMEOUT), ms(LOCK_TIMEOUT));
        let row = client.query_one(OPEN, &[&statement, &lock, &statement]).await?;
        if row.try_get::<_, bool>(0)? {
            return Err(Refusal::Standby);
        }
        self.seen(row.try_get(1)?);
        match client.query_one(PLACE, &[]).await {
            Ok(place) => {
                let (id, system, timeline): (i64, i64, i32) = (place.try_get(0)?, place.try_get(1)?, place.try_get(2)?);
                let here: (i64, i32) = (place.try_get(3)?, place.try_get(4)?);
                if (system, timeline) != here {
                    tracing::warn!("PostgreSQL is another system or timeline than before: a new history begins");
                    client.execute(MOVED, &[&(new_epoch().0 as i64), &here.0, &here.1, &id]).await?;
                }
            }
            // Who may not look has the witnesses alone.
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                tracing::debug!("the role may not read which system and timeline this is");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn seen(&self, started: i64) {
        let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        if run.is_none_or(|run| run.started != started) {
            if run.is_some() {
                tracing::warn!("PostgreSQL was restarted: its history is being confirmed");
            }
            // The first run is confirmed: the node knows nothing yet that could differ.
            *run = Some(Run { started, known: Instant::now(), confirmed: run.is_none() });
        }
    }

    /// The history of the run that began at `started` is confirmed.
    pub(super) fn confirm(&self, started: i64) {
        let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = run.as_mut().filter(|run| run.started == started) {
            run.confirmed = true;
        }
    }

    /// Whether a connection made at `made` talks to the latest run of the server that is known. One that was made
    /// before that run was known may talk to an earlier one.
    pub(super) fn is_present(&self, made: Instant) -> bool {
        self.run.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|run| made >= run.known)
    }

    /// Whether that run's history is confirmed.
    pub(super) fn is_confirmed(&self) -> bool {
        self.run.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|run| run.confirmed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restarted_server_is_closed_to_all_until_its_own_history_is_confirmed() {
        let gate = Gate::default();
        assert!(!gate.is_confirmed() && !gate.is_present(Instant::now()));
        gate.seen(1);
        let of_first_run = Instant::now();
        assert!(gate.is_confirmed() && gate.is_present(of_first_run));
        gate.seen(1);
        assert!(gate.is_confirmed() && gate.is_present(of_first_run));
        gate.seen(2);
        assert!(!gate.is_confirmed(), "its history may have been rolled back");
        assert!(!gate.is_present(of_first_run), "it may still talk to the first");
        gate.confirm(1);
        assert!(!gate.is_confirmed(), "that was the other run");
        gate.confirm(2);
        assert!(gate.is_confirmed() && gate.is_present(Instant::now()));
    }
}

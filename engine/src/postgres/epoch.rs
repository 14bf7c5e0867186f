//! The identity of the history, confirmed before two witnesses: the newest event that the node has applied, and how
//! far the server's write-ahead log had come when the node last asked. The event alone would not do: commands that were
//! acknowledged and not yet numbered are lost with a restore too, and so is the clock of stamps (transaction ids),
//! which then passes over the same numbers once more.

use std::sync::PoisonError;

use super::fault::Fault;
use super::rows::{column, epoch, new_epoch, position};
use super::store::Inner;
use crate::model::{Epoch, LoggedEvent};
use crate::ports::StoreError;

/// Epoch, floor, the event under the witness's number, when the server was started that says so, and how far its log
/// is on the disk.
const CONFIRM: &str = "SELECT epoch.id, log_positions.floor, (SELECT event FROM outbox WHERE number = $1),
    (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,
    (pg_current_wal_flush_lsn() - '0/0')::bigint
    FROM epoch, log_positions";
/// Renewed once, whoever finds it first; the epoch there is then.
const RENEW: &str = "UPDATE epoch SET id = $1 WHERE id = $2";
const EPOCH: &str = "SELECT id FROM epoch";

impl Inner {
    /// Answers, or has answered, before the gate opens again after a restart of the server.
    pub(super) async fn confirm_epoch(&self, witness: Option<&LoggedEvent>) -> Result<Epoch, StoreError> {
        let confirmed = async {
            let lent = self.lend_unconfirmed().await?;
            let at = witness.map_or(0, |witness| column(witness.position.0));
            // Before the question: of two at the same time, the one that was asked first may be answered last.
            let reached = *self.reached.lock().unwrap_or_else(PoisonError::into_inner);
            let row = lent.one(CONFIRM, &[&at]).await?;
            let (mut present, floor, started) = (epoch(&row, 0)?, position(&row, 1)?, row.try_get(3)?);
            let known = witness.is_none_or(|witness| {
                // A witness of another history says nothing about this one.
                let event: Option<&[u8]> = row.try_get(2).unwrap_or_default();
                witness.epoch != present || event.map_or(witness.position <= floor, |event| event == &*witness.bytes)
            });
            let now: i64 = row.try_get(4)?;
            let went_back = reached.is_some_and(|(of, reached)| of == present && now < reached);
            if !known || went_back {
                lent.query(RENEW, &[&column(new_epoch().0), &column(present.0)]).await?;
                present = epoch(&lent.one(EPOCH, &[]).await?, 0)?;
            }
            *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = Some((present, now));
            self.gate.confirm(started);
            Ok(present)
        };
        confirmed.await.map_err(|fault: Fault| fault.during("confirming the epoch"))
    }
}

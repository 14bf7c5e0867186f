//! The identity of the history, confirmed before witnesses: the newest event that the node has applied, the commands that
//! the node has acknowledged last, and how far the server's write-ahead log had come when the node last asked. The event
//! alone would not do: commands that were acknowledged and not yet numbered are lost with a restore too, and so is the
//! clock of stamps (transaction ids), which then passes over the same numbers once more.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::fault::Fault;
use super::rows::{column, epoch, new_epoch, position};
use super::store::Inner;
use crate::limits::{ACKNOWLEDGED_KNOWN, IDEMPOTENCY_TTL};
use crate::model::{Epoch, LoggedEvent, Millis, Request};
use crate::ports::StoreError;

/// Epoch, floor, the event under the witness's number, when the server was started that says so, how far its log is on
/// the disk, and whether the records of these keys are there. A record is looked up by its key, one after the other:
/// a join might read the whole table.
const CONFIRM: &str = "SELECT epoch.id, log_positions.floor, (SELECT event FROM outbox WHERE number = $1),
    (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,
    (pg_current_wal_flush_lsn() - '0/0')::bigint,
    (SELECT coalesce(bool_and(made_at IS NOT DISTINCT FROM (
        SELECT made_at FROM idempotency WHERE idempotency.actor = known.actor AND idempotency.key = known.key)), true)
     FROM unnest($2::bigint[], $3::bytea[], $4::bigint[]) AS known(actor, key, made_at))
    FROM epoch, log_positions";
/// Renewed once, whoever finds it first; the epoch there is then.
const RENEW: &str = "UPDATE epoch SET id = $1 WHERE id = $2";
const EPOCH: &str = "SELECT id FROM epoch";

/// What this node knows of the history, besides the event that its caller names.
#[derive(Default)]
pub(super) struct Witnesses {
    known: Mutex<Known>,
}

#[derive(Clone, Default)]
struct Known {
    /// The history that all of this is of; none before the first confirmation.
    of: Option<Epoch>,
    /// How far the server's log had come.
    reached: i64,
    /// The commands acknowledged last: more than can have been acknowledged in another order than they were committed
    /// in, so that whatever a restore takes away, it takes one of these.
    acknowledged: VecDeque<Acknowledged>,
}

/// The record of a command's key (law 7).
#[derive(Clone)]
struct Acknowledged {
    actor: i64,
    key: Box<[u8]>,
    made_at: Millis,
}

impl Witnesses {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A command is about to be acknowledged whose record was made at `now`.
    pub(super) fn acknowledge(&self, request: &Request, now: Millis) {
        let mut known = self.known();
        if known.acknowledged.len() == ACKNOWLEDGED_KNOWN {
            known.acknowledged.pop_front();
        }
        let key = request.key.key.as_ref().into();
        known.acknowledged.push_back(Acknowledged { actor: column(request.actor.0), key, made_at: now });
    }

    /// What is known, without records so old that the janitor may have taken them.
    fn at(&self, now: Millis) -> Known {
        let mut known = self.known();
        let young = |told: &Acknowledged| u128::from(now.0.abs_diff(told.made_at.0)) < IDEMPOTENCY_TTL.as_millis() / 2;
        known.acknowledged.retain(young);
        known.clone()
    }

    /// The history is confirmed as `of`, with its log at `reached`.
    fn confirmed(&self, of: Epoch, reached: i64) {
        let mut known = self.known();
        if known.of != Some(of) {
            known.acknowledged.clear();
        }
        known.of = Some(of);
        known.reached = reached;
    }
}

impl Inner {
    /// Answers, or has answered, before the gate opens again after a restart of the server.
    pub(super) async fn confirm_epoch(&self, witness: Option<&LoggedEvent>) -> Result<Epoch, StoreError> {
        let confirmed = async {
            let lent = self.lend_unconfirmed().await?;
            let at = witness.map_or(0, |witness| column(witness.position.0));
            // Before the question: of two at the same time, the one that was asked first may be answered last.
            let Known { of, reached, acknowledged } = self.witnesses.at(self.clock.now());
            let actors: Vec<i64> = acknowledged.iter().map(|told| told.actor).collect();
            let keys: Vec<&[u8]> = acknowledged.iter().map(|told| &*told.key).collect();
            let made_at: Vec<i64> = acknowledged.iter().map(|told| column(told.made_at.0)).collect();
            let row = lent.one(CONFIRM, &[&at, &actors, &keys, &made_at]).await?;
            let (mut present, floor, started) = (epoch(&row, 0)?, position(&row, 1)?, row.try_get(3)?);
            // A witness of another history says nothing about this one.
            let event_is_there = witness.is_none_or(|witness| {
                let event: Option<&[u8]> = row.try_get(2).unwrap_or_default();
                witness.epoch != present || event.map_or(witness.position <= floor, |event| event == &*witness.bytes)
            });
            let (now, records_are_there): (i64, bool) = (row.try_get(4)?, row.try_get(5)?);
            let went_on = of != Some(present) || (now >= reached && records_are_there);
            if !(event_is_there && went_on) {
                lent.query(RENEW, &[&column(new_epoch().0), &column(present.0)]).await?;
                present = epoch(&lent.one(EPOCH, &[]).await?, 0)?;
            }
            self.witnesses.confirmed(present, now);
            self.gate.confirm(started);
            Ok(present)
        };
        confirmed.await.map_err(|fault: Fault| fault.during("confirming the epoch"))
    }
}

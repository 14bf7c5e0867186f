//! The event table: read by the relay and by followers of the log, trimmed by the janitor.

use redb::{ReadTransaction, ReadableTable};

use super::fault::Fault;
use super::tables::{DEAD_LETTERS, EVENTS, META_EPOCH, META_FLOOR};
use super::writing::{Need, Writing};
use super::{import, reads, sessions};
use crate::model::{DeadLetter, Epoch, LoggedEvent, Millis, Position};
use crate::ports::Removable;

/// The position before the oldest event that is kept.
pub(super) fn floor(t: &ReadTransaction) -> Result<Position, Fault> {
    Ok(Position(reads::number(t, META_FLOOR)?))
}

/// Up to `limit` events of (after, to], in order.
pub(super) fn between(
    t: &ReadTransaction,
    after: Position,
    to: Position,
    limit: usize,
) -> Result<Vec<LoggedEvent>, Fault> {
    if after >= to {
        return Ok(Vec::new());
    }
    let epoch = Epoch(reads::number(t, META_EPOCH)?);
    let range = t.open_table(EVENTS)?.range(after.next().0..=to.0)?;
    let event = |row: Result<_, redb::StorageError>| {
        let (number, bytes): (redb::AccessGuard<'_, u64>, redb::AccessGuard<'_, &[u8]>) = row?;
        Ok(LoggedEvent { epoch, position: Position(number.value()), bytes: bytes.value().into() })
    };
    range.take(limit).map(event).collect()
}

/// Up to `limit` events after `after`, in order, and the position before the oldest that is kept.
pub(super) fn kept(t: &ReadTransaction, after: Position, limit: usize) -> Result<(Position, Vec<LoggedEvent>), Fault> {
    Ok((floor(t)?, between(t, after, Position(u64::MAX), limit)?))
}

/// The epoch, and whether this is the history of `witness`: it has that event under its number, or had it. One of
/// another epoch says nothing.
pub(super) fn confirm(t: &ReadTransaction, witness: &LoggedEvent) -> Result<(Epoch, bool), Fault> {
    let epoch = Epoch(reads::number(t, META_EPOCH)?);
    let confirmed = epoch != witness.epoch
        || match t.open_table(EVENTS)?.get(witness.position.0)? {
            Some(event) => event.value() == &*witness.bytes,
            None => witness.position <= floor(t)?,
        };
    Ok((epoch, confirmed))
}

/// Gives the history a new epoch, unless it is not `known` any more; the epoch it has then.
pub(super) fn renew_epoch(w: &mut Writing<'_>, known: Epoch) -> Result<Epoch, Fault> {
    let epoch = Epoch(w.meta.get(META_EPOCH)?.map_or(0, |epoch| epoch.value()));
    if epoch != known {
        return Ok(epoch);
    }
    let epoch = import::new_epoch();
    w.meta.insert(META_EPOCH, epoch.0)?;
    w.must(Need::Durable);
    Ok(epoch)
}

/// Every dead letter.
pub(super) fn dead_letters(t: &ReadTransaction) -> Result<Vec<DeadLetter>, Fault> {
    let mut letters = Vec::new();
    for row in t.open_table(DEAD_LETTERS)?.iter()? {
        let (key, value) = row?;
        let ((epoch, number), (reason, bytes)) = (key.value(), value.value());
        let event = LoggedEvent { epoch: Epoch(epoch), position: Position(number), bytes: bytes.into() };
        letters.push(DeadLetter { event, reason: reason.into() });
    }
    Ok(letters)
}

/// Removes up to `limit` rows that nobody needs: keys by age, then events up to a number that is published, then
/// sessions that have ended.
pub(super) fn remove_old(w: &mut Writing<'_>, what: Removable, limit: usize) -> Result<usize, Fault> {
    let keys = remove_keys(w, what.keys_before, limit)?;
    let events = remove_events(w, what.events_to, limit - keys)?;
    let sessions = sessions::remove_expired(w, what.sessions_before, limit - keys - events)?;
    let removed = keys + events + sessions;
    if removed > 0 {
        // Rows that come back after a crash are removed again.
        w.must(Need::Visible);
    }
    Ok(removed)
}

fn remove_keys(w: &mut Writing<'_>, before: Millis, limit: usize) -> Result<usize, Fault> {
    let mut old = Vec::new();
    for row in w.keys_by_time.range(..(before.0, 0, [].as_slice()))?.take(limit) {
        let (row, _) = row?;
        let (made_at, actor, key) = row.value();
        old.push((made_at, actor, key.to_vec()));
    }
    for (made_at, actor, key) in &old {
        w.keys_by_time.remove((*made_at, *actor, key.as_slice()))?;
        w.keys.remove((*actor, key.as_slice()))?;
    }
    Ok(old.len())
}

fn remove_events(w: &mut Writing<'_>, to: Position, limit: usize) -> Result<usize, Fault> {
    let mut removed = 0;
    while removed < limit {
        let Some((number, _)) = w.events.first()?.map(|(number, row)| (number.value(), drop(row))) else { break };
        if number > to.0 {
            break;
        }
        w.events.remove(number)?;
        w.meta.insert(META_FLOOR, number)?;
        removed += 1;
    }
    Ok(removed)
}

//! The event table: read by the relay and by followers of the log, trimmed by the janitor.

use redb::{ReadTransaction, ReadableTable};

use super::fault::Fault;
use super::reads;
use super::tables::{EVENTS, META_FLOOR};
use super::writing::{Need, Writing};
use crate::model::{DecodeError, Event, Millis, NumberedEvent, Position};
use crate::ports::Removable;

/// A number and what stands under it.
pub(super) type Slot = (Position, Result<Event, DecodeError>);

/// The position before the oldest event that is kept.
pub(super) fn floor(t: &ReadTransaction) -> Result<Position, Fault> {
    Ok(Position(reads::number(t, META_FLOOR)?))
}

/// Up to `limit` events of (after, to], in order.
pub(super) fn slots(t: &ReadTransaction, after: Position, to: Position, limit: usize) -> Result<Vec<Slot>, Fault> {
    if after >= to {
        return Ok(Vec::new());
    }
    let range = t.open_table(EVENTS)?.range(after.next().0..=to.0)?;
    let slot = |row: Result<_, redb::StorageError>| {
        let (number, event): (redb::AccessGuard<'_, u64>, redb::AccessGuard<'_, &[u8]>) = row?;
        Ok((Position(number.value()), Event::decode(event.value())))
    };
    range.take(limit).map(slot).collect()
}

/// Up to `limit` events after `after` that are of a known form, in order.
pub(super) fn known(t: &ReadTransaction, after: Position, limit: usize) -> Result<Vec<NumberedEvent>, Fault> {
    let event = |(position, event): Slot| Some(NumberedEvent { position, event: event.ok()? });
    Ok(slots(t, after, Position(u64::MAX), limit)?.into_iter().filter_map(event).collect())
}

/// As [`known`], with the position before the oldest event that a reader at `after` can go on from: behind what was
/// trimmed, and behind any hole.
pub(super) fn unbroken(
    t: &ReadTransaction,
    after: Position,
    limit: usize,
) -> Result<(Position, Vec<NumberedEvent>), Fault> {
    let (mut oldest, mut events) = (floor(t)?, Vec::new());
    for (position, event) in slots(t, after, Position(u64::MAX), limit)? {
        match event {
            Ok(event) => events.push(NumberedEvent { position, event }),
            Err(_) => {
                oldest = oldest.max(position);
                events.clear();
            }
        }
    }
    Ok((oldest, events))
}

/// Removes up to `limit` rows that nobody needs: keys by age, then events up to a number that is published.
pub(super) fn remove_old(w: &mut Writing<'_>, what: Removable, limit: usize) -> Result<usize, Fault> {
    let keys = remove_keys(w, what.keys_before, limit)?;
    let events = remove_events(w, what.events_to, limit - keys)?;
    if keys + events > 0 {
        // Rows that come back after a crash are removed again.
        w.must(Need::Visible);
    }
    Ok(keys + events)
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

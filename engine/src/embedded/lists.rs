//! Follow lists, packed: a user's list is a few chunks of up to [`CHUNK`] entries by rising id, not a row an edge.
//! Adding a follower to an author of a million rewrites one chunk of a few kilobytes.
//!
//! A chunk is keyed by its owner and its lower bound, and holds the ids from there to the next chunk's bound. The
//! first bound is 0, so every id has a place; a chunk that empties is removed, and the one before it takes over its
//! range. Chunks are not united again: a list that shrinks keeps small chunks, which costs some seeks, never entries.

use std::ops::ControlFlow;

use redb::{ReadableTable, Table};

use super::codec::{put_number, take_number};
use super::fault::Fault;
use crate::model::{Stamp, UserId};

/// Entries of a chunk at the most.
pub(super) const CHUNK: usize = 512;
/// Entries of the chunks that a long run is cut into: room for some more.
const CUT: usize = CHUNK * 3 / 4;

/// One entry of a list. Followees carry the stamp of the follow; followers carry 0, for one byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub(super) user: UserId,
    pub(super) stamp: Stamp,
}

/// A table of such lists, open for writing.
pub(super) type ListTable<'t> = Table<'t, (u64, u64), &'static [u8]>;

fn encode(low: u64, entries: &[Entry]) -> Vec<u8> {
    let mut chunk = Vec::with_capacity(entries.len() * 7);
    let mut previous = low;
    for entry in entries {
        put_number(entry.user.0 - previous, &mut chunk);
        put_number(entry.stamp.0, &mut chunk);
        previous = entry.user.0;
    }
    chunk
}

/// Calls `each` with the entries of a chunk in order, until it breaks.
fn decode(
    low: u64,
    mut chunk: &[u8],
    mut each: impl FnMut(Entry) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Fault> {
    const WHAT: Fault = Fault::Malformed("a follow list's chunk is malformed");
    let mut previous = low;
    while !chunk.is_empty() {
        let user = take_number(&mut chunk).and_then(|delta| previous.checked_add(delta)).ok_or(WHAT)?;
        let stamp = Stamp(take_number(&mut chunk).ok_or(WHAT)?);
        if each(Entry { user: UserId(user), stamp }).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        previous = user;
    }
    Ok(ControlFlow::Continue(()))
}

/// The chunk whose range holds `user`: its bound and its entries.
fn chunk_of(
    table: &impl ReadableTable<(u64, u64), &'static [u8]>,
    owner: UserId,
    user: UserId,
) -> Result<Option<(u64, Vec<Entry>)>, Fault> {
    let Some(found) = table.range((owner.0, 0)..=(owner.0, user.0))?.next_back() else { return Ok(None) };
    let (key, chunk) = found?;
    let low = key.value().1;
    let mut entries = Vec::with_capacity(CHUNK + 1);
    let _: ControlFlow<()> = decode(low, chunk.value(), |entry| {
        entries.push(entry);
        ControlFlow::Continue(())
    })?;
    Ok(Some((low, entries)))
}

/// Whether `user` is on the list of `owner`.
pub(super) fn contains(
    table: &impl ReadableTable<(u64, u64), &'static [u8]>,
    owner: UserId,
    user: UserId,
) -> Result<bool, Fault> {
    let chunk = chunk_of(table, owner, user)?;
    Ok(chunk.is_some_and(|(_, entries)| entries.binary_search_by_key(&user, |entry| entry.user).is_ok()))
}

/// Calls `each` with the entries after `after`, by rising id, until it breaks.
pub(super) fn scan(
    table: &impl ReadableTable<(u64, u64), &'static [u8]>,
    owner: UserId,
    after: UserId,
    mut each: impl FnMut(Entry) -> ControlFlow<()>,
) -> Result<(), Fault> {
    let first = table.range((owner.0, 0)..=(owner.0, after.0))?.next_back();
    let low = first.transpose()?.map_or(0, |(key, _)| key.value().1);
    for row in table.range((owner.0, low)..=(owner.0, u64::MAX))? {
        let (key, chunk) = row?;
        let end = decode(key.value().1, chunk.value(), |entry| {
            if entry.user > after { each(entry) } else { ControlFlow::Continue(()) }
        })?;
        if end.is_break() {
            break;
        }
    }
    Ok(())
}

/// The whole list, by rising id.
pub(super) fn all(table: &impl ReadableTable<(u64, u64), &'static [u8]>, owner: UserId) -> Result<Vec<Entry>, Fault> {
    let mut entries = Vec::new();
    scan(table, owner, UserId(0), |entry| {
        entries.push(entry);
        ControlFlow::Continue(())
    })?;
    Ok(entries)
}

/// Adds entries (by rising id, each once) and returns those that were not there; those that were keep their stamp.
pub(super) fn insert(table: &mut ListTable<'_>, owner: UserId, entries: &[Entry]) -> Result<Vec<UserId>, Fault> {
    let mut added = Vec::with_capacity(entries.len());
    let mut rest = entries;
    while let Some(first) = rest.first() {
        let next = table.range((owner.0, first.user.0.saturating_add(1))..=(owner.0, u64::MAX))?.next();
        let bound = next.transpose()?.map_or(u64::MAX, |(key, _)| key.value().1);
        let (here, later) = rest.split_at(rest.partition_point(|entry| entry.user.0 < bound).max(1));
        let (low, present) = chunk_of(table, owner, first.user)?.unwrap_or_default();
        let before = added.len();
        let united = unite(present, here, &mut added);
        if added.len() > before {
            write(table, owner, low, &united)?;
        }
        rest = later;
    }
    Ok(added)
}

fn unite(present: Vec<Entry>, new: &[Entry], added: &mut Vec<UserId>) -> Vec<Entry> {
    let mut united = Vec::with_capacity(present.len() + new.len());
    let mut present = present.into_iter().peekable();
    for &entry in new {
        while let Some(earlier) = present.next_if(|p| p.user < entry.user) {
            united.push(earlier);
        }
        if present.peek().is_none_or(|p| p.user != entry.user) {
            united.push(entry);
            added.push(entry.user);
        }
    }
    united.extend(present);
    united
}

/// Writes a chunk, cut into several where it is too long.
fn write(table: &mut ListTable<'_>, owner: UserId, low: u64, entries: &[Entry]) -> Result<(), Fault> {
    if entries.len() <= CHUNK {
        table.insert((owner.0, low), encode(low, entries).as_slice())?;
        return Ok(());
    }
    let size = entries.len().div_ceil(entries.len().div_ceil(CUT));
    let mut low = low;
    let mut pieces = entries.chunks(size).peekable();
    while let Some(piece) = pieces.next() {
        table.insert((owner.0, low), encode(low, piece).as_slice())?;
        low = pieces.peek().and_then(|next| next.first()).map_or(low, |entry| entry.user.0);
    }
    Ok(())
}

/// Takes `user` off the list; whether it was there.
pub(super) fn remove(table: &mut ListTable<'_>, owner: UserId, user: UserId) -> Result<bool, Fault> {
    let Some((low, mut entries)) = chunk_of(table, owner, user)? else { return Ok(false) };
    let Ok(place) = entries.binary_search_by_key(&user, |entry| entry.user) else { return Ok(false) };
    entries.remove(place);
    if entries.is_empty() {
        table.remove((owner.0, low))?;
    } else {
        table.insert((owner.0, low), encode(low, &entries).as_slice())?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use redb::{Database, TableDefinition};

    use super::*;
    use crate::testkit::fuzz;

    #[test]
    fn a_chunk_is_malformed_or_rising_entries_that_encode_to_the_same_again() {
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/chunk");
        let entry = |user: u64, stamp: u64| Entry { user: UserId(user), stamp: Stamp(stamp) };
        let seeds =
            [encode(9, &[entry(9, 1), entry(300, u64::MAX), entry(u64::MAX, 0)]), encode(9, &[entry(1 << 40, 7)])];
        fuzz(kept, seeds.to_vec(), |input| {
            let mut entries = Vec::new();
            let read = decode(9, input, |entry| {
                entries.push(entry);
                ControlFlow::Continue(())
            });
            assert!(entries.len() <= input.len() / 2 && entries.is_sorted_by_key(|entry| entry.user));
            let mut again = Vec::new();
            let whole = decode(9, &encode(9, &entries), |entry| {
                again.push(entry);
                ControlFlow::Continue(())
            });
            assert!(whole.is_ok() && again.len() == entries.len());
            let same = |(a, b): (&Entry, &Entry)| (a.user, a.stamp) == (b.user, b.stamp);
            assert!(again.iter().zip(&entries).all(same));
            read.is_ok()
        });
    }

    const LISTS: TableDefinition<(u64, u64), &[u8]> = TableDefinition::new("lists");

    #[derive(Clone, Debug)]
    enum Change {
        Insert(u8, Vec<u64>),
        RemoveRange(u8, u64, u64),
    }

    fn any_change() -> impl Strategy<Value = Change> {
        let spread = prop::collection::vec(1..5_000u64, 1..60);
        let run = (1..4_000u64, 500..2_500u64).prop_map(|(from, count)| (from..from + count).collect());
        prop_oneof![
            4 => (0..3u8, spread).prop_map(|(owner, users)| Change::Insert(owner, users)),
            1 => (0..3u8, run).prop_map(|(owner, users)| Change::Insert(owner, users)),
            2 => (0..3u8, 1..5_000u64, 1..900u64).prop_map(|(owner, from, count)| Change::RemoveRange(owner, from, count)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn lists_hold_what_a_sorted_map_holds_in_chunks_of_bounded_size(
            changes in prop::collection::vec(any_change(), 1..25), after in 0..6_000u64,
        ) {
            let database = Database::builder().create_with_backend(redb::backends::InMemoryBackend::new()).unwrap();
            let transaction = database.begin_write().unwrap();
            let mut table = transaction.open_table(LISTS).unwrap();
            let mut truth: BTreeMap<(u8, u64), u64> = BTreeMap::new();
            for (stamp, change) in changes.into_iter().enumerate() {
                match change {
                    Change::Insert(owner, mut users) => {
                        users.sort_unstable();
                        users.dedup();
                        let stamp = stamp as u64;
                        let entry = |&user| Entry { user: UserId(user), stamp: Stamp(stamp) };
                        let entries: Vec<_> = users.iter().map(entry).collect();
                        let added = insert(&mut table, UserId(owner.into()), &entries).unwrap();
                        let new = users.into_iter().filter(|&user| {
                            let absent = !truth.contains_key(&(owner, user));
                            truth.entry((owner, user)).or_insert(stamp);
                            absent
                        });
                        prop_assert_eq!(added, new.map(UserId).collect::<Vec<_>>());
                    }
                    Change::RemoveRange(owner, from, count) => {
                        for user in from..from + count {
                            let removed = remove(&mut table, UserId(owner.into()), UserId(user)).unwrap();
                            prop_assert_eq!(removed, truth.remove(&(owner, user)).is_some());
                        }
                    }
                }
            }
            for owner in 0..3u8 {
                let expected: Vec<_> = truth
                    .range((owner, 0)..=(owner, u64::MAX))
                    .map(|(&(_, user), &stamp)| Entry { user: UserId(user), stamp: Stamp(stamp) })
                    .collect();
                let id = UserId(owner.into());
                prop_assert_eq!(&all(&table, id).unwrap(), &expected);
                let mut later = Vec::new();
                scan(&table, id, UserId(after), |entry| {
                    later.push(entry);
                    if later.len() == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                }).unwrap();
                let beyond = expected.iter().filter(|entry| entry.user.0 > after).take(5).copied();
                prop_assert_eq!(later, beyond.collect::<Vec<_>>());
                prop_assert_eq!(
                    contains(&table, id, UserId(after)).unwrap(),
                    truth.contains_key(&(owner, after))
                );
            }
            for row in table.range::<(u64, u64)>(..).unwrap() {
                let (key, chunk) = row.unwrap();
                let mut count = 0;
                let _: ControlFlow<()> = decode(key.value().1, chunk.value(), |_| {
                    count += 1;
                    ControlFlow::Continue(())
                }).unwrap();
                prop_assert!((1..=CHUNK).contains(&count));
            }
        }
    }
}

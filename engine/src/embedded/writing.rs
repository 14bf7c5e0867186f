//! An open write transaction: every table, the counters that commands draw from, and how durable the commit must be.
//!
//! There is one at a time, so numbers given here are in commit order: the log is gapless without a relay's lock.

use redb::{ReadableTable, ReadableTableMetadata, Table, WriteTransaction};

use super::codec::{UserRow, from_json, to_json};
use super::fault::Fault;
use super::lists::ListTable;
use super::tables::{
    BLOCKED_BY, BLOCKS, CHECKPOINTS, DEAD_LETTERS, EVENTS, FOLLOWERS, FOLLOWS, HANDLES, KEYS, KEYS_BY_TIME, LAST_IDS,
    LIKE_COUNTS, LIKES, META, META_POSITION, META_SEQUENCE, MUTES, NOTES, POSTS, POSTS_BY, PULL_AUTHORS, SESSIONS,
    SESSIONS_BY_END, SUBJECTS, SessionKey, TUNINGS, USERS,
};
use crate::limits::RATE_POSTS;
use crate::model::{Costs, Event, Heat, Measured, Millis, Mode, PostId, Stamp, Tuning, UserId};

/// A set of pairs, open for writing.
pub(super) type PairTable<'t> = Table<'t, (u64, u64), ()>;

/// What a transaction must come to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Need {
    /// Nothing was changed: it may be dropped.
    Nothing,
    /// Visible at once; durable with the next durable commit.
    Visible,
    /// On the disk before anybody is answered (law 7).
    Durable,
}

/// The transaction.
pub(super) struct Writing<'t> {
    pub(super) meta: Table<'t, &'static str, u64>,
    pub(super) users: Table<'t, u64, &'static [u8]>,
    pub(super) handles: Table<'t, &'static str, u64>,
    pub(super) subjects: Table<'t, (&'static str, &'static str), u64>,
    pub(super) last_ids: Table<'t, u16, u64>,
    pub(super) posts: Table<'t, u64, &'static [u8]>,
    pub(super) posts_by: PairTable<'t>,
    pub(super) pull_authors: Table<'t, u64, u64>,
    pub(super) likes: PairTable<'t>,
    pub(super) like_counts: Table<'t, u64, u64>,
    pub(super) follows: ListTable<'t>,
    pub(super) followers: ListTable<'t>,
    pub(super) mutes: PairTable<'t>,
    pub(super) blocks: PairTable<'t>,
    pub(super) blocked_by: PairTable<'t>,
    pub(super) keys: Table<'t, (u64, &'static [u8]), &'static [u8]>,
    pub(super) keys_by_time: Table<'t, (u64, u64, &'static [u8]), ()>,
    pub(super) sessions: Table<'t, SessionKey, (&'static [u8; 32], bool, u64)>,
    pub(super) sessions_by_end: Table<'t, (u64, u64, &'static [u8; 32]), ()>,
    pub(super) events: Table<'t, u64, &'static [u8]>,
    pub(super) dead_letters: Table<'t, (u64, u64), (&'static str, &'static [u8])>,
    pub(super) tunings: Table<'t, u64, &'static [u8]>,
    pub(super) checkpoints: Table<'t, u64, &'static [u8]>,
    pub(super) notes: Table<'t, &'static str, &'static str>,
    /// The time of this transaction.
    pub(super) now: Millis,
    /// What its jobs have asked for so far.
    pub(super) need: Need,
    sequence: u64,
    position: u64,
    tuning: Option<Tuning>,
}

impl<'t> Writing<'t> {
    /// Opens every table of `transaction`; makes those that are missing.
    pub(super) fn open(transaction: &'t WriteTransaction, now: Millis) -> Result<Self, Fault> {
        let meta = transaction.open_table(META)?;
        let number = |name| Ok::<u64, Fault>(meta.get(name)?.map_or(0, |value| value.value()));
        let (sequence, position) = (number(META_SEQUENCE)?, number(META_POSITION)?);
        let tunings = transaction.open_table(TUNINGS)?;
        let tuning = match tunings.last()? {
            Some((_, row)) => Some(from_json(row.value())?),
            None => None,
        };
        Ok(Self {
            meta,
            users: transaction.open_table(USERS)?,
            handles: transaction.open_table(HANDLES)?,
            subjects: transaction.open_table(SUBJECTS)?,
            last_ids: transaction.open_table(LAST_IDS)?,
            posts: transaction.open_table(POSTS)?,
            posts_by: transaction.open_table(POSTS_BY)?,
            pull_authors: transaction.open_table(PULL_AUTHORS)?,
            likes: transaction.open_table(LIKES)?,
            like_counts: transaction.open_table(LIKE_COUNTS)?,
            follows: transaction.open_table(FOLLOWS)?,
            followers: transaction.open_table(FOLLOWERS)?,
            mutes: transaction.open_table(MUTES)?,
            blocks: transaction.open_table(BLOCKS)?,
            blocked_by: transaction.open_table(BLOCKED_BY)?,
            keys: transaction.open_table(KEYS)?,
            keys_by_time: transaction.open_table(KEYS_BY_TIME)?,
            sessions: transaction.open_table(SESSIONS)?,
            sessions_by_end: transaction.open_table(SESSIONS_BY_END)?,
            events: transaction.open_table(EVENTS)?,
            dead_letters: transaction.open_table(DEAD_LETTERS)?,
            tunings,
            checkpoints: transaction.open_table(CHECKPOINTS)?,
            notes: transaction.open_table(NOTES)?,
            now,
            need: Need::Nothing,
            sequence,
            position,
            tuning,
        })
    }

    /// Writes the counters back and closes the tables; what the commit must be, and whether events were numbered.
    pub(super) fn close(mut self) -> Result<(Need, bool), Fault> {
        if self.need == Need::Nothing {
            return Ok((self.need, false));
        }
        self.meta.insert(META_SEQUENCE, self.sequence)?;
        let before = self.meta.insert(META_POSITION, self.position)?.map_or(0, |value| value.value());
        Ok((self.need, self.position > before))
    }

    /// Asks for at least this of the commit.
    pub(super) fn must(&mut self, need: Need) {
        self.need = self.need.max(need);
    }

    /// Numbers an event.
    pub(super) fn emit(&mut self, event: Event) -> Result<(), Fault> {
        self.position += 1;
        let mut bytes = Vec::with_capacity(27);
        event.encode(&mut bytes);
        self.events.insert(self.position, bytes.as_slice())?;
        Ok(())
    }

    /// The logical time of the last change of a follow, mute or block.
    pub(super) fn present(&self) -> Stamp {
        Stamp(self.sequence)
    }

    /// The logical time of the next such change.
    pub(super) fn advance(&mut self) -> Stamp {
        self.sequence += 1;
        self.present()
    }

    pub(super) fn user(&self, id: UserId) -> Result<Option<UserRow>, Fault> {
        self.users.get(id.0)?.map(|row| UserRow::decode(row.value())).transpose()
    }

    pub(super) fn put_user(&mut self, id: UserId, row: &UserRow) -> Result<(), Fault> {
        self.users.insert(id.0, row.encode().as_slice())?;
        Ok(())
    }

    /// The heat of an author with so many followers under the present tuning.
    pub(super) fn heat(&self, author: &UserRow) -> Result<Heat, Fault> {
        Ok(author.heat.with_followers(author.followers, &self.tuning()?.settings))
    }

    /// The heat of an author at their post `id`.
    pub(super) fn heat_at_post(&self, author: UserId, row: &UserRow, id: PostId) -> Result<Heat, Fault> {
        let settings = self.tuning()?.settings;
        let (mut newest, mut costs) = (vec![id], None);
        if settings.mode == Mode::Cost {
            costs = self.costs()?;
            for before in self.posts_by.range((author.0, 0)..(author.0, id.0))?.rev().take(RATE_POSTS) {
                newest.push(PostId(before?.0.value().1));
            }
        }
        Ok(row.heat.at_post(row.followers, &newest, &settings, costs.as_ref()))
    }

    fn costs(&self) -> Result<Option<Costs>, Fault> {
        self.notes.get(Costs::NOTE)?.map(|text| from_json(text.value().as_bytes())).transpose()
    }

    /// Adds a sample to the measured costs; what later transactions will read.
    pub(super) fn add_costs(&mut self, sample: &Measured, at: Millis) -> Result<Costs, Fault> {
        let costs = Costs::with(self.costs()?, sample, self.users.len()?, at);
        let text = String::from_utf8(to_json(&costs)).expect("JSON is UTF-8");
        self.notes.insert(Costs::NOTE, text.as_str())?;
        self.must(Need::Durable);
        from_json(text.as_bytes())
    }

    pub(super) fn tuning(&self) -> Result<Tuning, Fault> {
        self.tuning.ok_or(Fault::Malformed("there is no tuning"))
    }

    pub(super) fn put_tuning(&mut self, tuning: Tuning) -> Result<(), Fault> {
        self.tunings.insert(tuning.version, to_json(&tuning).as_slice())?;
        self.tuning = Some(tuning);
        Ok(())
    }
}

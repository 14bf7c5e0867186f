//! Read tables, channels, tuning, notes, leases, and what the janitor takes away.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use tokio_postgres::Row;

use super::commands::TUNING;
use super::rows::{column, limit, number, post_id, user_id};
use super::store::Inner;
use super::{sql, tuning};
use crate::model::{AuthorState, ChangedBy, Costs, Measured, Millis, PostId, Tuning, UserId};
use crate::ports::{ListedTuning, Removable, StoreError};

/// Losing some in a crash is allowed: no wait for the disk.
const SAVE_CHECKPOINTS: &str = "INSERT INTO user_feed (reader, feed)
    SELECT reader, feed FROM unnest($1::bigint[], $2::bytea[]) AS saved(reader, feed),
    (SELECT set_config('synchronous_commit', 'off', true)) AS fast
    ORDER BY reader ON CONFLICT (reader) DO UPDATE SET feed = excluded.feed";
const PULL_AUTHORS: &str = "SELECT author, newest FROM pull_authors WHERE author > $1 ORDER BY author LIMIT $2";
const TUNINGS: &str = "SELECT tuning FROM tuning WHERE version < $1 ORDER BY version DESC LIMIT $2";
const NOTE: &str = "SELECT text FROM notes WHERE name = $1";
const SET_NOTE: &str =
    "INSERT INTO notes (name, text) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET text = excluded.text";
/// The measured costs, and how many users there are: counted where they are few, else as the planner estimates.
const COSTS: &str = "SELECT (SELECT text FROM notes WHERE name = 'costs'),
    CASE WHEN estimate < 10000 THEN (SELECT count(*) FROM users) ELSE estimate END
    FROM (SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint AS estimate FROM pg_class
          WHERE oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'users'::regclass)) AS partitions";
/// Replaces the costs, unless somebody has by now: what they were, what they are to be.
const SWAP_COSTS: &str = "INSERT INTO notes (name, text) VALUES ('costs', $2)
    ON CONFLICT (name) DO UPDATE SET text = excluded.text WHERE notes.text = $1 RETURNING text";
/// How often adding to the costs is tried while other nodes add theirs.
const COSTS_TRIES: usize = 10;
/// The row that is there is written as it is: so it is locked, and told, whoever made it.
const AGREE_ON_NOTE: &str = "INSERT INTO notes (name, text) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET text = notes.text RETURNING text";
/// By the server's clock. Leases that ran out long ago go with the next renewal of another, unless somebody has them
/// locked: who renews one now.
const LEASE: &str = "WITH mine AS (
        INSERT INTO leases (role, holder, until) VALUES ($1, $2, now() + $3 * interval '1 millisecond')
        ON CONFLICT (role, holder) DO UPDATE SET until = excluded.until RETURNING holder, until),
    old AS (
        SELECT role, holder FROM leases WHERE role = $1 AND holder <> $2 AND until < now() - interval '1 hour'
        FOR UPDATE SKIP LOCKED),
    gone AS (DELETE FROM leases USING old WHERE leases.role = old.role AND leases.holder = old.holder)
    SELECT holder FROM leases WHERE role = $1 AND holder <> $2 AND until > now()
    UNION ALL SELECT holder FROM mine WHERE until > now()";
const REMOVE_KEYS: &str = "WITH old AS MATERIALIZED (
        SELECT actor, key FROM idempotency WHERE made_at < $1 ORDER BY made_at LIMIT $2 FOR UPDATE SKIP LOCKED),
    gone AS (DELETE FROM idempotency USING old WHERE idempotency.actor = old.actor AND idempotency.key = old.key
             RETURNING 1)
    SELECT count(*) FROM gone";
const REMOVE_SESSIONS: &str = "WITH old AS MATERIALIZED (
        SELECT shard, user_id, family FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT $2
        FOR UPDATE SKIP LOCKED),
    gone AS (DELETE FROM sessions USING old
             WHERE sessions.shard = old.shard AND sessions.user_id = old.user_id AND sessions.family = old.family
             RETURNING 1)
    SELECT count(*) FROM gone";
/// By what is kept: whether it was still that.
const REPLACE_NOTE: &str = "UPDATE notes SET text = $3 WHERE name = $1 AND text = $2 RETURNING true";
const REMOVE_EVENTS: &str = "SELECT remove_events($1, $2)";

impl Inner {
    pub(super) async fn checkpoint(&self, reader: UserId) -> Result<Option<Bytes>, StoreError> {
        let read = |row: &Row| Ok(Bytes::from(row.try_get::<_, Vec<u8>>(0)?));
        Ok(self.read("reading a checkpoint", sql::CHECKPOINT, &[&column(reader.0)], read).await?.pop())
    }

    pub(super) async fn save_checkpoints(&self, checkpoints: &[(UserId, Bytes)]) -> Result<(), StoreError> {
        // One statement writes a row once: of two for one reader, the later counts.
        let last: HashMap<UserId, &Bytes> = checkpoints.iter().map(|(reader, bytes)| (*reader, bytes)).collect();
        if last.is_empty() {
            return Ok(());
        }
        let (readers, feeds): (Vec<i64>, Vec<&[u8]>) =
            last.into_iter().map(|(reader, bytes)| (column(reader.0), &**bytes)).unzip();
        self.write("saving checkpoints", SAVE_CHECKPOINTS, &[&readers, &feeds]).await
    }

    pub(super) async fn pull_authors(&self, after: UserId, count: usize) -> Result<Vec<(UserId, PostId)>, StoreError> {
        let read = |row: &Row| Ok((user_id(row, 0)?, post_id(row, 1)?));
        self.read("reading authors on pull", PULL_AUTHORS, &[&column(after.0), &limit(count)], read).await
    }

    pub(super) async fn author(&self, author: UserId) -> Result<Option<AuthorState>, StoreError> {
        let Some(row) = self.user_row("reading an author", author).await? else { return Ok(None) };
        let heat = row.heat(&self.tuning().await?.settings);
        Ok(Some(AuthorState { card: row.card, followers: row.followers, heat }))
    }

    pub(super) async fn tuning(&self) -> Result<Tuning, StoreError> {
        self.read_one("reading the tuning", TUNING, &[], tuning::read).await
    }

    pub(super) async fn tunings(&self, before: u64, count: usize) -> Result<Vec<ListedTuning>, StoreError> {
        let tunings = self.read("reading tunings", TUNINGS, &[&column(before), &limit(count)], tuning::read).await?;
        let operator = |tuning: &Tuning| match tuning.changed_by {
            ChangedBy::Operator(id) => Some(id),
            ChangedBy::Default | ChangedBy::Config => None,
        };
        let ids: Vec<UserId> = tunings.iter().filter_map(operator).collect();
        let handles: HashMap<UserId, Box<str>> =
            self.users(&ids).await?.into_iter().flatten().map(|u| (u.card.id, u.card.handle.as_str().into())).collect();
        let listed = |tuning: Tuning| {
            let changed_by = match tuning.changed_by {
                ChangedBy::Default => "default".into(),
                ChangedBy::Config => "config".into(),
                // Operators are users, and users are never removed; an id that is none is shown as it is.
                ChangedBy::Operator(id) => handles.get(&id).cloned().unwrap_or_else(|| id.to_string().into()),
            };
            ListedTuning { tuning, changed_by }
        };
        Ok(tunings.into_iter().map(listed).collect())
    }

    pub(super) async fn note(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(self.read("reading a note", NOTE, &[&name], |row| Ok(row.try_get(0)?)).await?.pop())
    }

    pub(super) async fn set_note(&self, name: &str, text: &str) -> Result<(), StoreError> {
        self.write("keeping a note", SET_NOTE, &[&name, &text]).await
    }

    /// Gives what will be read of the note: a number may differ from what it was made of in its last digit.
    pub(super) async fn add_costs(&self, sample: &Measured, at: Millis) -> Result<Costs, StoreError> {
        const DOING: &str = "adding measured costs";
        for _ in 0..COSTS_TRIES {
            let read = |row: &Row| Ok((row.try_get::<_, Option<String>>(0)?, number(row, 1)?));
            let (before, users) = self.read_one(DOING, COSTS, &[], read).await?;
            let known = before.as_deref().map(tuning::costs).transpose().map_err(|fault| fault.during(DOING))?;
            let after = serde_json::to_string(&Costs::with(known, sample, users, at)).expect("numbers are JSON");
            let read = |row: &Row| tuning::costs(row.try_get(0)?);
            if let Some(costs) = self.read(DOING, SWAP_COSTS, &[&before, &after], read).await?.pop() {
                return Ok(costs);
            }
        }
        Err(StoreError::Unavailable(format!("{DOING}: other nodes were faster, {COSTS_TRIES} times")))
    }

    pub(super) async fn agree_on_note(&self, name: &str, text: &str) -> Result<String, StoreError> {
        self.read_one("agreeing on a note", AGREE_ON_NOTE, &[&name, &text], |row| Ok(row.try_get(0)?)).await
    }

    pub(super) async fn replace_note(&self, name: &str, known: &str, text: &str) -> Result<bool, StoreError> {
        let replaced = self.read("replacing a note", REPLACE_NOTE, &[&name, &known, &text], |_| Ok(())).await?;
        Ok(!replaced.is_empty())
    }

    /// Holders are any 64 bits: kept as a signed column bit by bit, and put in order here.
    pub(super) async fn lease(&self, role: &str, holder: u64, ttl: Duration) -> Result<Vec<u64>, StoreError> {
        let ms = ttl.as_millis() as f64;
        let read = |row: &Row| Ok(row.try_get::<_, i64>(0)? as u64);
        let mut holders = self.read("renewing a lease", LEASE, &[&role, &(holder as i64), &ms], read).await?;
        holders.sort_unstable();
        Ok(holders)
    }

    pub(super) async fn remove_old(&self, what: Removable, count: usize) -> Result<usize, StoreError> {
        const DOING: &str = "removing old rows";
        let read = |row: &Row| Ok(number(row, 0)? as usize);
        let before = column(what.keys_before.0);
        let keys = self.read_one(DOING, REMOVE_KEYS, &[&before, &limit(count)], read).await?;
        let left = count.saturating_sub(keys);
        let events = self.read_one(DOING, REMOVE_EVENTS, &[&column(what.events_to.0), &limit(left)], read).await?;
        let (before, left) = (column(what.sessions_before.0), left.saturating_sub(events));
        Ok(keys + events + self.read_one(DOING, REMOVE_SESSIONS, &[&before, &limit(left)], read).await?)
    }
}

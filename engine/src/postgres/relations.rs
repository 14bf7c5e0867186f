//! Commands between two users: follow, mute, block, and their ends. To the blocked, the blocker looks absent. What
//! changes nothing makes no event and keeps the old stamp.
//!
//! Follows and blocks lock the rows of both users, by rising id: of one pair, a follow and a block never both stand.
//! A mute locks the actor's row alone, so that whom many mute is not in their way.

use futures::future::try_join4;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::commands::{At, LOCK_USER, TUNING, Verdict};
use super::fault::Fault;
use super::rows::{UserRow, column, user_key};
use super::transaction::{Changes, Stop, kept};
use super::tuning::{present, user};
use crate::model::{Command, Event, Outcome, Rejection, TuningSettings, UserId};

const READ_USER: &str =
    "SELECT id, handle, name, followers, following, hot, pin, last_post FROM users WHERE shard = $1 AND id = $2";
/// What stands between two users, all of it in the partitions of the first: follows, is followed, mutes, blocks, is
/// blocked. Shard and id of the first, id of the other.
const PAIR: &str = "SELECT EXISTS (SELECT FROM follows WHERE shard = $1 AND follower = $2 AND followee = $3),
    EXISTS (SELECT FROM followers WHERE shard = $1 AND followee = $2 AND follower = $3),
    EXISTS (SELECT FROM mutes WHERE shard = $1 AND muter = $2 AND muted = $3),
    EXISTS (SELECT FROM blocks WHERE shard = $1 AND blocker = $2 AND blocked = $3),
    EXISTS (SELECT FROM blocked_by WHERE shard = $1 AND blocked = $2 AND blocker = $3)";

const PUT_FOLLOW: &str = "INSERT INTO follows (shard, follower, followee, stamp)
    VALUES ($1, $2, $3, pg_current_xact_id()::text::bigint)";
const PUT_FOLLOWER: &str = "INSERT INTO followers (shard, followee, follower, slot) VALUES ($1, $2, $3, $4)";
const END_FOLLOW: &str = "DELETE FROM follows WHERE shard = $1 AND follower = $2 AND followee = $3";
const END_FOLLOWER: &str = "DELETE FROM followers WHERE shard = $1 AND followee = $2 AND follower = $3";
const PUT_MUTE: &str = "INSERT INTO mutes (shard, muter, muted) VALUES ($1, $2, $3)";
const END_MUTE: &str = "DELETE FROM mutes WHERE shard = $1 AND muter = $2 AND muted = $3";
const PUT_BLOCK: &str = "INSERT INTO blocks (shard, blocker, blocked) VALUES ($1, $2, $3)";
const END_BLOCK: &str = "DELETE FROM blocks WHERE shard = $1 AND blocker = $2 AND blocked = $3";
const PUT_BLOCKED_BY: &str = "INSERT INTO blocked_by (shard, blocked, blocker) VALUES ($1, $2, $3)";
const END_BLOCKED_BY: &str = "DELETE FROM blocked_by WHERE shard = $1 AND blocked = $2 AND blocker = $3";

/// Two users, as the rules see them.
struct Pair {
    actor: UserId,
    other: UserId,
    actor_row: Option<UserRow>,
    other_row: Option<UserRow>,
    follows: bool,
    followed: bool,
    mutes: bool,
    blocks: bool,
    blocked: bool,
    tuning: TuningSettings,
}

pub(super) async fn relate(at: At<'_>, other: UserId) -> Result<Verdict, Stop> {
    let actor = at.request.actor;
    let alone = matches!(at.request.command, Command::Mute { .. } | Command::Unmute { .. });
    let lent = at.transaction.lent();
    let statements = lent.prepare(&[LOCK_USER, if alone { READ_USER } else { LOCK_USER }, PAIR, TUNING]).await?;
    // The actor is locked first where it is locked alone.
    let (one, two) = if alone || actor <= other { (actor, other) } else { (other, actor) };
    let ((one_shard, one_id), (two_shard, two_id)) = (user_key(one), user_key(two));
    let ((actor_shard, actor_id), (_, other_id)) = (user_key(actor), user_key(other));
    let one_params: [&(dyn ToSql + Sync); 2] = [&one_shard, &one_id];
    let two_params: [&(dyn ToSql + Sync); 2] = [&two_shard, &two_id];
    let pair_params: [&(dyn ToSql + Sync); 3] = [&actor_shard, &actor_id, &other_id];
    let reads = try_join4(
        lent.run(&statements[0], &one_params),
        lent.run(&statements[1], &two_params),
        lent.run(&statements[2], &pair_params),
        lent.run(&statements[3], &[]),
    );
    at.decide(reads, |(one_rows, two_rows, found, tunings)| {
        let (actor_rows, other_rows) = if one == actor { (one_rows, two_rows) } else { (two_rows, one_rows) };
        let mut pair = read_pair(actor, other, &found)?;
        (pair.actor_row, pair.other_row) = (user(&actor_rows)?, user(&other_rows)?);
        pair.tuning = present(&tunings)?.settings;
        Ok((Outcome::Done, pair.apply(&at.request.command)?))
    })
    .await
}

fn read_pair(actor: UserId, other: UserId, found: &[Row]) -> Result<Pair, Fault> {
    let found = found.first().ok_or(Fault::Malformed("a row that is always there is missing"))?;
    Ok(Pair {
        actor,
        other,
        actor_row: None,
        other_row: None,
        follows: found.try_get(0)?,
        followed: found.try_get(1)?,
        mutes: found.try_get(2)?,
        blocks: found.try_get(3)?,
        blocked: found.try_get(4)?,
        tuning: TuningSettings::default(),
    })
}

impl Pair {
    fn apply(mut self, command: &Command) -> Result<Changes, Stop> {
        let mut changes = Changes::default();
        match *command {
            Command::Follow { limit, .. } => self.follow(limit, &mut changes)?,
            Command::Unfollow { .. } => self.unfollow(&mut changes)?,
            Command::Mute { .. } => self.mute(&mut changes)?,
            Command::Unmute { .. } => self.unmute(&mut changes)?,
            Command::Block { .. } => self.block(&mut changes)?,
            _ => self.unblock(&mut changes)?,
        }
        Ok(changes)
    }

    /// The actor may name the other.
    fn may_name(&self) -> Result<(), Rejection> {
        if self.actor == self.other {
            return Err(Rejection::Oneself);
        }
        let known = self.actor_row.is_some() && self.other_row.is_some();
        if known && !self.blocked { Ok(()) } else { Err(Rejection::UnknownUser) }
    }

    /// Both rows, of a relation that was found.
    fn rows(&mut self) -> Result<(&mut UserRow, &mut UserRow), Fault> {
        let rows = self.actor_row.as_mut().zip(self.other_row.as_mut());
        rows.ok_or(Fault::Malformed("a follow, mute or block names an unknown user"))
    }

    fn follow(&mut self, limit: u64, changes: &mut Changes) -> Result<(), Stop> {
        self.may_name()?;
        if self.blocks {
            return Err(Rejection::Blocked.into());
        }
        if self.follows {
            return Ok(());
        }
        let (follower, followee, tuning) = (self.actor, self.other, self.tuning);
        let (reader, author) = self.rows()?;
        if limit > 0 && reader.following >= limit {
            return Err(Rejection::TooManyFollows.into());
        }
        reader.following += 1;
        author.followers += 1;
        author.heat = author.heat(&tuning);
        changes.put_user(reader, true);
        changes.put_user(author, false);
        changes.put_edge(PUT_FOLLOW, follower, followee);
        let (shard, id) = user_key(followee);
        changes.write(PUT_FOLLOWER, kept![shard, id, column(follower.0), follower.slot() as i16]);
        changes.emit(Event::Followed { follower, followee });
        Ok(())
    }

    fn unfollow(&mut self, changes: &mut Changes) -> Result<(), Stop> {
        if self.follows {
            self.end_follows(true, false, changes)?;
            changes.emit(Event::Unfollowed { follower: self.actor, followee: self.other });
        }
        Ok(())
    }

    /// Takes follows between the two out of both lists and both counters: that of the actor, that of the other.
    fn end_follows(&mut self, mine: bool, theirs: bool, changes: &mut Changes) -> Result<(), Fault> {
        let (actor, other, tuning) = (self.actor, self.other, self.tuning);
        let (mut actor_row, mut other_row) = self.rows()?;
        for (ends, follower, followee) in [(mine, actor, other), (theirs, other, actor)] {
            if ends {
                let (reader, author) = (&mut *actor_row, &mut *other_row);
                reader.following = reader.following.saturating_sub(1);
                author.followers = author.followers.saturating_sub(1);
                author.heat = author.heat(&tuning);
                changes.put_edge(END_FOLLOW, follower, followee);
                changes.put_edge(END_FOLLOWER, followee, follower);
            }
            (actor_row, other_row) = (other_row, actor_row);
        }
        if mine || theirs {
            changes.put_user(actor_row, false);
            changes.put_user(other_row, false);
        }
        Ok(())
    }

    fn mute(&self, changes: &mut Changes) -> Result<(), Stop> {
        self.may_name()?;
        if !self.mutes {
            changes.put_edge(PUT_MUTE, self.actor, self.other);
            changes.emit(Event::Muted { user: self.actor, target: self.other });
        }
        Ok(())
    }

    fn unmute(&mut self, changes: &mut Changes) -> Result<(), Stop> {
        if self.mutes {
            changes.put_user(self.rows()?.0, true);
            changes.put_edge(END_MUTE, self.actor, self.other);
            changes.emit(Event::Unmuted { user: self.actor, target: self.other });
        }
        Ok(())
    }

    fn block(&mut self, changes: &mut Changes) -> Result<(), Stop> {
        self.may_name()?;
        if !self.blocks {
            self.end_follows(self.follows, self.followed, changes)?;
            changes.put_edge(PUT_BLOCK, self.actor, self.other);
            changes.put_edge(PUT_BLOCKED_BY, self.other, self.actor);
            changes.emit(Event::Blocked { user: self.actor, target: self.other });
        }
        Ok(())
    }

    fn unblock(&mut self, changes: &mut Changes) -> Result<(), Stop> {
        if self.blocks {
            let (actor_row, other_row) = self.rows()?;
            changes.put_user(actor_row, true);
            changes.put_user(other_row, true);
            changes.put_edge(END_BLOCK, self.actor, self.other);
            changes.put_edge(END_BLOCKED_BY, self.other, self.actor);
            changes.emit(Event::Unblocked { user: self.actor, target: self.other });
        }
        Ok(())
    }
}

impl Changes {
    /// A row of two users, by the shard of the first.
    fn put_edge(&mut self, sql: &'static str, first: UserId, second: UserId) {
        let (shard, id) = user_key(first);
        self.write(sql, kept![shard, id, column(second.0)]);
    }
}

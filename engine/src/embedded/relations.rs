//! Commands between two users, inside their transaction: follow, mute, block, and their ends.
//! To the blocked, the blocker looks absent. What changes nothing makes no event and keeps the old stamp.

use redb::ReadableTable;

use super::codec::UserRow;
use super::commands::Stop;
use super::fault::Fault;
use super::lists::{self, Entry};
use super::writing::Writing;
use crate::model::{Event, Rejection, Stamp, UserId};

/// Whether one of the two has blocked the other.
pub(super) fn blocked_either_way(w: &Writing<'_>, a: UserId, b: UserId) -> Result<bool, Fault> {
    Ok(w.blocks.get((a.0, b.0))?.is_some() || w.blocks.get((b.0, a.0))?.is_some())
}

/// The rows of the actor and of another user whom the actor may name.
fn pair(w: &Writing<'_>, actor: UserId, other: UserId) -> Result<(UserRow, UserRow), Stop> {
    if actor == other {
        return Err(Rejection::Oneself.into());
    }
    let row = w.user(actor)?.ok_or(Rejection::UnknownUser)?;
    let other_row = w.user(other)?.ok_or(Rejection::UnknownUser)?;
    if w.blocks.get((other.0, actor.0))?.is_some() {
        return Err(Rejection::UnknownUser.into());
    }
    Ok((row, other_row))
}

pub(super) fn follow(w: &mut Writing<'_>, follower: UserId, followee: UserId, limit: u64) -> Result<(), Stop> {
    let (mut reader, mut author) = pair(w, follower, followee)?;
    if w.blocks.get((follower.0, followee.0))?.is_some() {
        return Err(Rejection::Blocked.into());
    }
    if lists::contains(&w.follows, follower, followee)? {
        return Ok(());
    }
    if limit > 0 && reader.following >= limit {
        return Err(Rejection::TooManyFollows.into());
    }
    let stamp = w.advance();
    lists::insert(&mut w.follows, follower, &[Entry { user: followee, stamp }])?;
    lists::insert(&mut w.followers, followee, &[Entry { user: follower, stamp: Stamp::default() }])?;
    reader.following += 1;
    reader.widened = stamp;
    author.followers += 1;
    author.heat = w.heat(&author)?;
    w.put_user(follower, &reader)?;
    w.put_user(followee, &author)?;
    w.emit(Event::Followed { follower, followee })?;
    Ok(())
}

pub(super) fn unfollow(w: &mut Writing<'_>, follower: UserId, followee: UserId) -> Result<(), Stop> {
    if end_follow(w, follower, followee)? {
        w.advance();
        w.emit(Event::Unfollowed { follower, followee })?;
    }
    Ok(())
}

/// Takes a follow out of both lists and both counters; whether there was one.
fn end_follow(w: &mut Writing<'_>, follower: UserId, followee: UserId) -> Result<bool, Fault> {
    if !lists::remove(&mut w.follows, follower, followee)? {
        return Ok(false);
    }
    lists::remove(&mut w.followers, followee, follower)?;
    const GONE: Fault = Fault::Malformed("a follow names an unknown user");
    let mut reader = w.user(follower)?.ok_or(GONE)?;
    reader.following = reader.following.saturating_sub(1);
    w.put_user(follower, &reader)?;
    let mut author = w.user(followee)?.ok_or(GONE)?;
    author.followers = author.followers.saturating_sub(1);
    author.heat = w.heat(&author)?;
    w.put_user(followee, &author)?;
    Ok(true)
}

pub(super) fn mute(w: &mut Writing<'_>, user: UserId, target: UserId) -> Result<(), Stop> {
    pair(w, user, target)?;
    if w.mutes.insert((user.0, target.0), ())?.is_none() {
        w.advance();
        w.emit(Event::Muted { user, target })?;
    }
    Ok(())
}

pub(super) fn unmute(w: &mut Writing<'_>, user: UserId, target: UserId) -> Result<(), Stop> {
    if w.mutes.remove((user.0, target.0))?.is_some() {
        let stamp = w.advance();
        widen(w, user, stamp)?;
        w.emit(Event::Unmuted { user, target })?;
    }
    Ok(())
}

pub(super) fn block(w: &mut Writing<'_>, user: UserId, target: UserId) -> Result<(), Stop> {
    pair(w, user, target)?;
    if w.blocks.insert((user.0, target.0), ())?.is_none() {
        w.blocked_by.insert((target.0, user.0), ())?;
        end_follow(w, user, target)?;
        end_follow(w, target, user)?;
        w.advance();
        w.emit(Event::Blocked { user, target })?;
    }
    Ok(())
}

pub(super) fn unblock(w: &mut Writing<'_>, user: UserId, target: UserId) -> Result<(), Stop> {
    if w.blocks.remove((user.0, target.0))?.is_some() {
        w.blocked_by.remove((target.0, user.0))?;
        let stamp = w.advance();
        widen(w, user, stamp)?;
        widen(w, target, stamp)?;
        w.emit(Event::Unblocked { user, target })?;
    }
    Ok(())
}

/// Notes that posts that were hidden from the user may show again.
fn widen(w: &mut Writing<'_>, user: UserId, stamp: Stamp) -> Result<(), Fault> {
    let mut row = w.user(user)?.ok_or(Fault::Malformed("a mute or block names an unknown user"))?;
    row.widened = stamp;
    w.put_user(user, &row)
}

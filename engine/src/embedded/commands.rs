//! A command inside its transaction: its key is looked up, the command applied, its outcome kept (law 7).
//! Each rule is checked before the first change, so that a rejection leaves no trace.

use redb::ReadableTable;

use super::codec::KeyRow;
use super::fault::Fault;
use super::writing::{Need, Writing};
use super::{posts, relations};
use crate::limits::IDEMPOTENCY_TTL;
use crate::model::{
    AuthorState, ChangedBy, Channel, Command, CommandKey, Committed, Event, Heat, Millis, Outcome, Rejection, Request,
    Tuning, TuningSettings, UserId,
};

/// Why a command was not applied.
#[derive(Debug)]
pub(super) enum Stop {
    /// It breaks a rule.
    Rejected(Rejection),
    /// The store failed.
    Failed(Fault),
}

impl From<Rejection> for Stop {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl<E: Into<Fault>> From<E> for Stop {
    fn from(fault: E) -> Self {
        Self::Failed(fault.into())
    }
}

/// Applies a request, unless its key has an outcome already.
pub(super) fn commit(w: &mut Writing<'_>, request: &Request) -> Result<Result<Committed, Rejection>, Fault> {
    match settle_or_apply(w, request) {
        Ok(committed) => Ok(Ok(committed)),
        Err(Stop::Rejected(rejection)) => Ok(Err(rejection)),
        Err(Stop::Failed(fault)) => Err(fault),
    }
}

/// The outcome that a request's key has already.
pub(super) fn settled(w: &mut Writing<'_>, request: &Request) -> Result<Result<Option<Committed>, Rejection>, Fault> {
    match look_up(w, request.actor, &request.key) {
        Ok(committed) => Ok(Ok(committed)),
        Err(Stop::Rejected(rejection)) => Ok(Err(rejection)),
        Err(Stop::Failed(fault)) => Err(fault),
    }
}

fn settle_or_apply(w: &mut Writing<'_>, request: &Request) -> Result<Committed, Stop> {
    if let Some(committed) = look_up(w, request.actor, &request.key)? {
        return Ok(committed);
    }
    let outcome = apply(w, request.actor, &request.command)?;
    keep(w, request.actor, &request.key, &outcome)?;
    w.must(Need::Durable);
    Ok(Committed { outcome, replayed: false })
}

fn look_up(w: &Writing<'_>, actor: UserId, key: &CommandKey) -> Result<Option<Committed>, Stop> {
    let Some(row) = w.keys.get((actor.0, &*key.key))? else { return Ok(None) };
    let kept = KeyRow::decode(row.value())?;
    if expired(kept.made_at, w.now) {
        return Ok(None);
    }
    if kept.fingerprint != key.fingerprint {
        return Err(Rejection::KeyReused.into());
    }
    Ok(Some(Committed { outcome: kept.outcome, replayed: true }))
}

fn expired(made_at: Millis, now: Millis) -> bool {
    u128::from(now.0.saturating_sub(made_at.0)) > IDEMPOTENCY_TTL.as_millis()
}

fn keep(w: &mut Writing<'_>, actor: UserId, key: &CommandKey, outcome: &Outcome) -> Result<(), Fault> {
    let row = KeyRow { fingerprint: key.fingerprint, made_at: w.now, outcome: outcome.clone() }.encode();
    let replaced = match w.keys.insert((actor.0, &*key.key), row.as_slice())? {
        Some(old) => Some(KeyRow::decode(old.value())?.made_at),
        None => None,
    };
    if let Some(made_at) = replaced {
        w.keys_by_time.remove((made_at.0, actor.0, &*key.key))?;
    }
    w.keys_by_time.insert((w.now.0, actor.0, &*key.key), ())?;
    Ok(())
}

fn apply(w: &mut Writing<'_>, actor: UserId, command: &Command) -> Result<Outcome, Stop> {
    match command {
        Command::Publish { text } => return posts::publish(w, actor, text),
        Command::Tune { expected, settings, by } => return tune(w, *expected, *settings, *by),
        Command::Pin { author, pin } => return set_pin(w, *author, *pin),
        Command::Remove { post } => posts::remove(w, actor, *post)?,
        Command::Like { post } => posts::like(w, actor, *post)?,
        Command::Unlike { post } => posts::unlike(w, actor, *post)?,
        Command::Follow { user, limit } => relations::follow(w, actor, *user, *limit)?,
        Command::Unfollow { user } => relations::unfollow(w, actor, *user)?,
        Command::Mute { user } => relations::mute(w, actor, *user)?,
        Command::Unmute { user } => relations::unmute(w, actor, *user)?,
        Command::Block { user } => relations::block(w, actor, *user)?,
        Command::Unblock { user } => relations::unblock(w, actor, *user)?,
    }
    Ok(Outcome::Done)
}

fn tune(
    w: &mut Writing<'_>,
    expected: Option<u64>,
    settings: TuningSettings,
    changed_by: ChangedBy,
) -> Result<Outcome, Stop> {
    let present = w.tuning()?;
    if expected.is_some_and(|version| version != present.version) {
        return Err(Rejection::VersionMismatch.into());
    }
    let tuning = Tuning { version: present.version + 1, settings, changed_by, changed_at: w.now };
    w.put_tuning(tuning)?;
    w.emit(Event::Tuned { version: tuning.version })?;
    Ok(Outcome::Tuned(tuning))
}

fn set_pin(w: &mut Writing<'_>, author: UserId, pin: Option<Channel>) -> Result<Outcome, Stop> {
    let mut row = w.user(author)?.ok_or(Rejection::UnknownUser)?;
    let changed = row.heat.pin != pin;
    row.heat = Heat { pin, ..w.heat(&row)? };
    if changed {
        w.put_user(author, &row)?;
        w.emit(Event::Pinned { author })?;
    }
    Ok(Outcome::Pinned(AuthorState { card: row.card(author), followers: row.followers, heat: row.heat }))
}

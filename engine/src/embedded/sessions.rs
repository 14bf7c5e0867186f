//! Sessions, inside the transaction: begun, refreshed, ended. A row of a session has a mirror in the order of the ends.

use redb::ReadableTable;

use super::fault::Fault;
use super::writing::{Need, Writing};
use crate::limits::SESSIONS_PER_USER;
use crate::model::{Digest, Millis, NewSession, Refresh, Refreshed, SessionId, UserId};

/// No family comes before this one, and none behind the other.
const FIRST: &[u8; 32] = &[0; 32];
const LAST: &[u8; 32] = &[u8::MAX; 32];

/// What is kept of a session.
struct Row {
    token: Digest,
    operator: bool,
    expires_at: Millis,
}

fn kept(w: &Writing<'_>, id: &SessionId) -> Result<Option<Row>, Fault> {
    Ok(w.sessions.get((id.user.0, &id.family.0))?.map(|row| {
        let (token, operator, expires_at) = row.value();
        Row { token: Digest(*token), operator, expires_at: Millis(expires_at) }
    }))
}

fn put(w: &mut Writing<'_>, id: &SessionId, row: &Row) -> Result<(), Fault> {
    end(w, id)?;
    let (user, family) = (id.user.0, &id.family.0);
    w.sessions.insert((user, family), (&row.token.0, row.operator, row.expires_at.0))?;
    w.sessions_by_end.insert((row.expires_at.0, user, family), ())?;
    w.must(Need::Durable);
    Ok(())
}

/// Begins a session, and ends those that are too many.
pub(super) fn begin(w: &mut Writing<'_>, session: &NewSession) -> Result<(), Fault> {
    let NewSession { id, token, operator, expires_at } = *session;
    let mut others = Vec::new();
    for row in w.sessions.range((id.user.0, FIRST)..=(id.user.0, LAST))? {
        let (key, row) = row?;
        let family = Digest(*key.value().1);
        if family != id.family {
            others.push((row.value().2, family));
        }
    }
    others.sort_unstable_by_key(|(expires_at, _)| *expires_at);
    let surplus = (others.len() + 1).saturating_sub(SESSIONS_PER_USER);
    for (_, family) in others.into_iter().take(surplus) {
        end(w, &SessionId { user: id.user, family })?;
    }
    put(w, &id, &Row { token, operator, expires_at })
}

/// Spends a token for the next one, or ends the session of one that was spent before.
pub(super) fn refresh(w: &mut Writing<'_>, refresh: &Refresh) -> Result<Refreshed, Fault> {
    let Refresh { id, spent, next, expires_at } = *refresh;
    let Some(Row { token, operator, expires_at: ends }) = kept(w, &id)?.filter(|row| row.expires_at > w.now) else {
        return Ok(Refreshed::Unknown);
    };
    if token == spent {
        let expires_at = if operator { ends } else { expires_at };
        put(w, &id, &Row { token: next, operator, expires_at })?;
    } else if token != next {
        end(w, &id)?;
        return Ok(Refreshed::Reused);
    }
    Ok(Refreshed::Next { operator })
}

/// Ends a session, if there is one.
pub(super) fn end(w: &mut Writing<'_>, id: &SessionId) -> Result<(), Fault> {
    let Some(Row { expires_at, .. }) = kept(w, id)? else { return Ok(()) };
    w.sessions.remove((id.user.0, &id.family.0))?;
    w.sessions_by_end.remove((expires_at.0, id.user.0, &id.family.0))?;
    w.must(Need::Durable);
    Ok(())
}

/// Removes up to `limit` sessions that ended before `before`; how many.
pub(super) fn remove_expired(w: &mut Writing<'_>, before: Millis, limit: usize) -> Result<usize, Fault> {
    let mut expired = Vec::new();
    for row in w.sessions_by_end.range(..(before.0, 0, FIRST))?.take(limit) {
        let (key, _) = row?;
        let (_, user, family) = key.value();
        expired.push((user, *family));
    }
    for (user, family) in &expired {
        end(w, &SessionId { user: UserId(*user), family: Digest(*family) })?;
    }
    Ok(expired.len())
}

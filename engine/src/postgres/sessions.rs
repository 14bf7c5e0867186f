//! Sessions: each statement is a transaction of its own, and its condition makes it happen once.
//!
//! Of several nodes that spend one token, one finds it to be the good one; the others wait for the row, and then find
//! the next. A session is ended for that in a later statement only, which is sent when the first has been answered and
//! somebody still waits: a refresh that was cut off and arrives late changes nothing that a later one has left.

use super::fault::Fault;
use super::lent::{Lent, Params};
use super::rows::{column, user_key};
use super::store::Inner;
use crate::limits::SESSIONS_PER_USER;
use crate::model::{NewSession, Refresh, Refreshed, SessionId};
use crate::ports::StoreError;

const BEGIN: &str = "SELECT begin_session($1, $2, $3, $4, $5, $6, $7)";
/// Shard, user, family, the token to spend, the next, its end, now.
const SPEND: &str = "UPDATE sessions SET token = $5, expires_at = CASE WHEN operator THEN expires_at ELSE $6 END
    WHERE shard = $1 AND user_id = $2 AND family = $3 AND token = $4 AND expires_at > $7 RETURNING operator";
/// Shard, user, family, now.
const LOOK_UP: &str = "SELECT token, operator FROM sessions
    WHERE shard = $1 AND user_id = $2 AND family = $3 AND expires_at > $4";
const END: &str = "DELETE FROM sessions WHERE shard = $1 AND user_id = $2 AND family = $3";

impl Inner {
    pub(super) async fn begin_session(&self, session: &NewSession) -> Result<(), StoreError> {
        let NewSession { id, token, operator, expires_at } = session;
        let ((shard, user), family, token) = (user_key(id.user), &id.family.0[..], &token.0[..]);
        let (ends, most) = (column(expires_at.0), SESSIONS_PER_USER as i64);
        let params: Params<'_> = &[&shard, &user, &family, &token, operator, &ends, &most];
        self.settling("beginning a session", async |lent| lent.query(BEGIN, params).await.map(drop)).await
    }

    pub(super) async fn refresh_session(&self, refresh: &Refresh) -> Result<Refreshed, StoreError> {
        let now = column(self.clock.now().0);
        self.settling("refreshing a session", async |lent| spend(lent, refresh, now).await).await
    }

    pub(super) async fn end_session(&self, session: &SessionId) -> Result<(), StoreError> {
        self.settling("ending a session", async |lent| end(lent, session).await).await
    }

    /// Runs statements that tell what became of them when they are run again. From when the first was sent, whatever
    /// goes wrong leaves that open.
    async fn settling<T>(
        &self,
        doing: &'static str,
        work: impl AsyncFnOnce(&Lent) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let lent = self.lend().await.map_err(|fault| fault.during(doing))?;
        let unknown = |fault: Fault| StoreError::OutcomeUnknown(format!("{doing}: {}", fault.text()));
        work(&lent).await.map_err(unknown)
    }
}

async fn spend(lent: &Lent, refresh: &Refresh, now: i64) -> Result<Refreshed, Fault> {
    let Refresh { id, spent, next, expires_at } = refresh;
    let ((shard, user), family, ends) = (user_key(id.user), &id.family.0[..], column(expires_at.0));
    let (spent, next) = (&spent.0[..], &next.0[..]);
    let spending = lent.query(SPEND, &[&shard, &user, &family, &spent, &next, &ends, &now]).await?;
    if let Some(row) = spending.first() {
        return Ok(Refreshed::Next { operator: row.try_get(0)? });
    }
    let kept = lent.query(LOOK_UP, &[&shard, &user, &family, &now]).await?;
    let Some(row) = kept.first() else { return Ok(Refreshed::Unknown) };
    if row.try_get::<_, &[u8]>(0)? == next {
        // An earlier attempt of this very refresh.
        return Ok(Refreshed::Next { operator: row.try_get(1)? });
    }
    end(lent, id).await?;
    Ok(Refreshed::Reused)
}

async fn end(lent: &Lent, session: &SessionId) -> Result<(), Fault> {
    let ((shard, user), family) = (user_key(session.user), &session.family.0[..]);
    lent.query(END, &[&shard, &user, &family]).await.map(drop)
}

//! Commands of operators: tune and pin, and what the tuning says.

use futures::future::{try_join, try_join3};
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::commands::{At, LOCK_USER, TUNING, Verdict};
use super::fault::Fault;
use super::rows::{UserRow, column, unsigned, user_key};
use super::transaction::{Changes, Stop, kept};
use crate::model::{
    AuthorState, ChangedBy, Channel, Costs, Event, Heat, Outcome, PostId, Rejection, Tuning, TuningSettings, UserId,
};

/// The row that lasts: under its lock, the version read next is the newest and stays so.
const LOCK_TUNING: &str = "SELECT version FROM tuning WHERE version = 1 FOR UPDATE";
const PUT_TUNING: &str = "INSERT INTO tuning (version, tuning) VALUES ($1, $2)";

/// The tuning of a row.
pub(super) fn read(row: &Row) -> Result<Tuning, Fault> {
    let Json(tuning) = row.try_get(0).map_err(|_| Fault::Malformed("a tuning is malformed"))?;
    Ok(tuning)
}

/// The present tuning, of a query that gives it.
pub(super) fn present(rows: &[Row]) -> Result<Tuning, Fault> {
    rows.first().map(read).ok_or(Fault::Malformed("there is no tuning"))?
}

/// What the channel of a post is chosen by.
pub(super) struct Choice {
    settings: TuningSettings,
    costs: Option<Costs>,
    /// The author's posts before, newest first.
    before: Vec<PostId>,
}

impl Choice {
    /// Reads the row of [`CHOICE`](super::sql::CHOICE).
    pub(super) fn read(rows: &[Row]) -> Result<Self, Fault> {
        let settings = present(rows)?.settings;
        let row = rows.first().ok_or(Fault::Malformed("there is no tuning"))?;
        let before = row.try_get::<_, Option<Vec<i64>>>(2)?.unwrap_or_default().into_iter();
        let before = before.map(|id| unsigned(id).map(PostId)).collect::<Result<_, _>>()?;
        let costs = row.try_get::<_, Option<&str>>(1)?.map(costs).transpose()?;
        Ok(Self { settings, costs, before })
    }

    /// The heat of an author at their post `id`.
    pub(super) fn heat_at_post(&self, row: &UserRow, id: PostId) -> Heat {
        let newest = [&[id][..], &self.before].concat();
        row.heat.at_post(row.followers, &newest, &self.settings, self.costs.as_ref())
    }
}

/// The measured costs of a note.
pub(super) fn costs(text: &str) -> Result<Costs, Fault> {
    serde_json::from_str(text).map_err(|_| Fault::Malformed("the measured costs are malformed"))
}

/// The user of a query by key.
pub(super) fn user(rows: &[Row]) -> Result<Option<UserRow>, Fault> {
    rows.first().map(UserRow::read).transpose()
}

pub(super) async fn tune(
    at: At<'_>,
    expected: Option<u64>,
    settings: TuningSettings,
    changed_by: ChangedBy,
) -> Result<Verdict, Stop> {
    let lent = at.transaction.lent();
    let statements = lent.prepare(&[LOCK_TUNING, TUNING]).await?;
    let reads = try_join(lent.run(&statements[0], &[]), lent.run(&statements[1], &[]));
    at.decide(reads, |(_, tunings)| {
        let present = present(&tunings)?;
        if expected.is_some_and(|version| version != present.version) {
            return Err(Rejection::VersionMismatch.into());
        }
        let tuning = Tuning { version: present.version + 1, settings, changed_by, changed_at: at.now };
        let mut changes = Changes::default();
        changes.write(PUT_TUNING, kept![column(tuning.version), Json(tuning)]);
        changes.emit(Event::Tuned { version: tuning.version });
        Ok((Outcome::Tuned(tuning), changes))
    })
    .await
}

pub(super) async fn pin(at: At<'_>, author: UserId, pin: Option<Channel>) -> Result<Verdict, Stop> {
    let lent = at.transaction.lent();
    let statements = lent.prepare(&[LOCK_USER, TUNING]).await?;
    let (shard, id) = user_key(author);
    let key: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&shard, &id];
    let reads = try_join3(lent.run(&statements[0], &key), lent.run(&statements[1], &[]), async { Ok(()) });
    at.decide(reads, |(users, tunings, ())| {
        let mut row = user(&users)?.ok_or(Rejection::UnknownUser)?;
        let changed = row.heat.pin != pin;
        row.heat = Heat { pin, ..row.heat(&present(&tunings)?.settings) };
        let mut changes = Changes::default();
        if changed {
            changes.put_user(&row, false);
            changes.emit(Event::Pinned { author });
        }
        Ok((Outcome::Pinned(AuthorState { card: row.card, followers: row.followers, heat: row.heat }), changes))
    })
    .await
}

//! The outbox: numbered, read and trimmed (law 6).

use futures::future::try_join;
use tokio_postgres::Row;

use super::fault::Fault;
use super::rows::{column, epoch, limit, numbers, position};
use super::sql;
use super::store::Inner;
use crate::limits::EVENTS_BATCH;
use crate::model::{Event, LoggedEvent, Position};
use crate::ports::StoreError;

const NUMBER: &str = "SELECT number_events($1)";
const UNPUBLISHED: &str = "SELECT epoch.id, log_positions.published,
    ARRAY(SELECT number FROM outbox WHERE number > log_positions.published ORDER BY number LIMIT $1),
    ARRAY(SELECT event FROM outbox WHERE number > log_positions.published ORDER BY number LIMIT $1)
    FROM epoch, log_positions";
/// Not worth a wait for the disk: what is marked again is published again, which changes nothing.
const MARK: &str = "UPDATE log_positions SET published = least($1, numbered)
    WHERE published < $1 AND set_config('synchronous_commit', 'off', true) = 'off'";
const NUMBERED: &str = "SELECT numbered FROM log_positions";
const EMIT: &str = "INSERT INTO outbox (event) VALUES ($1)";

/// Epoch and events of a row that has both as arrays, and the position between them.
pub(super) fn events(row: &Row) -> Result<(Position, Vec<LoggedEvent>), Fault> {
    let (epoch, place) = (epoch(row, 0)?, position(row, 1)?);
    let (numbers, bytes): (_, Vec<&[u8]>) = (numbers(row, 2)?, row.try_get(3)?);
    let event = |(number, bytes): (u64, &[u8])| LoggedEvent { epoch, position: Position(number), bytes: bytes.into() };
    Ok((place, numbers.into_iter().zip(bytes).map(event).collect()))
}

impl Inner {
    /// Numbers, whoever asks; tells the one node that publishes of what is to be published. Should two nodes hold
    /// themselves for that one (the session with the lock has died unnoticed), both publish the same.
    pub(super) async fn number_events(&self, count: usize) -> Result<Vec<LoggedEvent>, StoreError> {
        // A node that would not publish must not be the one that has the lock.
        let publishes = count > 0 && self.sentinel.publishes().await?;
        let numbered = async {
            let lent = self.lend().await?;
            let statements = lent.prepare(&[NUMBER, UNPUBLISHED]).await?;
            if !publishes {
                while self.number(&lent, &statements[0]).await? {}
                return Ok(Vec::new());
            }
            // One flight: the second statement begins after the first has committed.
            let most = EVENTS_BATCH as i32;
            let (numbering, reading): (&[&(dyn tokio_postgres::types::ToSql + Sync)], _) = (&[&most], limit(count));
            let unpublished: super::lent::Params<'_> = &[&reading];
            let (_, rows) =
                try_join(lent.run(&statements[0], numbering), lent.run(&statements[1], unpublished)).await?;
            rows.first().map(events).ok_or(Fault::Malformed("there are no positions"))?.map(|(_, events)| events)
        };
        numbered.await.map_err(|fault: Fault| fault.during("numbering events"))
    }

    /// Numbers a batch; whether it was a full one.
    async fn number(&self, lent: &super::lent::Lent, statement: &tokio_postgres::Statement) -> Result<bool, Fault> {
        let rows = lent.run(statement, &[&(EVENTS_BATCH as i32)]).await?;
        let given: i32 = rows.first().ok_or(Fault::Malformed("numbering tells nothing"))?.try_get(0)?;
        Ok(given as usize == EVENTS_BATCH)
    }

    pub(super) async fn mark_published(&self, to: Position) -> Result<(), StoreError> {
        self.write("marking events as published", MARK, &[&column(to.0)]).await
    }

    pub(super) async fn last_position(&self) -> Result<Position, StoreError> {
        self.read_one("reading the last position", NUMBERED, &[], |row| position(row, 0)).await
    }

    pub(super) async fn events(
        &self,
        after: Position,
        count: usize,
    ) -> Result<(Position, Vec<LoggedEvent>), StoreError> {
        self.read_one("reading events", sql::EVENTS, &[&column(after.0), &limit(count)], events).await
    }

    pub(super) async fn emit(&self, event: &Event) -> Result<(), StoreError> {
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        self.write("emitting an event again", EMIT, &[&bytes]).await?;
        self.sentinel.committed();
        Ok(())
    }
}

//! A connection lent by the pool: queries with a bounded wait, on prepared statements that stay with the connection.
//!
//! A connection goes back to the pool only when nothing of ours is open on it: one that timed out, or was left within
//! a transaction by whatever happened, is closed instead, and the server rolls back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::Object;
use futures::future::try_join_all;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::fault::Fault;
use crate::limits::LOAD_TIMEOUT;

/// Parameters of a statement.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A client waits a little longer than the server works, so that the server's own error is the one that is told.
const PATIENCE: Duration = LOAD_TIMEOUT.saturating_add(Duration::from_secs(1));

/// Waits for an answer of the server.
pub(super) async fn bounded<T, E: Into<Fault>>(
    patience: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(patience, work).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(Fault::TimedOut),
    }
}

/// The connection.
pub(super) struct Lent {
    object: Option<Object>,
    spoilt: AtomicBool,
}

impl Lent {
    pub(super) fn new(object: Object) -> Self {
        Self { object: Some(object), spoilt: AtomicBool::new(false) }
    }

    /// From now on, the connection is closed when it is given back; or no longer.
    pub(super) fn spoil(&self, spoilt: bool) {
        self.spoilt.store(spoilt, Ordering::Relaxed);
    }

    /// The connection itself.
    pub(super) fn client(&self) -> &Object {
        self.object.as_ref().expect("the connection is there until it is given back")
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Fault> {
        let answer = bounded(PATIENCE, work).await;
        if matches!(answer, Err(Fault::TimedOut)) {
            self.spoil(true);
        }
        answer
    }

    /// Statements, ready to be sent in one flight: nothing is awaited between them.
    pub(super) async fn prepare(&self, sql: &[&str]) -> Result<Vec<Statement>, Fault> {
        self.within(try_join_all(sql.iter().map(|sql| self.client().prepare_cached(sql)))).await
    }

    /// Runs a prepared statement. Of several that are awaited together, the order of the first polls is the order in
    /// which the server runs them.
    pub(super) async fn run(&self, statement: &Statement, params: Params<'_>) -> Result<Vec<Row>, Fault> {
        self.within(self.client().query(statement, params)).await
    }

    /// Runs a statement.
    pub(super) async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Fault> {
        let work = async {
            let statement = self.client().prepare_cached(sql).await?;
            self.client().query(&statement, params).await
        };
        self.within(work).await
    }

    /// Runs a statement that gives one row.
    pub(super) async fn one(&self, sql: &str, params: Params<'_>) -> Result<Row, Fault> {
        let mut rows = self.query(sql, params).await?;
        rows.pop().ok_or(Fault::Malformed("a row that is always there is missing"))
    }

    /// Runs statements without parameters, as they are.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), Fault> {
        self.within(self.client().batch_execute(sql)).await
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(object) = self.object.take()
            && self.spoilt.load(Ordering::Relaxed)
        {
            drop(Object::take(object));
        }
    }
}

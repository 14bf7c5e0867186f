//! One transaction of one command, in two flights (law 7).
//!
//! First flight: BEGIN, the lock of the key, the key's record, then locks and reads of the command; the caller adds its
//! own to it. Second flight: writes, the event, the key's record, COMMIT. READ COMMITTED gives each statement a
//! snapshot of its own, so what follows a lock sees what its last holder committed.
//!
//! The connection is marked before BEGIN and unmarked after the server has said that the transaction has ended. Left in
//! between, by an error or by a task that is dropped, it is closed and not given back.

use futures::future::{join, join_all, try_join3};
use sha2::{Digest, Sha256};
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Row, Statement};

use super::fault::Fault;
use super::lent::{Lent, Params};
use super::rows::{column, number};
use crate::limits::IDEMPOTENCY_TTL;
use crate::model::{Committed, Event, Millis, Outcome, Rejection, Request};

const LOCK_KEY: &str = "SELECT pg_advisory_xact_lock($1)";
const LOOK_UP: &str = "SELECT fingerprint, made_at, outcome FROM idempotency WHERE actor = $1 AND key = $2";
/// What replaces a record has outlived it: the record was too old to be looked up.
const KEEP: &str = "INSERT INTO idempotency (actor, key, fingerprint, made_at, outcome) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (actor, key) DO UPDATE
    SET fingerprint = excluded.fingerprint, made_at = excluded.made_at, outcome = excluded.outcome";
/// After the locks, so that the ids of dependent changes rise in the order of their commits.
const EMIT: &str = "INSERT INTO outbox (event) VALUES ($1)";

/// Why a transaction did not commit.
#[derive(Debug)]
pub(super) enum Stop {
    /// The command breaks a rule.
    Rejected(Rejection),
    /// It failed, and nothing was committed.
    Failed(Fault),
    /// It failed after COMMIT was sent.
    Unknown(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

impl From<Rejection> for Stop {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// A parameter that a write keeps until it is sent.
type Kept = Box<dyn ToSql + Send + Sync>;

/// What a command changes, decided after everything was read.
#[derive(Default)]
pub(super) struct Changes {
    writes: Vec<(&'static str, Vec<Kept>)>,
    event: Option<Event>,
}

impl Changes {
    /// A row to write.
    pub(super) fn write(&mut self, sql: &'static str, params: Vec<Kept>) {
        self.writes.push((sql, params));
    }

    /// The event that tells of it.
    pub(super) fn emit(&mut self, event: Event) {
        self.event = Some(event);
    }
}

/// Boxes the parameters of a write.
macro_rules! kept {
    ($($value:expr),* $(,)?) => { vec![$(Box::new($value) as Box<dyn tokio_postgres::types::ToSql + Send + Sync>),*] };
}
pub(super) use kept;

/// Statements of a first flight, ready to be sent.
pub(super) struct Transaction {
    lent: Lent,
    opening: Vec<Statement>,
}

impl Transaction {
    pub(super) async fn new(lent: Lent) -> Result<Self, Fault> {
        let opening = lent.prepare(&[LOCK_KEY, LOOK_UP]).await?;
        Ok(Self { lent, opening })
    }

    /// The connection, for the command's own statements.
    pub(super) fn lent(&self) -> &Lent {
        &self.lent
    }

    /// Begins, waits for the key and looks it up, in one flight with the reads that follow: `reads` is polled after
    /// these were sent, and must send its own without awaiting anything before.
    pub(super) async fn open<T>(
        &self,
        request: &Request,
        now: Millis,
        reads: impl Future<Output = Result<T, Fault>>,
    ) -> Result<(Option<Committed>, T), Stop> {
        let (lock, actor, key) = (lock_of(request), column(request.actor.0), &*request.key.key);
        let (lock, key): (Params<'_>, Params<'_>) = (&[&lock], &[&actor, &key]);
        self.lent.spoil(true);
        let opening = try_join3(
            self.lent.batch("BEGIN"),
            self.lent.run(&self.opening[0], lock),
            self.lent.run(&self.opening[1], key),
        );
        // Answers come in the order of the statements: the first failure is the one that the others follow from.
        let (opened, read) = join(opening, reads).await;
        let ((), _, known) = opened?;
        let known = known.first().map(|row| replay(row, request, now)).transpose()?.flatten();
        Ok((known, read?))
    }

    async fn run(&self, statement: &Statement, params: &[Kept]) -> Result<Vec<Row>, Fault> {
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| &**param as _).collect();
        self.lent.run(statement, &params).await
    }

    /// Ends without a change.
    pub(super) async fn roll_back(self) -> Result<(), Fault> {
        self.lent.batch("ROLLBACK").await?;
        self.lent.spoil(false);
        Ok(())
    }

    /// Writes everything and commits, in one flight; whether there was an event.
    pub(super) async fn commit(
        self,
        request: &Request,
        now: Millis,
        outcome: &Outcome,
        changes: Changes,
    ) -> Result<bool, Stop> {
        let Changes { mut writes, event } = changes;
        if let Some(event) = event {
            let mut bytes = Vec::new();
            event.encode(&mut bytes);
            writes.push((EMIT, kept![bytes]));
        }
        let (fingerprint, key) = (request.key.fingerprint.to_vec(), request.key.key.to_vec());
        let record = kept![column(request.actor.0), key, fingerprint, column(now.0), Json(outcome.clone())];
        writes.push((KEEP, record));
        let statements = self.lent.prepare(&writes.iter().map(|(sql, _)| *sql).collect::<Vec<_>>()).await?;
        let writing =
            join_all(writes.iter().zip(&statements).map(|((_, params), statement)| self.run(statement, params)));
        let (written, committed) = join(writing, self.lent.batch("COMMIT")).await;
        for write in written {
            match write {
                Ok(_) => {}
                // The server refused a write, so it has made a ROLLBACK of the COMMIT, or has died before it.
                Err(fault) if fault.code().is_some() => {
                    if committed.is_ok() {
                        self.lent.spoil(false);
                    }
                    return Err(Stop::Failed(fault));
                }
                Err(fault) => return Err(Stop::Unknown(fault)),
            }
        }
        committed.map_err(Stop::Unknown)?;
        self.lent.spoil(false);
        Ok(event.is_some())
    }
}

/// The outcome that a key's record tells, unless it is too old to be told.
pub(super) fn replay(row: &Row, request: &Request, now: Millis) -> Result<Option<Committed>, Stop> {
    let made_at = number(row, 1)?;
    if u128::from(now.0.saturating_sub(made_at)) > IDEMPOTENCY_TTL.as_millis() {
        return Ok(None);
    }
    if row.try_get::<_, &[u8]>(0).map_err(Fault::from)? != request.key.fingerprint {
        return Err(Rejection::KeyReused.into());
    }
    let Json(outcome) = row.try_get(2).map_err(|_| Fault::Malformed("the outcome of a key is malformed"))?;
    Ok(Some(Committed { outcome, replayed: true }))
}

/// The advisory lock of a request's key, the same on every node whatever its version. Two keys that share one only wait
/// for each other.
fn lock_of(request: &Request) -> i64 {
    let digest = Sha256::new().chain_update(request.actor.0.to_le_bytes()).chain_update(&request.key.key).finalize();
    let (first, _) = digest.split_first_chunk().expect("a digest has 32 bytes");
    i64::from_le_bytes(*first)
}

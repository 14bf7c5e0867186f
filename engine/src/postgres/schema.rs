//! The schema: migrated by one program at a time, and checked by every other.

use futures::FutureExt;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Json;

use super::connect::Server;
use super::fault::Fault;
use super::rows::{column, new_epoch};
use crate::model::{ChangedBy, Millis, Tuning, TuningSettings};
use crate::ports::{Clock, StoreError};

mod embedded {
    refinery::embed_migrations!("../sql");
}

/// What is said about a server that only repeats another one.
pub(super) const STANDBY: &str = "PostgreSQL is a standby: name the primary";

const APPLIED: &str = "SELECT coalesce(max(version), 0) FROM refinery_schema_history";
/// Migrations wait for each other. "trib".
const LOCK: &str = "SELECT pg_advisory_lock(1953655138, 2)";
const FIRST_EPOCH: &str = "INSERT INTO epoch (id, system_identifier, timeline)
    SELECT $1, here.system_identifier, ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer
    FROM pg_control_system() AS here ON CONFLICT DO NOTHING";
const FIRST_TUNING: &str = "INSERT INTO tuning (version, tuning) VALUES (1, $1) ON CONFLICT DO NOTHING";

/// What a migration did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Migrated {
    /// The steps that were missing, in order.
    pub applied: Vec<String>,
    /// The version of the schema now.
    pub version: i32,
}

/// The version that this program knows.
fn newest() -> i32 {
    embedded::migrations::runner().get_migrations().iter().map(|step| step.version()).max().unwrap_or_default()
}

/// Brings the schema of the database up to this program's version. May be run again, and by several at once.
///
/// # Errors
/// When the server cannot be reached, a step fails (it is rolled back), or the schema is another program's.
pub async fn migrate(url: &str, clock: Clock) -> Result<Migrated, StoreError> {
    let server = Server::parse(url)?;
    let mut client = server.connect(|| ()).await?;
    let failed = |fault: Fault| fault.during("migrating the schema of PostgreSQL");
    client.query_one(LOCK, &[]).await.map_err(Fault::from).map_err(failed)?;
    if let Version::Of(version) = version(&client).await.map_err(failed)?
        && version > newest()
    {
        return Err(StoreError::Unavailable(newer(version)));
    }
    // Boxed: the future of refinery is large.
    let steps = embedded::migrations::runner().run_async(&mut client).boxed().await;
    let report = steps.map_err(|why| failed(Fault::Conflict(cause(&why))))?;
    first_rows(&client, clock.now()).await.map_err(failed)?;
    let applied = report.applied_migrations().iter().map(ToString::to_string).collect();
    Ok(Migrated { applied, version: newest() })
}

/// The text of an error with all its causes.
fn cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

async fn first_rows(client: &Client, now: Millis) -> Result<(), Fault> {
    client.execute(FIRST_EPOCH, &[&column(new_epoch().0)]).await?;
    let tuning =
        Tuning { version: 1, settings: TuningSettings::default(), changed_by: ChangedBy::Default, changed_at: now };
    client.execute(FIRST_TUNING, &[&Json(tuning)]).await?;
    Ok(())
}

/// The schema of a database.
enum Version {
    /// There is none.
    None,
    /// It is of this version.
    Of(i32),
}

async fn version(client: &Client) -> Result<Version, Fault> {
    match client.query_one(APPLIED, &[]).await {
        Ok(row) => Ok(Version::Of(row.try_get(0)?)),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(Version::None),
        Err(error) => Err(error.into()),
    }
}

fn newer(version: i32) -> String {
    format!(
        "the schema of PostgreSQL is version {version}, this program knows version {}: install the newer program",
        newest()
    )
}

/// Refuses a database with another schema than this program's.
pub(super) async fn check(client: &Client) -> Result<(), StoreError> {
    let failed = |fault: Fault| fault.during("reading the schema's version");
    let why = match version(client).await.map_err(failed)? {
        Version::None => "the database has no schema: run `tributary migrate`".to_owned(),
        Version::Of(version) if version < newest() => format!(
            "the schema of PostgreSQL is version {version}, this program needs version {}: run `tributary migrate`",
            newest()
        ),
        Version::Of(version) if version > newest() => newer(version),
        Version::Of(_) => return Ok(()),
    };
    Err(StoreError::Unavailable(why))
}

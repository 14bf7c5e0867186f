//! The services that the test runs on, as `compose/native.py` has them, and what is done to them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_postgres::{NoTls, SimpleQueryMessage, SimpleQueryRow};

/// The shards' names in the set of services, in the order of `TRIBUTARY_TEST_REDIS`.
pub const SHARDS: [&str; 3] = ["redis-a", "redis-b", "redis-c"];
const ALL: [&str; 5] = ["postgres", SHARDS[0], SHARDS[1], SHARDS[2], "kafka"];
/// For what a service is asked directly.
const PATIENCE: Duration = Duration::from_secs(30);

/// The set.
pub struct Services {
    pub folder: PathBuf,
    /// Its superuser's URL, without the database.
    postgres: String,
    pub shards: Vec<String>,
    pub kafka: String,
}

impl Services {
    /// What the environment names; none where it does not name a set that may be stopped.
    pub fn of_environment() -> Option<Self> {
        let said = |name| std::env::var(name).ok();
        let postgres = said("TRIBUTARY_TEST_POSTGRES")?;
        let shards: Vec<String> = said("TRIBUTARY_TEST_REDIS")?.split(',').map(str::to_owned).collect();
        assert_eq!(shards.len(), SHARDS.len(), "TRIBUTARY_TEST_REDIS names three");
        Some(Self {
            folder: said("TRIBUTARY_TEST_SERVICES")?.into(),
            postgres: postgres.rsplit_once('/').expect("a URL with a database").0.to_owned(),
            shards,
            kafka: said("TRIBUTARY_TEST_KAFKA")?,
        })
    }

    /// Does one of `start`, `stop`, `kill`, `pause`, `resume` to services.
    pub async fn deed(&self, deed: &str, names: &[&str]) {
        let mut command = native(&self.folder, deed);
        command.args(names);
        done(command, &format!("{deed} {names:?}")).await;
    }

    /// The URL of a database.
    pub fn database(&self, name: &str) -> String {
        format!("{}/{name}", self.postgres)
    }

    /// The rows of a statement in a database, by a connection of its own: the server may have been away.
    pub async fn sql(&self, database: &str, statement: &str) -> Result<Vec<SimpleQueryRow>, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.database(database), NoTls).await?;
        let connection = tokio::spawn(connection);
        let told = client.simple_query(statement).await;
        connection.abort();
        Ok(told?.into_iter().filter_map(row).collect())
    }

    /// Asks a shard directly.
    pub async fn shard(&self, shard: usize, command: &str) -> String {
        let address = self.shards[shard].strip_prefix("redis://").expect("a URL of Redis");
        let address = address.split('/').next().unwrap_or(address).to_owned();
        let asked = async {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            stream.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
            let mut answer = vec![0; 4_096];
            let read = stream.read(&mut answer).await.unwrap();
            String::from_utf8_lossy(&answer[..read]).trim().to_owned()
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("{address} is silent on {command}"))
    }

    /// Empties a shard.
    pub async fn flush_all(&self, shard: usize) {
        assert_eq!(self.shard(shard, "FLUSHALL").await, "+OK");
    }

    /// The file that a shard writes when told to SAVE, and loads when it starts.
    pub fn dump(&self, shard: usize) -> PathBuf {
        self.folder.join(SHARDS[shard]).join("dump.rdb")
    }
}

/// When it goes out of sight, everything that was stopped runs again, also when the test has failed.
pub struct Restored(PathBuf);

impl Restored {
    pub fn new(services: &Services) -> Self {
        Self(services.folder.clone())
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        let mut command = native(&self.0, "start");
        match command.args(ALL).stdout(Stdio::null()).status() {
            Ok(status) if status.success() => {}
            failed => eprintln!("the services in {} may not all run: {failed:?}", self.0.display()),
        }
    }
}

fn native(folder: &Path, deed: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../compose/native.py"));
    command.arg("--folder").arg(folder).arg(deed);
    command
}

/// Runs a command to its end without holding up the others; it must succeed.
pub async fn done(command: Command, what: &str) -> Output {
    let output = ended(command).await;
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Runs a command to its end without holding up the others.
pub async fn ended(mut command: Command) -> Output {
    command.stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn row(message: SimpleQueryMessage) -> Option<SimpleQueryRow> {
    match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    }
}

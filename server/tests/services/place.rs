//! A place of a test's own on the services: a database, a topic, a key space, and a folder with a configuration.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_postgres::NoTls;

use crate::common::{program, say};

/// A node that cannot start says so within this.
const PATIENCE: Duration = Duration::from_secs(15);
/// In no output, whatever goes wrong.
pub const SECRET: &str = "hunter2";
const SHARDS: [&str; 3] = ["a", "b", "c"];

/// The place. Its settings may be changed before they are used.
pub struct Place {
    folder: TempDir,
    /// The database's name, of which the topic's is made.
    name: String,
    pub url: String,
    pub brokers: String,
    pub topic: String,
    pub partitions: u32,
    /// URLs with a database of their own.
    pub shards: Vec<String>,
    pub weights: [u32; 3],
    pub key_file: String,
    /// What nodes log.
    pub log: String,
}

impl Place {
    /// A place where nothing is made yet; none where the environment names no services.
    pub fn new() -> Option<Self> {
        let said = |name| std::env::var(name).ok();
        let (Some(postgres), Some(redis), Some(kafka)) =
            (said("TRIBUTARY_TEST_POSTGRES"), said("TRIBUTARY_TEST_REDIS"), said("TRIBUTARY_TEST_KAFKA"))
        else {
            say("skipped: TRIBUTARY_TEST_POSTGRES, TRIBUTARY_TEST_REDIS or TRIBUTARY_TEST_KAFKA is not set");
            return None;
        };
        let name = format!("services_{:x}", fastrand::u64(..));
        // Tests that run at the same time share the servers, which have 16 databases each.
        static PLACES: AtomicU8 = AtomicU8::new(0);
        let database = 6 + PLACES.fetch_add(1, Ordering::Relaxed) % 10;
        let shard = |url: &str| format!("{}/{database}", url.rsplit_once('/').unwrap().0);
        Some(Self {
            folder: TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
            url: format!("{}/{name}", postgres.rsplit_once('/').unwrap().0),
            brokers: kafka,
            topic: name.replace('_', "-"),
            partitions: 3,
            shards: redis.split(',').map(shard).collect(),
            weights: [1, 1, 1],
            key_file: "signing.key".into(),
            log: "info".into(),
            name,
        })
    }

    /// A place with a database, without a schema.
    pub async fn with_database() -> Option<Self> {
        let place = Self::new()?;
        place.admin(&format!("CREATE DATABASE {}", place.name)).await;
        Some(place)
    }

    /// A place with database, schema and topic.
    pub async fn migrated() -> Option<Self> {
        let place = Self::with_database().await?;
        place.succeeds("migrate").await;
        Some(place)
    }

    fn configure(&self) {
        let Self { url, brokers, topic, partitions, key_file, log, .. } = self;
        let shard = |n: usize| {
            format!("[[shard]]\nname = '{}'\nurl = '{}'\nweight = {}\n", SHARDS[n], self.shards[n], self.weights[n])
        };
        let shards: String = (0..SHARDS.len()).map(shard).collect();
        let config = format!(
            "[http]
listen = '127.0.0.1:0'
[store]
kind = 'postgres'
url = '{url}'
[log]
kind = 'kafka'
brokers = ['{brokers}']
topic = '{topic}'
partitions = {partitions}
[auth]
dev_login = true
signing_key_file = '{key_file}'
[telemetry]
log = '{log}'
{shards}"
        );
        std::fs::write(self.folder.path().join("tributary.toml"), config).unwrap();
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs the program with these arguments, and the configuration.
    pub async fn run(&self, arguments: &str) -> Output {
        self.configure();
        let mut command = program(self.folder());
        command.args(arguments.split(' ')).args(["--config", "tributary.toml"]);
        let output = tokio::task::spawn_blocking(move || ended(&mut command)).await.unwrap();
        for told in [&output.stdout, &output.stderr] {
            assert!(!String::from_utf8_lossy(told).contains(SECRET), "{arguments}: a secret is told");
        }
        output
    }

    /// What a command prints that succeeds.
    pub async fn succeeds(&self, arguments: &str) -> String {
        let output = self.run(arguments).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{arguments}: {told}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The one line that says why a command fails. It has all these words.
    pub async fn fails(&self, arguments: &str, words: &[&str]) -> String {
        let begun = Instant::now();
        let output = self.run(arguments).await;
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments} after {:?}: {log}", begun.elapsed());
        assert!(!log.contains("panicked"), "{log}");
        let why = log.lines().last().unwrap_or_default().to_owned();
        for word in words {
            assert!(why.contains(word), "{arguments}: {word:?} is not in: {log}");
        }
        why
    }

    /// Runs a statement in the place's database.
    pub async fn sql(&self, statement: &str) -> Vec<String> {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let told = client.simple_query(statement).await.unwrap();
        let first = |message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
            _ => None,
        };
        told.into_iter().filter_map(first).collect()
    }

    /// Runs a statement as the superuser, outside the place's database.
    pub async fn admin(&self, statement: &str) {
        let url = std::env::var("TRIBUTARY_TEST_POSTGRES").unwrap();
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(statement).await.unwrap();
    }

    /// Runs a command in a shard's database.
    pub async fn shard(&self, shard: usize, command: &str) -> String {
        let (address, database) = self.shards[shard].strip_prefix("redis://").unwrap().split_once('/').unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("SELECT {database}\r\n{command}\r\nQUIT\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Writes a message into a topic.
    pub async fn write(&self, topic: &str, partition: i32, key: &[u8], value: &[u8]) {
        let (brokers, topic) = (self.brokers.clone(), topic.to_owned());
        let (key, value) = (key.to_owned(), value.to_owned());
        let write = move || {
            let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
            let record = BaseRecord::to(&topic).partition(partition).key(&key[..]).payload(&value[..]);
            producer.send(record).map_err(|(error, _)| error).unwrap();
            producer.flush(PATIENCE).unwrap();
        };
        tokio::task::spawn_blocking(write).await.unwrap();
    }

    /// Removes what the place had.
    pub async fn remove(self) {
        self.admin(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)).await;
    }
}

/// Runs a command to its end; one that hangs is killed, and its status says so.
fn ended(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            child.kill().unwrap();
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

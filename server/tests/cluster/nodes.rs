//! The nodes: two that serve and two that work, each a process with a configuration of its own in one folder.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;

use crate::common::{Client, Process, program};
use crate::services::{Services, done, ended};

/// The database of the shards that is ours.
const REDIS_DATABASE: u8 = 5;
pub const PARTITIONS: u32 = 4;
/// Lines of each log that are told when the test fails.
const LINES_TOLD: usize = 60;

/// A node: the same name and configuration at each start, and another address.
pub struct Node {
    pub name: String,
    folder: PathBuf,
    process: RefCell<Option<Process>>,
    client: RefCell<Option<Client>>,
    starts: Cell<usize>,
    log: RefCell<String>,
}

impl Node {
    fn new(name: String, folder: &Path) -> Self {
        Self {
            name,
            folder: folder.to_owned(),
            process: RefCell::default(),
            client: RefCell::default(),
            starts: Cell::default(),
            log: RefCell::default(),
        }
    }

    /// Starts it, and waits until it is ready.
    pub async fn start(&self) {
        self.starts.set(self.starts.get() + 1);
        let log = self.folder.join(format!("{}.{}.log", self.name, self.starts.get()));
        let process = Process::start(&self.folder, &format!("{}.toml", self.name), log).await;
        *self.client.borrow_mut() = Some(Client::new(process.address));
        *self.process.borrow_mut() = Some(process);
    }

    /// Kills it, as by kill -9.
    pub fn kill(&self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
            self.log.borrow_mut().push_str(&process.told());
        }
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        self.process.borrow().as_ref().unwrap().signal(name);
    }

    /// A client of it; of its last address, where it does not run.
    pub fn client(&self) -> Client {
        self.client.borrow().clone().expect("it was started once")
    }

    /// The log of all its lives.
    pub fn told(&self) -> String {
        let now = self.process.borrow().as_ref().map(Process::told).unwrap_or_default();
        format!("{}{now}", self.log.borrow())
    }
}

/// All nodes.
pub struct Nodes {
    folder: Option<TempDir>,
    pub api: [Node; 2],
    pub workers: [Node; 2],
    pub database: String,
    pub topic: String,
}

impl Nodes {
    /// Writes the configurations, makes database, schema and topic, and starts all.
    pub async fn start(services: &Services, seed: u64) -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let name = format!("cluster_{seed}_{}", std::process::id());
        let node = |role: &str, n| Node::new(format!("{role}-{n}"), folder.path());
        let nodes = Self {
            api: [node("api", 0), node("api", 1)],
            workers: [node("worker", 0), node("worker", 1)],
            database: name.clone(),
            topic: name.replace('_', "-"),
            folder: Some(folder),
        };
        services.sql("postgres", &format!("CREATE DATABASE {name}")).await.unwrap();
        for node in nodes.all() {
            nodes.configure(services, &node.name, [1, 1, 1]);
        }
        done_well(nodes.run(&["migrate", "--config", "api-0.toml"]).await);
        for node in nodes.all() {
            node.start().await;
        }
        nodes
    }

    /// Every node.
    pub fn all(&self) -> impl Iterator<Item = &Node> {
        self.api.iter().chain(&self.workers)
    }

    /// Writes `NAME.toml`. Ring and caches are small and thresholds and ages low, so that a short load meets hot
    /// authors, flushes, laps of the ring, evictions, checkpoints and timelines that reach below all of them.
    pub fn configure(&self, services: &Services, name: &str, weights: [u32; 3]) {
        let role = name.split('-').next().unwrap_or(name);
        let url = format!("{}?application_name={name}", services.database(&self.database));
        let shard = |(n, url): (usize, &String)| {
            let url = format!("{}/{REDIS_DATABASE}", url.rsplit_once('/').unwrap().0);
            format!("[[shard]]\nname = '{}'\nurl = '{url}'\nweight = {}\n", crate::services::SHARDS[n], weights[n])
        };
        let shards: String = services.shards.iter().enumerate().map(shard).collect();
        let (kafka, topic) = (&services.kafka, &self.topic);
        let config = format!(
            "roles = ['{role}']
[http]
listen = '127.0.0.1:0'
[store]
kind = 'postgres'
url = '{url}'
pool_size = 6
[log]
kind = 'kafka'
brokers = ['{kafka}']
topic = '{topic}'
partitions = {PARTITIONS}
[cache]
ring_bytes = 65536
windows_bytes = 49152
streams_bytes = 32768
views_bytes = 16384
posts_bytes = 262144
[auth]
dev_login = true
signing_key_file = 'signing.key'
access_ttl_s = 86400
[hot]
enter_followers = 12
leave_followers = 10
[flush]
max_age_ms = 50
[limits]
follows = 0
posts_per_minute = 0
requests_per_second = 0
{shards}"
        );
        std::fs::write(self.folder().join(format!("{name}.toml")), config).unwrap();
    }

    /// Runs the program's command line in the nodes' folder.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = program(self.folder());
        command.args(arguments);
        ended(command).await
    }

    pub fn folder(&self) -> &Path {
        self.folder.as_ref().expect("it goes last").path()
    }

    /// Nothing may have died in silence, nor been worth an error but the event that nobody understands.
    pub fn check_logs(&self) {
        let bad = |line: &&str| ["panicked", "ERROR", "Assertion"].iter().any(|word| line.contains(word));
        for node in self.all() {
            let log = node.told();
            let found = log.lines().filter(bad).find(|line| !line.contains("a dead letter"));
            assert!(found.is_none(), "{}: {found:?}", node.name);
        }
    }

    /// Removes what the nodes had in PostgreSQL.
    pub async fn remove(&self, services: &Services) {
        self.all().for_each(Node::kill);
        services.sql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.database)).await.unwrap();
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for node in self.all() {
            let log = node.told();
            // The answers of a storm are many, and all the same.
            let lines: Vec<&str> = log.lines().filter(|line| !line.contains("failed status=503")).collect();
            eprintln!("\nthe end of the log of {}:", node.name);
            lines[lines.len().saturating_sub(LINES_TOLD)..].iter().for_each(|line| eprintln!("{line}"));
        }
        let kept = self.folder.take().map(TempDir::keep);
        eprintln!("\nconfigurations and logs are kept in {kept:?}");
    }
}

/// What a command printed; it must have succeeded.
pub fn done_well(output: Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {told}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Copies a folder with everything about its files.
pub async fn copy(from: &Path, to: &Path) {
    let mut command = std::process::Command::new("cp");
    command.arg("-a").arg(from).arg(to);
    done(command, &format!("copying {}", from.display())).await;
}

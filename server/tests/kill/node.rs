//! The program in a process of its own, and its folder.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

use crate::common::{Client, eventually};

/// Longer than a start may take, repairs included.
const PATIENCE: Duration = Duration::from_secs(20);

/// Low thresholds and ages and a small ring, so that a short load meets hot authors, flushes, checkpoints and
/// timelines that reach below the ring.
const CONFIG: &str = "
[http]
listen = '127.0.0.1:0'
[cache]
ring_bytes = 65536
[auth]
access_ttl_s = 86400
[hot]
enter_followers = 20
leave_followers = 18
[flush]
max_age_ms = 20
[limits]
follows = 0
posts_per_minute = 0
requests_per_second = 0
";

/// A folder for a node: its configuration and its data, on a disk.
pub struct Home(TempDir);

impl Home {
    pub fn new() -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::write(folder.path().join("tributary.toml"), CONFIG).unwrap();
        Self(folder)
    }

    /// A node on this folder, ready.
    pub async fn start(&self) -> Node {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TRIBUTARY__")) {
            command.env_remove(name);
        }
        command.args(["serve", "--config", "tributary.toml"]).current_dir(self.0.path());
        let node = Node::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()));
        let client = Client::new(node.address);
        eventually(async || (client.get("/readyz").await.status == 200).then_some(())).await;
        node
    }
}

/// A running node, killed when it goes out of sight.
pub struct Node {
    pub address: SocketAddr,
    process: Child,
    log: Option<JoinHandle<String>>,
}

impl Node {
    fn start(command: &mut Command) -> Self {
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap());
        let (listens, told) = mpsc::channel();
        // Read to its end, lest the node waits for someone to read it.
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            loop {
                let start = log.len();
                // A kill may cut a character in two.
                if lines.read_line(&mut log).unwrap_or(0) == 0 {
                    return log;
                }
                if let Some((_, address)) = log[start..].split_once("listening on http://") {
                    listens.send(address.trim().parse().unwrap()).ok();
                }
            }
        });
        match told.recv_timeout(PATIENCE) {
            Ok(address) => Self { address, process, log: Some(log) },
            Err(_) => {
                process.kill().ok();
                panic!("it does not listen:\n{}", log.join().unwrap());
            }
        }
    }

    /// Kills it, as by kill -9. Nothing that happened until then may have been worth a warning.
    pub fn kill(mut self) {
        let log = self.end();
        assert!(!["WARN", "ERROR", "panicked"].iter().any(|word| log.contains(word)), "{log}");
    }

    fn end(&mut self) -> String {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.log.take().map(|log| log.join().unwrap()).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.log.is_some() {
            let log = self.end();
            eprintln!("the log of the node:\n{log}");
        }
    }
}

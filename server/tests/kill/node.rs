//! A node in a process of its own, and its folder.

use std::net::SocketAddr;

use tempfile::TempDir;

use crate::common::Process;

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
        let process = Process::start(self.0.path(), "tributary.toml", self.0.path().join("node.log")).await;
        Node { address: process.address, process }
    }
}

/// A running node. Its log is told when the test fails.
pub struct Node {
    pub address: SocketAddr,
    process: Process,
}

impl Node {
    /// Kills it, as by kill -9. Nothing that happened until then may have been worth a warning.
    pub fn kill(mut self) {
        self.process.kill();
        let log = self.process.told();
        assert!(!["WARN", "ERROR", "panicked"].iter().any(|word| log.contains(word)), "they are in the log");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the log of the node:\n{}", self.process.told());
        }
    }
}

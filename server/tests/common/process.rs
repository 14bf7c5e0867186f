//! The program in a process of its own.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Client;

/// Longer than a start may take, repairs included.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The program, without settings from the environment of whoever runs the tests.
pub fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TRIBUTARY__")) {
        command.env_remove(name);
    }
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// A running node, killed when it goes out of sight.
pub struct Process {
    pub address: SocketAddr,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a node that serves by the configuration `config` in `folder`, and waits until it is ready. Its log is in
    /// `log`, a file, so that nobody has to read it lest the node waits.
    pub async fn start(folder: &Path, config: &str, log: PathBuf) -> Self {
        let file = File::create(&log).unwrap();
        let mut command = program(folder);
        let command = command.args(["serve", "--config", config]).stdout(file.try_clone().unwrap()).stderr(file);
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut node = Self { address, child: command.spawn().unwrap(), log };
        let until = Instant::now() + PATIENCE;
        node.address = node.listens(until).await;
        let client = Client::new(node.address);
        while client.get("/readyz").await.status != 200 {
            assert!(Instant::now() < until, "it is never ready:\n{}", node.told());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        node
    }

    async fn listens(&mut self, until: Instant) -> SocketAddr {
        loop {
            let told = self.told();
            // A line that is not whole yet is read the next time.
            let whole = told.rsplit_once('\n').map_or("", |(lines, _)| lines);
            if let Some((_, rest)) = whole.split_once("listening on http://") {
                return rest.lines().next().unwrap_or_default().trim().parse().unwrap();
            }
            assert!(self.child.try_wait().unwrap().is_none(), "it has ended:\n{told}");
            assert!(Instant::now() < until, "it does not listen:\n{told}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Sends a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success(), "kill -s {name}: {sent}");
    }

    /// Kills it, as by kill -9; also one that stands still.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Bytes of memory that it has resident.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1_024
    }

    /// The processor time that it has used.
    pub fn busy(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // After the name, which may have spaces, user and system time are the 12th and 13th, in hundredths of a second.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let hundredths: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(10 * hundredths)
    }

    /// Its log so far. A kill may have cut a character in two.
    pub fn told(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

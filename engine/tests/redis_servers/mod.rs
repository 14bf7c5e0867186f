//! Servers and key spaces for the tests of the Redis adapter.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::{Cmd, Connection, FromRedisValue, cmd};
use tempfile::TempDir;

/// The servers that the environment offers, or a word on why the test does nothing.
pub fn shared_urls() -> Option<Vec<String>> {
    let Ok(urls) = std::env::var("TRIBUTARY_TEST_REDIS") else {
        eprintln!("skipped: TRIBUTARY_TEST_REDIS is not set");
        return None;
    };
    let urls: Vec<String> = urls.split(',').map(str::to_owned).collect();
    assert_eq!(urls.len(), 3, "TRIBUTARY_TEST_REDIS names three servers");
    Some(urls)
}

/// A key space of its own on shared servers, emptied at the end.
pub struct Space {
    pub prefix: String,
    servers: Vec<Connection>,
}

impl Space {
    pub fn new(urls: &[String]) -> Self {
        let connect = |url: &String| {
            redis::Client::open(url.as_str()).and_then(|client| client.get_connection()).expect("the server is there")
        };
        Self { prefix: format!("test-{:x}", fastrand::u64(..)), servers: urls.iter().map(connect).collect() }
    }

    /// The first server's answer.
    pub fn ask<T: FromRedisValue>(&mut self, cmd: &Cmd) -> T {
        cmd.query(&mut self.servers[0]).expect("the server answers")
    }

    /// The keys of all windows.
    pub fn windows(&mut self) -> Vec<String> {
        let pattern = format!("{}:w:*", self.prefix);
        let keys = |server: &mut Connection| {
            cmd("KEYS").arg(&pattern).query::<Vec<String>>(server).expect("the server answers")
        };
        self.servers.iter_mut().flat_map(keys).collect()
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let keys: Vec<String> = cmd("KEYS").arg(format!("{}:*", self.prefix)).query(server).unwrap_or_default();
            if !keys.is_empty() {
                let _ = cmd("UNLINK").arg(keys).exec(server);
            }
        }
    }
}

/// A server of the test's own.
pub struct Server {
    port: u16,
    arguments: Vec<String>,
    folder: TempDir,
    process: Option<Child>,
}

impl Server {
    /// Starts one with additional `arguments`.
    pub fn start(arguments: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port is free").port();
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut server = Self { port, arguments, folder: tempfile::tempdir().expect("a folder"), process: None };
        server.restart();
        server
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it, if it runs, and starts it again, empty; returns when it answers.
    pub fn restart(&mut self) {
        self.kill();
        let process = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.arguments)
            .stdout(Stdio::null())
            .spawn();
        self.process = Some(process.expect("redis-server is installed"));
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "redis-server does not start");
            std::thread::yield_now();
        }
    }

    /// STOP or CONT.
    pub fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("it runs");
        let sent = Command::new("kill").args([&format!("-{signal}"), &process.id().to_string()]).status();
        assert!(sent.expect("kill is installed").success());
    }

    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it runs");
            process.wait().expect("it ends");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

//! Headless Chromium, driven by its DevTools protocol over a pair of pipes: JSON messages with a NUL behind each.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
/// Longer than anything may take, a first start on a busy machine included.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where a browser is installed.
pub fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name))).find(|file| file.is_file())
}

/// A browser with one page, killed when it goes out of sight.
pub struct Browser {
    child: Child,
    commands: File,
    messages: Receiver<Value>,
    session: Value,
    sent: u64,
    /// What the page complained of: its console, and what its policy forbade.
    pub complaints: Vec<Value>,
    _folder: TempDir,
}

impl Browser {
    /// Starts `program` with an empty page.
    pub fn start(program: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pipe = |name: &str| {
            let path = folder.path().join(name);
            assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
            // Open for both, or opening would wait for the other side.
            let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
            (path, file)
        };
        let ((to, commands), (from, told)) = (pipe("to"), pipe("from"));
        let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
        let flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"];
        let child = Command::new("sh")
            .args(["-c", "to=$1 from=$2; shift 2; exec \"$@\" 3<\"$to\" 4>\"$from\"", "sh"])
            .args([to.as_os_str(), from.as_os_str(), program.as_os_str()])
            .args(flags)
            .args(["--remote-debugging-pipe", "--disable-background-networking", &profile])
            .arg(OsStr::new("about:blank"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (send, messages) = channel();
        std::thread::spawn(move || {
            let mut told = BufReader::new(told);
            loop {
                let mut message = Vec::new();
                told.read_until(0, &mut message).unwrap();
                message.pop();
                // Nobody listens any more once the test is over.
                if send.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    return;
                }
            }
        });
        let (session, complaints) = (Value::Null, Vec::new());
        let mut browser = Self { child, commands, messages, session, sent: 0, complaints, _folder: folder };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attach = json!({"targetId": target, "flatten": true});
        browser.session = browser.ask("Target.attachToTarget", attach)["sessionId"].clone();
        for domain in ["Page", "Runtime", "Log"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Goes to a page.
    pub fn open(&mut self, url: &str) {
        let went = self.ask("Page.navigate", json!({"url": url}));
        assert!(went["errorText"].is_null(), "{url}: {went}");
    }

    /// What the page's script comes to; an async one is waited for.
    pub fn run(&mut self, script: &str) -> Value {
        let asked = json!({"expression": script, "awaitPromise": true, "returnByValue": true});
        let ran = self.ask("Runtime.evaluate", asked);
        assert!(ran["exceptionDetails"].is_null(), "{ran}");
        ran["result"]["value"].clone()
    }

    fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.sent += 1;
        let mut command = json!({"id": self.sent, "method": method, "params": parameters});
        if !self.session.is_null() {
            command["sessionId"] = self.session.clone();
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).unwrap();
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let message = self.messages.recv_timeout(left).unwrap_or_else(|_| panic!("no answer to {method}"));
            if message["id"] == self.sent {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.note(&message);
        }
    }

    fn note(&mut self, message: &Value) {
        let told = &message["params"];
        let complains = match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => told["type"] == "error" || told["type"] == "warning",
            Some("Log.entryAdded") => told["entry"]["level"] == "error" || told["entry"]["level"] == "warning",
            _ => false,
        };
        if complains {
            self.complaints.push(told.clone());
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

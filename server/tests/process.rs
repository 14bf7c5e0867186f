//! The program as its operators meet it: it says where it listens, ends when asked to, explains in one line why it
//! cannot start, and takes its tuning from the configuration.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder for a node: its configuration and its data.
struct Home(TempDir);

impl Home {
    fn new(config: &str) -> Self {
        let home = Self(tempfile::tempdir().expect("a folder"));
        home.configure(config);
        home
    }

    fn configure(&self, config: &str) {
        let listen = "[http]\nlisten = '127.0.0.1:0'\n";
        std::fs::write(self.0.path().join("tributary.toml"), format!("{listen}{config}")).expect("written");
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TRIBUTARY__")) {
            command.env_remove(name);
        }
        command.args(["serve", "--config", "tributary.toml"]).current_dir(self.0.path());
        command
    }

    fn start(&self) -> Node {
        Node::start(&mut self.command())
    }

    fn fails(&self, args: &[&str]) -> String {
        let Output { status, stderr, .. } = self.command().args(args).output().expect("it runs");
        let told = String::from_utf8(stderr).expect("text");
        assert_eq!(status.code(), Some(1), "{told}");
        told
    }
}

/// A running node, killed when it goes out of sight.
struct Node {
    process: Child,
    log: BufReader<ChildStderr>,
    address: SocketAddr,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Node {
    fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let log = BufReader::new(process.stderr.take().expect("piped"));
        let mut node = Self { process, log, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let line = node.line_with("listening on http://");
        let (_, address) = line.trim().split_once("http://").expect("an address");
        node.address = address.parse().expect("an address");
        node
    }

    /// Reads the log up to a line with `text`.
    fn line_with(&mut self, text: &str) -> String {
        let mut lines = String::new();
        loop {
            let start = lines.len();
            assert_ne!(self.log.read_line(&mut lines).expect("it logs text"), 0, "no {text:?} in\n{lines}");
            if lines[start..].contains(text) {
                return lines.split_off(start);
            }
        }
    }

    fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().expect("kill runs").success());
    }

    /// Asks it to stop; its exit code and the rest of its log.
    fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        self.signal(signal);
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).expect("it logs text");
        (self.process.wait().expect("it ends").code(), rest)
    }

    fn request(&self, head: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        let length = body.len();
        let request = format!(
            "{head}\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        assert!(head.starts_with("HTTP/1.1 20"), "{answer}");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    fn operator(&self) -> String {
        let tokens = self.request("POST /v1/auth/dev HTTP/1.1", &json!({"handle": "ann", "operator": true}));
        format!("authorization: Bearer {}", tokens["access_token"].as_str().expect("a token"))
    }

    /// Versions, newest first: the number, who made it, `enter_followers` and `flush_max_age_ms`.
    fn tunings(&self) -> Vec<(u64, String, u64, u64)> {
        let operator = self.operator();
        let page = self.request(&format!("GET /v1/operator/tuning/history HTTP/1.1\r\n{operator}"), &Value::Null);
        let number = |tuning: &Value, key: &str| tuning[key].as_u64().expect("a number");
        let row = |t: &Value| {
            let by = t["changed_by"].as_str().expect("a text").to_owned();
            (number(t, "version"), by, number(t, "enter_followers"), number(t, "flush_max_age_ms"))
        };
        page["items"].as_array().expect("a list").iter().map(row).collect()
    }
}

#[test]
fn a_node_says_where_it_listens_and_serves_until_it_is_asked_to_stop() {
    let home = Home::new("");
    for signal in ["-TERM", "-INT"] {
        let node = home.start();
        assert_eq!(node.request("GET /healthz HTTP/1.1", &Value::Null)["status"], "ok");
        let (code, log) = node.stop(signal);
        assert_eq!(code, Some(0), "{log}");
        assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    }
    assert!(home.0.path().join("data/signing.key").exists());
}

#[test]
fn a_demo_leaves_nothing_behind() {
    let home = Home::new("");
    let temporary = home.0.path().join("tmp");
    std::fs::create_dir(&temporary).expect("made");
    let node = Node::start(home.command().arg("--demo").env("TMPDIR", &temporary));
    assert_eq!(entries(&temporary), 1);
    let (code, log) = node.stop("-TERM");
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(entries(&temporary), 0);
    assert!(!home.0.path().join("data").exists());
}

fn entries(folder: &Path) -> usize {
    folder.read_dir().expect("listed").count()
}

#[test]
fn a_node_that_cannot_start_says_why_in_one_line() {
    let home = Home::new("");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let told = home.fails(&["--listen", &address]);
    assert!(told.starts_with(&format!("http.listen: cannot listen on {address}")), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");

    let node = home.start();
    let told = home.fails(&[]);
    assert!(told.contains("open already"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    drop(node);

    std::fs::write(home.0.path().join("data/signing.key"), "short").expect("written");
    let told = home.fails(&[]);
    assert!(told.starts_with("auth.signing_key_file: "), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn the_tuning_follows_what_the_configuration_says_and_otherwise_the_operators() {
    let by_config = |version, enter, age| (version, "config".to_owned(), enter, age);
    let default = (1, "default".to_owned(), 10_000, 900_000);

    let home = Home::new("");
    let node = home.start();
    assert_eq!(node.tunings(), std::slice::from_ref(&default), "nothing said, nothing made");

    home.configure("[hot]\nenter_followers = 9000");
    node.signal("-HUP");
    let mut node = node;
    node.line_with("was read again");
    let hot = by_config(2, 9_000, 900_000);
    assert_eq!(node.tunings(), [hot.clone(), default.clone()]);

    home.configure("[hot]\nenter_followers = 'many'\n[flush]\nmax_age = 1");
    node.signal("-HUP");
    let told = [node.line_with("not used"), node.line_with("not used")].concat();
    assert!(told.contains("hot.enter_followers") && told.contains("flush.max_age"), "each error is logged: {told}");

    let operator = node.operator();
    let settings = json!({"mode": "threshold", "enter_followers": 50, "leave_followers": 40,
        "flush_max_age_ms": 70, "flush_max_pairs": 80});
    node.request(&format!("PUT /v1/operator/tuning HTTP/1.1\r\nif-match: \"2\"\r\n{operator}"), &settings);
    let tuned = (3, "ann".to_owned(), 50, 70);
    assert_eq!(node.tunings()[0], tuned);
    drop(node);

    home.configure("[hot]\nenter_followers = 9000");
    let node = home.start();
    assert_eq!(node.tunings()[0], tuned, "the file has said nothing new");
    drop(node);

    home.configure("[hot]\nenter_followers = 9000\n[flush]\nmax_age_ms = 0");
    let node = home.start();
    assert_eq!(node.tunings(), [by_config(4, 50, 0), tuned, hot, default], "only the new section counts");
}

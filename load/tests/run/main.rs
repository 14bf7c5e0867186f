//! Load tests of a real server over real sockets: each mix verifies; what must fail does, with its file; a server that
//! is gone, is another's or lets nobody in is told plainly.

#![allow(clippy::unwrap_used, reason = "a test: whatever fails here fails it")]

mod proxy;
mod server;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use server::Server;
use tempfile::TempDir;

/// The load lab's program.
fn program(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary-load"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn done(arguments: &[&str], folder: &Path) -> Output {
    program(arguments, folder).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn assert_ends(output: &Output, status: i32, says: &str) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert!(said.contains(says), "no {says:?} in\n{said}");
}

/// A world and a store that holds it, made once for all tests.
struct Made(TempDir);

impl Made {
    fn get() -> &'static Self {
        static MADE: OnceLock<Made> = OnceLock::new();
        MADE.get_or_init(|| {
            let folder = TempDir::new().unwrap();
            std::fs::write(folder.path().join("tributary.toml"), server::CONFIG).unwrap();
            for arguments in [
                "world --users 2000 --seed 5 --mean-follows 30 --out world",
                "import --world world --config tributary.toml",
            ] {
                assert_ends(&done(&arguments.split(' ').collect::<Vec<_>>(), folder.path()), 0, "");
            }
            Self(folder)
        })
    }

    fn world(&self) -> PathBuf {
        self.0.path().join("world")
    }

    /// A server on a copy of the store.
    fn serve(&self, more: &str) -> Server {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        for entry in std::fs::read_dir(self.0.path().join("data")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), folder.path().join("data").join(entry.file_name())).unwrap();
        }
        Server::start(folder, more)
    }
}

/// `run` on the made world, with more arguments separated by spaces.
fn run(url: &str, more: &str, folder: &Path) -> Command {
    let world = Made::get().world();
    let mut arguments = vec!["run", "--world", world.to_str().unwrap(), "--url", url];
    arguments.extend(more.split(' '));
    program(&arguments, folder)
}

#[test]
fn each_mix_runs_and_is_found_right() {
    let (server, folder) = (Made::get().serve(""), TempDir::new().unwrap());
    for (mix, rate) in [("natural", 100), ("twip", 50), ("burst", 100)] {
        let url = server.url();
        let arguments = format!("--mix {mix} --rate {rate} --seconds 6 --verify --json --report {mix}.html --seed 3");
        let arguments = format!("{arguments} --also-url {url}");
        let output = run(&url, &arguments, folder.path()).output().unwrap();
        assert_ends(&output, 0, "");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let verified = &told["verified"];
        assert_eq!((&verified["different"], &verified["readers"]), (&0.into(), &24.into()), "{verified}");
        assert_eq!(verified["timelines"], 24, "{verified}");
        assert!(verified["pages"].as_u64().unwrap() > 10 && told["probes"].as_u64().unwrap() > 1, "{told}");
        assert!(told["client"]["cpu_seconds"].as_f64().unwrap() > 0.0);
        let kinds: Vec<&str> = told["kinds"].as_array().unwrap().iter().map(|k| k["kind"].as_str().unwrap()).collect();
        let expected: &[&str] = match mix {
            "twip" => &["first page", "since", "post", "follow", "sign in"],
            _ => &["first page", "next page", "post", "follow", "like"],
        };
        assert!(expected.iter().all(|kind| kinds.contains(kind)), "{mix}: {kinds:?}");
        let errors: u64 = told["kinds"].as_array().unwrap().iter().map(|kind| kind["errors"].as_u64().unwrap()).sum();
        assert_eq!(errors, 0, "{}", told["kinds"]);
        let html = std::fs::read_to_string(folder.path().join(format!("{mix}.html"))).unwrap();
        assert!(html.contains("<svg") && html.contains("first page"));
    }
}

#[test]
fn an_entry_that_is_not_served_is_found_missing() {
    let (server, folder) = (Made::get().serve(""), TempDir::new().unwrap());
    let proxy = proxy::Proxy::start(server.address);
    let arguments = "--rate 20 --seconds 3 --verify --seed 8 --operator-handle root";
    let output = run(&proxy.url(), arguments, folder.path()).output().unwrap();
    assert_ends(&output, 1, "verification found");
    let file = std::fs::read_to_string(folder.path().join("verify-failure-8.json")).unwrap();
    assert!(!file.contains("Bearer"), "no secrets");
    let file: Value = serde_json::from_str(&file).unwrap();
    assert_eq!(file["seed"], 8);
    for difference in file["differences"].as_array().unwrap() {
        let ids = |name: &str| difference[name].as_array().unwrap().clone();
        let missing: Vec<Value> =
            ids("faults").iter().filter(|f| f["wrong"] == "missing").map(|f| f["post"].clone()).collect();
        assert!(!missing.is_empty(), "{difference}");
        assert!(ids("sources").iter().all(|entry| entry["from"].is_string()) && !ids("sources").is_empty());
        assert!(missing.iter().all(|post| ids("expected").contains(post) && !ids("found").contains(post)));
    }
}

#[test]
fn a_server_that_goes_away_leaves_a_partial_report() {
    let (mut server, folder) = (Made::get().serve(""), TempDir::new().unwrap());
    let arguments = "--rate 100 --seconds 600 --verify --report partial.html";
    let mut child = run(&server.url(), arguments, folder.path()).spawn().unwrap();
    until_it_runs(&mut child);
    server.kill();
    let output = child.wait_with_output().unwrap();
    assert_ends(&output, 1, "has not answered");
    assert_ends(&output, 1, "first page ");
    assert!(std::fs::read_to_string(folder.path().join("partial.html")).unwrap().contains("went away"));
}

#[test]
fn a_server_that_comes_back_has_lost_nothing() {
    let (mut server, folder) = (Made::get().serve(""), TempDir::new().unwrap());
    let arguments = "--rate 200 --seconds 14 --verify --json";
    let mut child = run(&server.url(), arguments, folder.path()).spawn().unwrap();
    until_it_runs(&mut child);
    server.kill();
    server.serve_again();
    let output = child.wait_with_output().unwrap();
    assert_ends(&output, 0, "");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let errors: u64 = told["kinds"].as_array().unwrap().iter().map(|kind| kind["errors"].as_u64().unwrap()).sum();
    assert!(errors > 0, "it was gone for a moment: {}", told["kinds"]);
    assert_eq!((&told["verified"]["different"], &told["verified"]["timelines"]), (&0.into(), &24.into()));
}

#[test]
fn an_interrupted_run_ends_with_its_report() {
    let (server, folder) = (Made::get().serve(""), TempDir::new().unwrap());
    let mut child = run(&server.url(), "--rate 100 --seconds 600 --report early.html", folder.path()).spawn().unwrap();
    until_it_runs(&mut child);
    let killed = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_ends(&child.wait_with_output().unwrap(), 0, "interrupted");
    assert!(folder.path().join("early.html").exists());
}

/// Waits for the first line of how it goes.
fn until_it_runs(child: &mut Child) {
    use std::io::{BufRead, BufReader};
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(" requests a second, ") {
        line.clear();
        assert!(errors.read_line(&mut line).unwrap() > 0, "it ended before it ran");
    }
    child.stderr = Some(errors.into_inner());
}

#[test]
fn a_server_of_another_world_is_refused() {
    let (server, folder) = (Made::get().serve(""), TempDir::new().unwrap());
    let other = "world --users 2000 --seed 6 --mean-follows 30 --out other";
    assert_ends(&done(&other.split(' ').collect::<Vec<_>>(), folder.path()), 0, "");
    let larger = "world --users 3000 --seed 5 --mean-follows 30 --out larger";
    assert_ends(&done(&larger.split(' ').collect::<Vec<_>>(), folder.path()), 0, "");
    for world in ["other", "larger"] {
        let arguments = ["run", "--world", world, "--url", &server.url(), "--seconds", "1"];
        assert_ends(&done(&arguments, folder.path()), 1, "does not hold this world");
    }
    std::fs::write(folder.path().join("larger/posts.bin"), "short").unwrap();
    let arguments = ["run", "--world", "larger", "--url", &server.url()];
    assert_ends(&done(&arguments, folder.path()), 1, "posts.bin");
}

#[test]
fn who_lets_nobody_in_or_sets_limits_is_told_so() {
    let folder = TempDir::new().unwrap();
    let closed = Made::get().serve("[auth]\ndev_login = false\n");
    let output = run(&closed.url(), "--seconds 1", folder.path()).output().unwrap();
    assert_ends(&output, 1, "auth.dev_login = true");
    let limited = Made::get().serve("[limits]\nrequests_per_second = 20\n");
    let output = run(&limited.url(), "--seconds 1", folder.path()).output().unwrap();
    assert_ends(&output, 1, "limits.requests_per_second = 0");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = run(&format!("http://{free}"), "--seconds 1", folder.path()).output().unwrap();
    assert_ends(&output, 1, "not reachable");
}

#[test]
fn wrong_usage_is_status_2() {
    let folder = TempDir::new().unwrap();
    for wrong in ["--rate 0", "--rate fast", "--seconds 0", "--mix wild", "--connections 0", "--readers 0"] {
        let output = run("http://127.0.0.1:1", wrong, folder.path()).output().unwrap();
        assert_ends(&output, 2, "error:");
    }
}

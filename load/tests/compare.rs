//! A small comparison from beginning to end: every arm that this machine can have gives the pages of the truth, and the
//! result has the fields that its readers rely on.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Whether a program is there. What is missing is told, also where the test passes.
fn has(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        let _ = writeln!(std::io::stderr(), "SKIPPED in part: no {program} in PATH");
    }
    there
}

/// Runs the program.
fn compare(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_tributary-load"))
        .arg("compare")
        .args(arguments)
        .output()
        .expect("the program starts")
}

#[test]
fn every_arm_gives_the_pages_of_the_truth_and_its_figures() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.html");
    let mut against = Vec::new();
    if has("redis-server") {
        against.extend(["mastodon", "misskey"]);
    }
    if has("initdb") || std::path::Path::new("/usr/lib/postgresql").is_dir() {
        against.push("postgres-pull");
    }
    let peers = against.join(",");
    let mut arguments = vec!["--users", "500", "--seconds", "1", "--rounds", "1", "--json"];
    arguments.extend(["--report", report.to_str().unwrap()]);
    if !against.is_empty() {
        arguments.extend(["--against", &peers]);
    }
    let done = compare(&arguments);
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{told}");
    let found: Value = serde_json::from_slice(&done.stdout).unwrap();

    assert_eq!(found["world"]["users"], 500);
    // Two pages of 300 readers, but for those whose timeline is a single one.
    assert!(found["pages_checked"].as_u64().unwrap() >= 300, "{found}");
    let arms = found["arms"].as_array().unwrap();
    let names: Vec<&str> = arms.iter().map(|arm| arm["name"].as_str().unwrap()).collect();
    assert_eq!(names, [&["tributary"], against.as_slice()].concat());
    for arm in arms {
        let (name, natural) = (&arm["name"], &arm["natural"]);
        for field in ["reads_per_second", "posts_per_second", "deliveries_per_second", "read_p50_ms", "read_p99_ms"] {
            assert!(natural[field].as_f64().unwrap() > 0.0, "{name} {field}: {arm}");
        }
        let [client, servers] = ["cpu_client_per_million_reads", "cpu_servers_per_million_reads"]
            .map(|field| natural[field].as_f64().unwrap());
        assert!(client > 0.0 && (servers > 0.0) == (name != "tributary"), "{arm}");
        assert_eq!(arm["twip"].is_null(), name == "misskey", "{arm}");
        let (fresh, without) = (&arm["fresh"], &arm["fresh_without_fan_out"]);
        assert_eq!(fresh["visible"], fresh["posts"], "{arm}");
        // Push arms show nothing then, the others everything.
        let pushes = name == "mastodon" || name == "misskey";
        assert_eq!(without["visible"], if pushes { Value::from(0) } else { without["posts"].clone() }, "{arm}");
    }
    assert!(found["http"]["bare"]["reads_per_second"].as_f64().unwrap() > 0.0);
    assert!(found["merge"]["chain_and_heap_us"].as_f64().unwrap() > 0.0);
    let ratios = found["ratios"].as_array().unwrap();
    assert!(ratios.iter().all(|ratio| ratio["value"].as_f64().is_some_and(|value| value > 0.0)), "{found}");
    let html = std::fs::read_to_string(report).unwrap();
    assert!(names.iter().all(|name| html.contains(name)) && html.contains("Tributary beside its peers"));
}

#[test]
fn a_comparison_that_is_told_to_end_takes_its_servers_and_folders_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Command::new(env!("CARGO_BIN_EXE_tributary-load"))
        .args(["compare", "--users", "100", "--seconds", "1", "--rounds", "200"])
        .env("TMPDIR", folder.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(running.stderr.take().unwrap()).lines();
    assert!(told.any(|line| line.unwrap().contains("round 0")), "it never began");
    assert!(std::fs::read_dir(folder.path()).unwrap().count() > 0);
    assert!(Command::new("kill").arg(running.id().to_string()).status().unwrap().success());
    assert!(told.any(|line| line.unwrap().contains("interrupted")));
    assert_eq!(running.wait().unwrap().code(), Some(1));
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_peer_that_was_asked_for_and_cannot_be_had_is_an_error_that_names_the_flag() {
    let cases = [
        ("mastodon", "--redis", "redis://127.0.0.1:1/0"),
        ("postgres-pull", "--postgres", "postgres://nobody@127.0.0.1:1/nothing"),
    ];
    for (peer, flag, url) in cases {
        let done = compare(&["--users", "100", "--seconds", "1", "--against", peer, flag, url]);
        let told = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{told}");
        assert!(told.contains(flag) && told.contains(url), "{told}");
    }
    let done = compare(&["--against", "carrier-pigeon"]);
    assert_eq!(done.status.code(), Some(2));
}

//! The page in a browser: headless Chromium, driven by the scripts beside this file, on a server of its own.
//!
//! Skipped, visibly, where Node 20, npm or Chromium is missing; `./taskw test:e2e` installs what Debian has of them.
//! `TRIBUTARY_KEEP` names a folder for pictures of what failed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Client, Process, say};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
const NODE_MAJOR: u32 = 20;

/// Limits would only slow the scripts down. A second node has tokens that live briefly.
const CONFIG: &str = r#"
[http]
listen = "127.0.0.1:0"
[auth]
dev_login = true
operators = ["operator"]
[limits]
requests_per_second = 0
posts_per_minute = 0
"#;

fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find(|p| p.is_file())
}

/// Node, if it is new enough for the driver.
fn node() -> Option<PathBuf> {
    let node = program(&["node", "nodejs"])?;
    let told = Command::new(&node).arg("--version").output().ok()?;
    let major = String::from_utf8_lossy(&told.stdout).trim_start_matches('v').split('.').next()?.parse::<u32>().ok()?;
    (major >= NODE_MAJOR).then_some(node)
}

/// The folder with the packages of the lock, in the user's cache; fetched once for each lock.
fn packages(npm: &Path, scripts: &Path) -> PathBuf {
    let lock = std::fs::read(scripts.join("package-lock.json")).unwrap();
    let digest: String = Sha256::digest(&lock)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let cache = PathBuf::from(std::env::var_os("HOME").expect("a home")).join(".cache/tributary");
    let folder = cache.join(format!("browser-{digest}"));
    if folder.is_dir() {
        return folder;
    }
    std::fs::create_dir_all(&cache).unwrap();
    let draft = tempfile::Builder::new().prefix("browser-").tempdir_in(&cache).unwrap();
    for name in ["package.json", "package-lock.json"] {
        std::fs::copy(scripts.join(name), draft.path().join(name)).unwrap();
    }
    let mut install = Command::new(npm);
    install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(draft.path());
    let told = install.output().unwrap();
    assert!(told.status.success(), "npm ci: {}", String::from_utf8_lossy(&told.stderr));
    // There whole or not at all; somebody else may have been quicker, and has the same.
    if std::fs::rename(draft.path(), &folder).is_ok() {
        let _ = draft.keep();
    }
    assert!(folder.is_dir());
    folder
}

/// A node that serves by `config`, in a folder of its own.
async fn start(config: &str) -> (Process, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tributary.toml"), config).unwrap();
    (Process::start(folder.path(), "tributary.toml", folder.path().join("log")).await, folder)
}

#[tokio::test]
async fn every_node_of_the_api_serves_the_page_and_no_other() {
    let (node, _folder) = start(CONFIG).await;
    let client = Client::new(node.address);
    for path in ["/", "/signed-in", "/signed-in?code=1&state=2"] {
        let page = client.get(path).await.expect(200);
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'self';"), "{path}");
    }
    assert_eq!(client.get("/app.js").await.expect(200).header("content-type"), Some("text/javascript; charset=utf-8"));
    let (worker, _folder) = start(&format!("roles = [\"worker\"]\n{CONFIG}")).await;
    Client::new(worker.address).get("/").await.problem(404, "unknown_route");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_does_what_people_expect_in_a_browser() {
    let (Some(node), Some(npm), Some(chromium)) = (node(), program(&["npm"]), program(&BROWSERS)) else {
        return say("SKIPPED: the page is tested with Node 20 or newer, npm and Chromium; not all of them are in PATH");
    };
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let packages = packages(&npm, &scripts);
    let (server, folder) = start(CONFIG).await;
    let (brief, _folder) = start(&CONFIG.replace("[auth]", "[auth]\naccess_ttl_s = 2")).await;
    let mut tests: Vec<PathBuf> = std::fs::read_dir(&scripts).unwrap().map(|entry| entry.unwrap().path()).collect();
    tests.retain(|path| path.to_string_lossy().ends_with(".spec.mjs"));
    tests.sort();
    assert!(!tests.is_empty());
    let mut run = Command::new(node);
    run.args(["--test", "--test-concurrency=1", "--test-reporter=spec"]).args(&tests);
    run.env("BASE_URL", format!("http://{}", server.address)).env("BRIEF_URL", format!("http://{}", brief.address));
    run.env("CHROMIUM", chromium).env("PACKAGES", packages);
    // Chromium keeps its settings in the home folder, which is none of the tests' business.
    run.env("XDG_CONFIG_HOME", folder.path()).env("XDG_CACHE_HOME", folder.path());
    let ended = tokio::task::spawn_blocking(move || run.status()).await.unwrap().unwrap();
    assert!(ended.success(), "{ended}; the servers said:\n{}\n{}", server.told(), brief.told());
}

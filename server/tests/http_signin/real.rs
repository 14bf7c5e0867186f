//! The program with its configuration, against a real provider in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use openidconnect::url::Url;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::browser::{Browser, parameter, redirect_url};
use crate::common::{Process, program, say};
use crate::user;

const CLIENT: &str = "tributary";
const SECRET: &str = "a-secret-that-no-log-has";
/// Pages of the provider on the way, at the most.
const HOPS: usize = 10;

/// The provider with its modules, installed once for each version of both, outside the clone. None: there is no node.
fn installed() -> Option<&'static Path> {
    static INSTALLED: OnceLock<Option<PathBuf>> = OnceLock::new();
    INSTALLED.get_or_init(install).as_deref()
}

fn install() -> Option<PathBuf> {
    if !Command::new("node").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        say("skipped: there is no node, in which the provider runs");
        return None;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc");
    let files = ["package.json", "package-lock.json", "provider.mjs"];
    let mut digest = Sha256::new();
    files.iter().for_each(|file| digest.update(std::fs::read(source.join(file)).unwrap()));
    let digest: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let cache = PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/tributary");
    let folder = cache.join(format!("oidc-provider-{digest}"));
    if !folder.exists() {
        // Renamed when it is whole: of several that install at once, one is kept.
        std::fs::create_dir_all(&cache).unwrap();
        let draft = tempfile::Builder::new().prefix("oidc-provider-").tempdir_in(&cache).unwrap();
        for file in files {
            std::fs::copy(source.join(file), draft.path().join(file)).unwrap();
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&draft).stdin(Stdio::null());
        let done = npm.output().unwrap();
        assert!(done.status.success(), "npm ci: {}", String::from_utf8_lossy(&done.stderr));
        if std::fs::rename(draft.path(), &folder).is_err() {
            assert!(folder.exists(), "the provider cannot be kept in {}", folder.display());
        }
    }
    Some(folder)
}

/// The provider, killed when it goes out of sight.
struct Provider {
    issuer: String,
    process: Child,
    /// Held open: what it says on the way would end it where nobody could hear.
    _said: BufReader<ChildStdout>,
}

impl Provider {
    /// At this port, 0 being a free one, with keys of its own and a clock that is so far behind. None: there is no node.
    fn start(port: u16, behind: Duration) -> Option<Self> {
        let mut node = Command::new("node");
        let node = node.arg(installed()?.join("provider.mjs")).args([CLIENT, SECRET, &redirect_url("home")]);
        let node = node.args([port.to_string(), behind.as_secs().to_string()]);
        let mut process = node.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut issuer = String::new();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        said.read_line(&mut issuer).unwrap();
        assert!(issuer.starts_with("http://127.0.0.1:"), "the provider does not start");
        Some(Self { issuer: issuer.trim().to_owned(), process, _said: said })
    }

    fn address(&self) -> SocketAddr {
        self.issuer.strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// Goes through its pages as this account, or denies; where the browser is sent back to.
    async fn agree(&self, browser: &Browser, sent: &Url, account: Option<&str>) -> String {
        let mut at = sent.clone();
        for _ in 0..HOPS {
            let path = format!("{}?{}", at.path(), at.query().unwrap_or_default());
            let headers: Vec<_> = account.map(|account| ("x-account", account)).into_iter().collect();
            let reply = browser.get(self.address(), &path, &headers).await;
            let location = reply.header("location").unwrap_or_else(|| panic!("{}: {}", reply.status, reply.text()));
            at = at.join(location).unwrap();
            if at.as_str().starts_with(&redirect_url("home")) {
                return at.into();
            }
        }
        panic!("the provider never sends back");
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configuration(issuer: &str) -> String {
    let redirect = redirect_url("home");
    format!(
        "[http]\nlisten = '127.0.0.1:0'\n[telemetry]\nlog = 'trace'\n
        [[auth.provider]]\nname = 'home'\nissuer = '{issuer}'\nclient_id = '{CLIENT}'\nclient_secret_file = 'secret'
        redirect_url = '{redirect}'\nscopes = ['openid', 'profile', 'roles']
        operator_claim = 'roles'\noperator_value = 'tributary-operator'\n"
    )
}

/// A node that knows of this provider.
async fn node_in(folder: &Path, provider: &Provider) -> Process {
    std::fs::write(folder.join("secret"), format!("{SECRET}\n")).unwrap();
    std::fs::write(folder.join("tributary.toml"), configuration(&provider.issuer)).unwrap();
    Process::start(folder, "tributary.toml", folder.join("log")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_provider_signs_users_in_and_no_log_tells_a_secret() {
    let Some(provider) = Provider::start(0, Duration::ZERO) else { return };
    let folder = tempfile::tempdir().unwrap();
    let node = node_in(folder.path(), &provider).await;

    let browser = Browser::default();
    let sent = browser.login(node.address, "home", &[]).await;
    let cookie = browser.cookies_for(node.address, "/v1/auth/home/callback");
    let back = provider.agree(&browser, &sent, Some("ann")).await;
    let tokens = browser.come_back(node.address, &back).await.expect(200).json();
    let ann = &tokens["user"];
    // The name comes from user info: this provider's ID tokens hold the subject alone.
    assert_eq!((&ann["handle"], &ann["name"]), (&json!("ann"), &json!("ann of the provider")));

    // The code again, by whoever kept the cookie.
    browser.keep(node.address, &format!("{cookie}; Path=/v1/auth/home/"));
    browser.come_back(node.address, &back).await.problem(401, "code_refused");
    // The same user on another day, from another machine.
    let other = Browser::default();
    let sent = other.login(node.address, "home", &[]).await;
    let again = provider.agree(&other, &sent, Some("ann")).await;
    let again = other.come_back(node.address, &again).await.expect(200).json();
    assert_eq!(again["user"], *ann);
    // An operator by claim.
    let root = Browser::default();
    let sent = root.login(node.address, "home", &[]).await;
    let root_back = provider.agree(&root, &sent, Some("root")).await;
    let root = root.come_back(node.address, &root_back).await.expect(200).json();
    for (tokens, status) in [(&root, 200), (&tokens, 403)] {
        let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
        let client = crate::common::Client::new(node.address);
        client.get("/v1/operator/tuning").header("authorization", &bearer).await.expect(status);
    }
    // One who says no.
    let no = Browser::default();
    let sent = no.login(node.address, "home", &[]).await;
    let denied = provider.agree(&no, &sent, None).await;
    let denied = no.come_back(node.address, &denied).await.problem(403, "sign_in_denied");
    assert!(!denied.text().contains("said no"));

    let log = node.told();
    assert!(log.contains("/v1/auth/{id}/callback"), "the log tells of requests");
    let back: Url = back.parse().unwrap();
    let (_, sealed) = cookie.split_once('=').unwrap();
    let mut secrets = vec![SECRET.to_owned(), sealed.to_owned(), "code_verifier".to_owned()];
    secrets.extend(["code", "state"].map(|name| parameter(&back, name)));
    for token in ["access_token", "refresh_token"] {
        secrets.extend([&tokens, &again, &root].map(|tokens| tokens[token].as_str().unwrap().to_owned()));
    }
    for secret in secrets {
        assert!(!log.contains(&secret), "the log has {secret}");
    }
    let check = program(folder.path()).args(["check", "--config", "tributary.toml"]).output().unwrap();
    let shown = String::from_utf8(check.stdout).unwrap();
    assert!(shown.contains("[[auth.provider]]\nname = \"home\"\n") && !shown.contains(SECRET), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_provider_that_is_down_or_late_or_has_new_keys_or_another_nonce() {
    let day = Duration::from_secs(24 * 60 * 60);
    let Some(late) = Provider::start(0, day) else { return };
    let folder = tempfile::tempdir().unwrap();
    let node = node_in(folder.path(), &late).await;
    let (ann, port) = (Some("ann"), late.address().port());
    let began = async || {
        let browser = Browser::default();
        let sent = browser.login(node.address, "home", &[]).await;
        (browser, sent)
    };

    let (browser, sent) = began().await;
    let back = late.agree(&browser, &sent, ann).await;
    browser.come_back(node.address, &back).await.problem(401, "id_token_refused");
    assert!(node.told().contains("ID token expired"), "it is refused for that");

    let (browser, sent) = began().await;
    let back = late.agree(&browser, &sent, ann).await;
    drop(late);
    browser.come_back(node.address, &back).await.problem(503, "unavailable");

    // It comes back with other keys than those that the node knows.
    let provider = Provider::start(port, Duration::ZERO).unwrap();
    let (browser, sent) = began().await;
    let back = provider.agree(&browser, &sent, ann).await;
    assert_eq!(user(browser.come_back(node.address, &back).await)["handle"], "ann");

    let (browser, sent) = began().await;
    let mut other = sent.clone();
    let parameters = sent.query_pairs().into_owned().filter(|(name, _)| name != "nonce");
    other.query_pairs_mut().clear().extend_pairs(parameters).append_pair("nonce", "another");
    let back = provider.agree(&browser, &other, ann).await;
    browser.come_back(node.address, &back).await.problem(401, "id_token_refused");
}

#[test]
fn a_secret_that_cannot_be_read_is_named_and_nothing_starts() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tributary.toml"), configuration("http://127.0.0.1:1")).unwrap();
    for (secret, why) in [(None, "cannot be read"), (Some(" \n"), "is empty")] {
        if let Some(text) = secret {
            std::fs::write(folder.path().join("secret"), text).unwrap();
        }
        let ended = program(folder.path()).args(["serve", "--config", "tributary.toml"]).output().unwrap();
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{told}");
        assert!(told.contains("auth.provider home: client_secret_file: ") && told.contains(why), "{told}");
    }
}

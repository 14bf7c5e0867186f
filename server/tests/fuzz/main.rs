//! Fuzz targets of the server as a whole: the bytes of requests and of WebSockets, configuration files, the environment.
//! Those of single parsers are in `server/src/http/fuzz_tests.rs`. Folders beside this file keep inputs that are tried
//! every time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod socket;

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::Server;
use tributary_engine::testkit::fuzz;
use tributary_server::config::{Config, Sources};

macro_rules! kept {
    ($name:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/", $name)
    };
}

/// Requests of every kind, with every header that something parses.
fn requests(token: &str, id: &str) -> Vec<Vec<u8>> {
    let request = |line: &str, headers: &str, body: &str| {
        let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        let json = "content-type: application/json\r\n";
        format!("{line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{headers}{json}{length}\r\n{body}")
            .into_bytes()
    };
    let tuning =
        "{\"mode\":\"cost\",\"enter_followers\":9,\"leave_followers\":8,\"flush_max_age_ms\":0,\"flush_max_pairs\":1}";
    vec![
        request("GET /v1/feed?limit=2&cursor=AbC", "x-request-id: a-1\r\naccept-encoding: gzip\r\n", ""),
        request("GET /v1/feed?limit=3", "if-none-match: \"a\", W/\"b\"\r\nx-forwarded-for: 1.2.3.4, ::1\r\n", ""),
        request("GET /v1/users?handle=ann", "origin: https://a.example\r\n", ""),
        request("POST /v1/posts", "idempotency-key: k1\r\n", "{\"text\":\"\\u00e4 b\"}"),
        request("POST /v1/auth/dev", "", "{\"handle\":\"ben\",\"operator\":true}"),
        request("PUT /v1/operator/tuning", "if-match: \"1\"\r\n", tuning),
        request(&format!("PUT /v1/operator/authors/{id}"), "idempotency-key: k2\r\n", "{\"pin\":null}"),
        request(&format!("PUT /v1/follows/{id}"), "transfer-encoding: chunked\r\n", "0\r\n\r\n"),
        request(&format!("DELETE /v1/likes/{id}"), "", ""),
        request("HEAD /metrics", "", ""),
        // A browser's WebSocket has its token among the protocols that it offers.
        format!("GET /v1/me HTTP/1.1\r\nhost: x\r\nsec-websocket-protocol: tributary, bearer.{token}\r\n\r\n")
            .into_bytes(),
        b"GET /v1/me HTTP/1.1\r\nhost: x\r\nauthorization: Bearer \xff\r\n\r\n".to_vec(),
        b"POST /v1/auth/dev HTTP/1.1\r\nhost: x\r\ncontent-type: application/\xff\r\ncontent-length: 2\r\n\r\n{}"
            .to_vec(),
    ]
}

/// What is answered within the server's patience; nothing where it hangs up.
fn answer(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // The server may have hung up already, which is its right.
    let _ = stream.write_all(bytes).and_then(|()| stream.write_all(b"\r\n\r\n"));
    let (mut told, mut chunk) = (Vec::new(), [0; 16 * 1024]);
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => told.extend_from_slice(&chunk[..count]),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::ConnectionReset) => break,
            Err(error) => panic!("no answer and no end: {error}"),
        }
        let text = String::from_utf8_lossy(&told);
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head
                .to_lowercase()
                .split("content-length: ")
                .nth(1)
                .map(|rest| rest.lines().next().unwrap().to_owned());
            length.is_some_and(|length| length.parse().is_ok_and(|length: usize| body.len() >= length))
        });
        if whole {
            break;
        }
    }
    String::from_utf8_lossy(&told).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn whatever_bytes_come_the_answer_is_no_mistake_of_the_server() {
    let patience = Duration::from_millis(100);
    let server = Server::with(|settings| {
        settings.bounds.headers = patience;
        settings.bounds.body = patience;
        settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let op = server.operator().await;
    let seeds = requests(&op.token, &op.id);
    for seed in &seeds {
        let told = answer(&server, seed);
        assert!(told.starts_with("HTTP/1.1 "), "{told:?} to {:?}", String::from_utf8_lossy(seed));
    }
    let server = tokio::task::spawn_blocking(move || {
        fuzz(kept!("request"), seeds, |input| {
            let told = answer(&server, input);
            let status = told.strip_prefix("HTTP/1.1 ").map(|rest| &rest[..3]);
            assert!(status.is_none_or(|status| status < "500" || status == "503" || status == "505"), "{told}");
            status.is_some_and(|status| status < "400")
        });
        server
    });
    server.await.unwrap().client().get("/readyz").await.expect(200);
}

const CONFIG: &str = r#"
roles = ["api"]
[http]
listen = "127.0.0.1:0"
trusted_proxies = ["10.0.0.0/8", "::1"]
[store]
kind = "embedded"
path = "data"
[cache]
ring_bytes = 1_048_576
[auth]
dev_login = true
access_ttl_s = 900
operators = ["ann"]
[hot]
mode = "cost"
enter_followers = 9
leave_followers = 8
[flush]
max_age_ms = 0
[limits]
follows = 0
[telemetry]
log = "info,tributary=debug"
log_format = "json"
"#;

const SHARDS: &str = r#"
[[shard]]
name = "a"
url = "redis://user:secret@in-a-file:6379/0"
weight = 3
[store]
kind = "postgres"
url = "postgres://user:secret@in-a-file/tributary"
[log]
kind = "kafka"
brokers = ["127.0.0.1:9092"]
partitions = 3
"#;

/// What a configuration comes to, of a file and of variables: printed, it means the same, and shows no secret.
fn comes_to(folder: &std::path::Path, file: &[u8], env: &[(String, String)]) -> bool {
    let resolve = |text: &[u8], env: &[(String, String)]| {
        std::fs::write(folder.join("tributary.toml"), text).unwrap();
        let file = Some("tributary.toml".into());
        let (env, working_folder) = (env.to_vec(), folder.into());
        Config::resolve(&Sources { file, env, listen: None, demo: None, working_folder })
    };
    // What is said elsewhere too is no secret.
    let url = env.iter().find(|(name, _)| name == "TRIBUTARY__STORE__URL").map(|(_, url)| &**url);
    let elsewhere =
        |url: &str| env.iter().filter(|(name, value)| name.contains(url) || value.contains(url)).count() > 1;
    let secret = url.filter(|url| url.len() > 8 && !elsewhere(url)).unwrap_or("secret@in-a-file");
    match resolve(file, env) {
        Ok(config) => {
            let printed = config.to_toml();
            assert!(!printed.contains(secret), "{printed}");
            let again = resolve(printed.as_bytes(), &[]);
            // What is hidden cannot be read again.
            assert!(printed.contains("(hidden)") || again.unwrap().to_toml() == printed, "{printed}");
            true
        }
        Err(errors) => {
            assert!(!errors.0.is_empty());
            let given = file.len() + env.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
            let told = errors.to_string();
            assert!(told.len() < 2_000 + 400 * given, "{told}");
            // What is no key of ours is told by its name, whatever that is.
            assert!(!errors.0.iter().any(|error| error.reason.contains(secret)), "{told}");
            false
        }
    }
}

#[test]
fn a_configuration_is_refused_with_reasons_or_printed_as_one_that_means_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let refused = RefCell::new(0);
    fuzz(kept!("config"), vec![CONFIG.into(), SHARDS.into(), b"roles = 5\n[[shard]]\nname = []".to_vec()], |input| {
        let good = comes_to(folder.path(), input, &[]);
        *refused.borrow_mut() += u32::from(!good);
        good
    });
    assert!(refused.into_inner() > 0);
}

/// The input: lines of a name without its prefix, and a value.
#[test]
fn what_the_environment_says_is_refused_with_reasons_or_means_the_same_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let seeds = [
        "ROLES=api,worker\nHTTP__LISTEN=127.0.0.1:0\nHTTP__TRUSTED_PROXIES=10.0.0.0/8,::1\nAUTH__OPERATORS=ann,ben",
        "HTTP__CORS_ORIGINS=https://a.example\nTELEMETRY__LOG=info,tributary=debug\nLIMITS__FOLLOWS=0\nHOT__MODE=cost",
        "STORE__KIND=postgres\nSTORE__URL=postgres://u:secret@127.0.0.1/x\nLOG__KIND=kafka\nLOG__BROKERS=127.0.0.1:9092",
        "CACHE__RING_BYTES=1048576\nAUTH__DEV_LOGIN=true\nSTORE__PATH=a/b",
        "roles=api\nSHARD__NAME=a\nAUTH__PROVIDER=x\n=\nHTTP__LISTEN=",
    ];
    let read = |input: &[u8]| {
        let Ok(text) = std::str::from_utf8(input) else { return false };
        let pair = |line: &str| {
            let (name, value) = line.split_once('=')?;
            Some((format!("TRIBUTARY__{name}"), value.to_owned()))
        };
        let env: Vec<_> = text.split('\n').filter_map(pair).collect();
        let good = comes_to(folder.path(), b"", &env);
        assert!(!good || env.iter().all(|(name, _)| *name == name.to_ascii_uppercase()), "{env:?}");
        good
    };
    assert_eq!(seeds.map(|seed| read(seed.as_bytes())), [true, true, true, true, false]);
    fuzz(kept!("environment"), seeds.map(|seed| seed.as_bytes().to_vec()).to_vec(), read);
}

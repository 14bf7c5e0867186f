//! What the log says of requests, and what it never says. Alone in its file: a process has one log.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::Write;
use std::sync::{Arc, Mutex};

use common::Server;
use serde_json::json;
use tributary_engine::Ports;
use tributary_engine::testkit::faulty::{Faults, FaultyStore};

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_names_requests_and_failures_and_no_token_body_or_cursor() {
    let written = Written::default();
    let writer = written.clone();
    let log = tracing_subscriber::fmt().json().with_env_filter("info,tributary_server=trace,tributary_engine=trace");
    log.with_writer(move || writer.clone()).init();

    let faults = Faults::new(1);
    let of_server = Arc::clone(&faults);
    let decorate = |ports: Ports| Ports { store: Arc::new(FaultyStore::new(ports.store, of_server)), ..ports };
    let server = Server::over(decorate, |_| ()).await;
    let ann = server.sign_in("ann").await;
    for _ in 0..3 {
        ann.publish("a secret text").await;
    }
    let next = ann.get("/v1/feed?limit=1").await.expect(200).json()["next"].as_str().unwrap().to_owned();
    ann.get(&format!("/v1/feed?cursor={next}")).header("x-request-id", "a-good-request").await.expect(200);
    ann.get("/v1/feed?cursor=a-bad-cursor").await.problem(400, "bad_cursor");
    server.client().get("/v1/me").header("authorization", "Bearer a-bad-token").await.problem(401, "token_invalid");
    faults.set_store_gone(true);
    let post = json!({"text": "a secret text"});
    let failed = ann.post("/v1/posts", &post).key("a-key").header("x-request-id", "a-failed-request");
    failed.await.problem(503, "unavailable");

    let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let line = |id: &str| log.lines().find(|line| line.contains(id)).map(str::to_owned).unwrap();
    let good = line("a-good-request");
    assert!(good.contains("\"route\":\"/v1/feed\"") && good.contains("\"status\":200"), "{good}");
    let failed = line("a-failed-request");
    assert!(failed.contains("\"level\":\"WARN\"") && failed.contains("an injected fault"), "{failed}");
    for secret in [ann.token.as_str(), "a secret text", next.as_str(), "a-bad-cursor", "a-bad-token", "a-key"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

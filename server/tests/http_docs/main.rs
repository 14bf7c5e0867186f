//! The page over the document in a browser: headless Chromium signs in on it, and the requests that it makes work,
//! without a word in its console. Skipped, visibly, where no Chromium is.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod browser;

use browser::Browser;
use common::{Server, say};
use serde_json::{Value, json};

/// Waits for what comes, fills fields as a person would, and tries operations.
const HANDS: &str = include_str!("hands.js");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_work_from_the_page() {
    let Some(program) = browser::installed() else {
        say("SKIPPED: no Chromium in PATH; apt-get install chromium");
        return;
    };
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    let url = format!("http://{}/docs", server.address);
    let token = ann.token.clone();
    let (shown, complaints) = tokio::task::spawn_blocking(move || {
        let mut browser = Browser::start(&program);
        browser.open(&url);
        let script = format!("{HANDS}\nshown({})", json!(token));
        (browser.run(&script), std::mem::take(&mut browser.complaints))
    })
    .await
    .unwrap();
    assert_eq!(shown["refused"]["status"], "401", "{shown}");
    assert_eq!((&shown["me"]["status"], &shown["post"]["status"]), (&json!("200"), &json!("201")), "{shown}");
    assert!(shown["me"]["body"].as_str().unwrap().contains(&ann.id), "{shown}");
    assert!(shown["operations"].as_u64().unwrap() > 35, "{shown}");
    let texts = ann.get(&format!("/v1/users/{}/posts", ann.id)).await.expect(200).json();
    assert_eq!(texts["items"][0]["text"], "Hello, river.");
    // A browser notes by itself that an answer was 401.
    let by_itself = |told: &Value| {
        let entry = &told["entry"];
        entry["source"] == "network" && entry["text"].as_str().is_some_and(|text| text.contains("status of 401"))
    };
    let complaints: Vec<_> = complaints.iter().filter(|told| !by_itself(told)).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}

//! Those who read slowly, and those who are told much.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt, stream};
use tributary_engine::model::{Command, Outcome};

use crate::common::{self, Client, Process, Server, Session, eventually};
use crate::live::{Listener, Told};
use crate::{delete_post, fresh, until, world};

/// Posts of the longest kind: each is 12 kB as JSON.
fn long(n: usize) -> String {
    format!("{n} {}", "\u{1}".repeat(1_990))
}

/// Publishes `count` long posts at once, and waits until the node has them.
async fn flood(server: &Server, author: &Session, count: usize) -> BTreeSet<String> {
    let publish = |n: usize| {
        let (engine, author) = (server.engine.clone(), common::user_id(author));
        async move {
            let committed = engine.execute(author, Command::Publish { text: long(n).into() }, None).await.unwrap();
            let Outcome::Posted { post, .. } = committed.outcome else { panic!("{:?}", committed.outcome) };
            post.id.to_string()
        }
    };
    let before = server.engine.status().ring.entries;
    let published = stream::iter(0..count).map(publish).buffer_unordered(64).collect().await;
    until(|| server.engine.status().ring.entries >= before + count as u64).await;
    published
}

fn posts(told: &[Told]) -> BTreeSet<String> {
    let posts = told.iter().filter(|told| told.event == "post");
    posts.map(|told| told.data["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn who_reads_too_slowly_is_sent_away_and_misses_nothing() {
    let slow = Duration::from_secs(1);
    let server = Server::with(|settings| settings.bounds.slow = slow).await;
    let (ann, ben) = world(&server).await;
    let mut heard = Listener::slow_events(server.address, &ann.token).await;
    let published = flood(&server, &ben, 900).await;
    // Nothing is read in this time: what the connection takes is full, and the stream waits for it.
    tokio::time::sleep(slow * 3 / 2).await;
    let told = heard.rest().await;
    let first = posts(&told);
    assert!(heard.end().await.ends_with(": what was told is taken too slowly\n\n"));
    assert!(!first.is_empty() && first.len() < published.len(), "{} of {}", first.len(), published.len());

    let mut heard = Listener::events(&server.client(), &ann.token, Some(&told.last().unwrap().id)).await;
    let mut rest = BTreeSet::new();
    while first.len() + rest.len() < published.len() {
        assert!(rest.insert(heard.event().await.data["id"].as_str().unwrap().to_owned()), "told twice");
    }
    assert_eq!(first.union(&rest).cloned().collect::<BTreeSet<_>>(), published);
}

#[tokio::test]
async fn more_than_a_piece_holds_is_told_to_the_last_event() {
    let server = Server::start().await;
    let (ann, ben) = world(&server).await;
    let since = fresh(&ann).await;
    let published = flood(&server, &ben, 100).await;
    for mut heard in [
        Listener::events(&server.client(), &ann.token, Some(&since)).await,
        Listener::events(&Client::http2(server.address), &ann.token, Some(&since)).await,
        Listener::socket(server.address, &ann.token, Some(&since)).await,
    ] {
        let mut told = Vec::new();
        for _ in 0..published.len() {
            told.push(heard.event().await);
        }
        assert_eq!(posts(&told), published);
    }
}

/// What a client has no room for is not told once it is removed or hidden, though it was there to be told before.
#[tokio::test]
async fn what_is_taken_back_before_it_is_told_is_not_told() {
    for hide in ["remove", "mute", "block"] {
        let server = Server::start().await;
        let (ann, ben) = world(&server).await;
        let since = fresh(&ann).await;
        let mut published = Vec::new();
        // Fewer than are looked for at a time, and more than the client takes unread.
        for n in 0..20 {
            published.push(ben.publish(&long(n)).await);
        }
        until(|| server.engine.status().ring.entries > published.len() as u64).await;
        let mut heard = Listener::narrow_events(server.address, &ann.token, &since).await;
        assert_eq!(heard.event().await.data["id"], published[0].as_str());
        let last = published.pop().unwrap();
        match hide {
            "remove" => delete_post(&ben, &last).await,
            "mute" => drop(ann.put(&format!("/v1/mutes/{}", ben.id)).await.expect(204)),
            _ => drop(ben.put(&format!("/v1/blocks/{}", ann.id)).await.expect(204)),
        }
        let own = ann.publish("own").await;
        let mut told = Vec::new();
        while told.last().is_none_or(|told: &Told| told.data["id"] != own.as_str()) {
            told.push(heard.event().await);
        }
        assert!(!posts(&told).contains(&last), "{hide}: it is told all the same");
        if hide == "remove" {
            let published: BTreeSet<String> = published.into_iter().skip(1).chain([own]).collect();
            assert_eq!(posts(&told), published, "the others are told");
        }
    }
}

/// How many posts a node has told.
async fn told_by(node: &Process) -> usize {
    let metrics = Client::new(node.address).get("/metrics").await.expect(200).text();
    let line = metrics.lines().find_map(|line| line.strip_prefix("live_events_total{event=\"post\"} "));
    line.map_or(0, |count| count.parse().unwrap())
}

/// A WebSocket's connection takes megabytes that nobody reads, so here the node is asked how far it has come.
#[tokio::test]
async fn a_websocket_that_waits_to_be_read_tells_nothing_of_whom_its_reader_mutes_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let config = "[http]\nlisten = '127.0.0.1:0'\n[limits]\nrequests_per_second = 0\nposts_per_minute = 0\n";
    std::fs::write(folder.path().join("tributary.toml"), config).unwrap();
    let node = Process::start(folder.path(), "tributary.toml", folder.path().join("log")).await;
    let client = Client::new(node.address);
    let (ann, ben) = (client.sign_in("ann").await, client.sign_in("ben").await);
    ann.follow(&ben).await;
    let since = fresh(&ann).await;
    let texts: Vec<String> = (0..900).map(long).collect();
    let published: Vec<String> = stream::iter(&texts).map(|text| ben.publish(text)).buffered(64).collect().await;
    let last = ben.publish("last").await;
    eventually(async || {
        let page = ann.get(&format!("/v1/feed?since={since}&limit=1")).await.expect(200).json();
        (page["items"][0]["id"] == last.as_str()).then_some(())
    })
    .await;

    let mut heard = Listener::narrow_socket(node.address, &ann.token, &since).await;
    let mut stands = 0;
    while told_by(&node).await != stands || stands == 0 {
        stands = told_by(&node).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ann.put(&format!("/v1/mutes/{}", ben.id)).await.expect(204);
    let before = told_by(&node).await;
    assert!(before < published.len(), "the connection took everything");
    let own = ann.publish("own").await;
    let mut told = 0;
    while heard.event().await.data["id"] != own.as_str() {
        told += 1;
    }
    // What was sent at that very time may end what is gathered for one write.
    assert!(told <= before + 2, "{told} were told, {before} of them before the mute");
}

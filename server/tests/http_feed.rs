//! The home timeline over HTTP: pages, cursors, `since`, and the operators' view of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Server, Session, eventually, texts};
use serde_json::{Value, json};

fn items(feed: &Value) -> &[Value] {
    feed["items"].as_array().unwrap()
}

async fn since(reader: &Session, fresh: &str, more: &str) -> Value {
    reader.get(&format!("/v1/feed?since={fresh}{more}")).await.expect(200).json()
}

/// Posts of the same millisecond are ordered by their authors' shards: ids decide, not the order of writing.
fn newest_first(ids: &mut [String]) {
    ids.sort_unstable_by_key(|id| std::cmp::Reverse(id.parse::<u64>().unwrap()));
}

fn ids(posts: &[Value]) -> Vec<String> {
    posts.iter().map(|post| post["id"].as_str().unwrap().to_owned()).collect()
}

async fn world(server: &Server) -> (Session, Session, Session) {
    let (ann, ben, cat) = (server.sign_in("ann").await, server.sign_in("ben").await, server.sign_in("cat").await);
    ann.follow(&ben).await;
    ann.follow(&cat).await;
    (ann, ben, cat)
}

#[tokio::test]
async fn a_feed_has_the_posts_of_followees_and_ones_own_newest_first() {
    let server = Server::start().await;
    let (ann, ben, cat) = world(&server).await;
    let stranger = server.sign_in("dan").await;
    let mut expected = Vec::new();
    for n in 0..15 {
        for author in [&ben, &cat, &ann] {
            expected.push(author.publish(&format!("{n}")).await);
        }
        stranger.publish("unseen").await;
    }
    newest_first(&mut expected);
    for limit in [1, 20, 45, 100] {
        let feed = ann.all("/v1/feed", limit).await;
        assert_eq!(ids(&feed), expected, "pages of {limit}");
    }
    let feed = ann.get("/v1/feed").await.expect(200).json();
    let mut names: Vec<&String> = feed.as_object().unwrap().keys().collect();
    names.sort_unstable();
    assert_eq!(names, ["fresh", "items", "liked", "next"]);
    assert_eq!(feed["items"].as_array().unwrap().len(), 20);
    assert_eq!(items(&feed)[0].as_object().unwrap().len(), 5);
}

#[tokio::test]
async fn what_a_caller_does_shows_in_its_very_next_request() {
    let server = Server::start().await;
    let (ann, ben, _) = world(&server).await;
    for n in 0..20 {
        let id = ann.publish(&format!("own {n}")).await;
        assert_eq!(ann.feed_texts().await[0], format!("own {n}"));
        ann.delete(&format!("/v1/posts/{id}")).await.expect(204);
        assert!(ann.feed_texts().await.is_empty());
    }
    ben.publish("old").await;
    let follow = format!("/v1/follows/{}", ben.id);
    for _ in 0..10 {
        ann.delete(&follow).await.expect(204);
        assert!(ann.feed_texts().await.is_empty());
        ann.put(&follow).await.expect(204);
        assert_eq!(ann.feed_texts().await, ["old"]);
    }
}

#[tokio::test]
async fn a_cursor_is_undisturbed_by_what_comes_meanwhile_and_bound_to_its_list() {
    let server = Server::start().await;
    let (ann, ben, _) = world(&server).await;
    for n in 0..30 {
        ben.publish(&format!("{n}")).await;
    }
    let first = ann.get("/v1/feed?limit=10").await.expect(200).json();
    for _ in 0..5 {
        ben.publish("later").await;
    }
    let cursor = first["next"].as_str().unwrap();
    let second = ann.get(&format!("/v1/feed?limit=10&cursor={cursor}")).await.expect(200).json();
    let expected: Vec<String> = (10..20).rev().map(|n| n.to_string()).collect();
    assert_eq!(texts(items(&second)), expected);
    let own_posts = ann.get(&format!("/v1/users/{}/posts?cursor={cursor}", ben.id)).await;
    own_posts.problem(400, "bad_cursor");
    ben.get(&format!("/v1/feed?cursor={cursor}")).await.problem(400, "bad_cursor");
    let fresh = first["fresh"].as_str().unwrap();
    ann.get(&format!("/v1/feed?cursor={fresh}")).await.problem(400, "bad_cursor");
    ann.get(&format!("/v1/feed?since={cursor}")).await.problem(400, "bad_cursor");
    for n in 0..cursor.len() {
        let mut changed = cursor.as_bytes().to_vec();
        changed[n] = if changed[n] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        ann.get(&format!("/v1/feed?cursor={changed}")).await.problem(400, "bad_cursor");
    }
}

#[tokio::test]
async fn since_tells_all_that_was_logged_after_the_page() {
    let server = Server::start().await;
    let (ann, ben, cat) = world(&server).await;
    let before = ben.publish("before").await;
    let feed = ann.get("/v1/feed").await.expect(200).json();
    assert_eq!(ids(items(&feed)), [before.as_str()]);
    let fresh = feed["fresh"].as_str().unwrap();
    let mut expected = Vec::new();
    for n in 0..25 {
        expected.push([&ben, &cat][n % 2].publish(&format!("{n}")).await);
    }
    newest_first(&mut expected);
    eventually(async || {
        let (mut told, mut more) = (Vec::new(), String::new());
        loop {
            let page = since(&ann, fresh, &format!("&limit=10{more}")).await;
            assert!(page.get("gap").is_none());
            told.extend(ids(items(&page)));
            let Some(next) = page["next"].as_str() else { break };
            more = format!("&cursor={next}");
        }
        // The page had it from the store; where it was logged only then, it is told again.
        told.retain(|id| *id != before);
        (told == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn after_a_follow_since_starts_over_and_says_so() {
    let server = Server::start().await;
    let (ann, ben, _) = world(&server).await;
    let dan = server.sign_in("dan").await;
    dan.publish("dan's").await;
    ben.publish("ben's").await;
    let fresh = ann.get("/v1/feed").await.expect(200).json()["fresh"].as_str().unwrap().to_owned();
    ann.follow(&dan).await;
    let page = since(&ann, &fresh, "").await;
    assert_eq!(page["gap"], json!(true));
    let mut told = texts(items(&page));
    told.sort_unstable();
    assert_eq!(told, ["ben's", "dan's"]);
}

#[tokio::test]
async fn operators_see_a_readers_feed_with_its_sources() {
    let server = Server::start().await;
    let (ann, ben, _) = world(&server).await;
    let op = server.operator().await;
    for n in 0..5 {
        let post = ben.publish(&format!("{n}")).await;
        ann.put(&format!("/v1/likes/{post}")).await.expect(204);
    }
    let seen = op.get(&format!("/v1/operator/feed/{}", ann.id)).await.expect(200).json();
    let own = ann.get("/v1/feed").await.expect(200).json();
    assert!(seen["took_us"].is_u64());
    assert_eq!((&seen["liked"], &seen["next"]), (&own["liked"], &own["next"]));
    let sources = ["l1", "ring", "shard", "checkpoint", "stream", "store"];
    for (seen, own) in items(&seen).iter().zip(items(&own)) {
        assert!(sources.contains(&seen["from"].as_str().unwrap()), "{seen}");
        assert_eq!((&seen["id"], &seen["text"], &seen["author"]), (&own["id"], &own["text"], &own["author"]));
    }
    assert_eq!(items(&seen).len(), 5);
    assert_eq!(op.all(&format!("/v1/operator/feed/{}", ann.id), 2).await.len(), 5);
    op.get("/v1/operator/feed/4611686018427387904").await.problem(404, "unknown_user");
}

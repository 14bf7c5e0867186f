//! The popular posts over HTTP: for guests and for callers, by pages of one ranking, and while parts are gone.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use common::{Client, Reply, Server, Session, eventually, texts};
use futures::future::join_all;
use http::Method;
use serde_json::Value;
use tributary_engine::Ports;
use tributary_engine::model::{Command, Outcome, PostId, UserId};
use tributary_engine::testkit::faulty::{Fault, Faults, FaultyShard, FaultyStore};

const POPULAR: &str = "/v1/popular";

async fn page(client: &Client, more: &str) -> Value {
    client.get(&format!("{POPULAR}{more}")).await.expect(200).json()
}

fn page_texts(page: &Value) -> Vec<String> {
    texts(page["items"].as_array().unwrap())
}

/// Waits until a guest sees these, for likes come through the log.
async fn popular_are(server: &Server, expected: &[&str]) {
    let client = server.client();
    eventually(async || (page_texts(&page(&client, "?limit=100").await) == expected).then_some(())).await;
}

async fn like(user: &Session, post: &str) {
    user.put(&format!("/v1/likes/{post}")).await.expect(204);
}

/// The posts "1" to "5" by ann and ben in turns, each with so many likes as its text says.
async fn world(server: &Server) -> (Session, Session, Vec<String>) {
    let (ann, ben) = (server.sign_in("ann").await, server.sign_in("ben").await);
    let mut likers = vec![ann.clone(), ben.clone()];
    for handle in ["cat", "dan", "eve"] {
        likers.push(server.sign_in(handle).await);
    }
    let mut posts = Vec::new();
    for n in 1..=5 {
        let post = [&ann, &ben][n % 2].publish(&n.to_string()).await;
        for liker in &likers[..n] {
            like(liker, &post).await;
        }
        posts.push(post);
    }
    ann.publish("liked by nobody").await;
    popular_are(server, &["5", "4", "3", "2", "1"]).await;
    (ann, ben, posts)
}

#[tokio::test]
async fn guests_and_callers_see_what_is_liked_most() {
    let server = Server::start().await;
    let empty = page(&server.client(), "").await;
    assert_eq!(empty, serde_json::json!({"items": [], "next": null}));
    let (ann, ben, posts) = world(&server).await;
    let reply = server.client().get(POPULAR).await.expect(200);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let seen = reply.json();
    assert!(seen["next"].is_null() && seen.as_object().unwrap().len() == 2);
    let likes: Vec<u64> =
        seen["items"].as_array().unwrap().iter().map(|post| post["likes"].as_u64().unwrap()).collect();
    assert_eq!(likes, [5, 4, 3, 2, 1]);
    assert_eq!(ann.get(POPULAR).await.expect(200).json(), seen);
    let one = ann.get(&format!("/v1/posts/{}", posts[4])).await.expect(200).json();
    assert_eq!(seen["items"][0], one);
    assert!(server.client().ask(Method::HEAD, POPULAR).await.expect(200).body.is_empty());
    for limit in [1, 2, 5, 100] {
        assert_eq!(texts(&ben.all(POPULAR, limit).await), ["5", "4", "3", "2", "1"], "pages of {limit}");
    }
    for user in [&ann, &ben] {
        for post in &posts[3..] {
            user.delete(&format!("/v1/likes/{post}")).await.expect(204);
        }
        user.delete(&format!("/v1/likes/{}", posts[1])).await.expect(204);
    }
    popular_are(&server, &["5", "3", "4", "1"]).await;
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused() {
    let server = Server::start().await;
    let (ann, _, _) = world(&server).await;
    let bearer = |token: &str| server.client().get(POPULAR).header("authorization", token);
    bearer("Bearer x").await.problem(401, "token_invalid");
    bearer("Basic YTpi").await.problem(401, "token_missing");
    bearer("").await.problem(401, "token_missing");
    let twice = server.client().get(POPULAR).header("authorization", "Bearer x").header("authorization", "Bearer y");
    twice.await.problem(400, "duplicate_header");
    for limit in ["0", "101", "x", ""] {
        server.client().get(&format!("{POPULAR}?limit={limit}")).await.problem(400, "bad_limit");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let reply = server.client().ask(method, POPULAR).await.problem(405, "method_not_allowed");
        assert_eq!(reply.header("allow"), Some("GET, HEAD"));
    }
    let cursor = page(&server.client(), "?limit=2").await["next"].as_str().unwrap().to_owned();
    let refused = async |cursor: &str| -> Reply {
        server.client().get(&format!("{POPULAR}?cursor={cursor}")).await.problem(400, "bad_cursor")
    };
    for n in 0..cursor.len() {
        let mut changed = cursor.as_bytes().to_vec();
        changed[n] = if changed[n] == b'A' { b'B' } else { b'A' };
        refused(&String::from_utf8(changed).unwrap()).await;
    }
    for cursor in ["", "x", "AAAA", &cursor[1..], &"A".repeat(7_000)] {
        refused(cursor).await;
    }
    let other = ann.get(&format!("/v1/users/{}/posts?limit=1", ann.id)).await.expect(200).json();
    refused(other["next"].as_str().unwrap()).await;
    ann.get(&format!("/v1/feed?cursor={cursor}")).await.problem(400, "bad_cursor");
}

#[tokio::test]
async fn a_caller_does_not_see_whom_they_mute_nor_past_a_block_of_either_side() {
    let server = Server::start().await;
    let (ann, ben, _) = world(&server).await;
    let cat = server.sign_in("cat").await;
    let (all, of_ann, of_ben) = (vec!["5", "4", "3", "2", "1"], vec!["4", "2"], vec!["5", "3", "1"]);
    let seen = async |user: &Session| texts(&user.all(POPULAR, 2).await);
    cat.put(&format!("/v1/mutes/{}", ben.id)).await.expect(204);
    assert_eq!(seen(&cat).await, of_ann);
    assert_eq!(seen(&ben).await, all, "a mute is the muter's own affair");
    cat.delete(&format!("/v1/mutes/{}", ben.id)).await.expect(204);
    assert_eq!(seen(&cat).await, all);
    let first = cat.get(&format!("{POPULAR}?limit=1")).await.expect(200).json();
    cat.put(&format!("/v1/blocks/{}", ann.id)).await.expect(204);
    assert_eq!(seen(&cat).await, of_ben);
    assert_eq!(seen(&ann).await, all, "whoever wrote something has no block with ann");
    let rest = format!("{POPULAR}?cursor={}", first["next"].as_str().unwrap());
    assert_eq!(page_texts(&cat.get(&rest).await.expect(200).json()), ["3", "1"], "also in a ranking begun before");
    ben.put(&format!("/v1/blocks/{}", cat.id)).await.expect(204);
    assert_eq!(seen(&cat).await, Vec::<String>::new());
    assert_eq!(page_texts(&page(&server.client(), "").await), all, "a guest is nobody's");
}

#[tokio::test]
async fn a_removed_post_is_gone_in_the_very_next_request() {
    let server = Server::start().await;
    let (ann, ben, posts) = world(&server).await;
    for (n, post) in posts.iter().enumerate().rev() {
        let cursor = page(&server.client(), "?limit=1").await["next"].as_str().map(str::to_owned);
        [&ben, &ann][n % 2].delete(&format!("/v1/posts/{post}")).await.expect(204);
        let expected: Vec<String> = (1..=n).rev().map(|n| n.to_string()).collect();
        assert_eq!(page_texts(&page(&server.client(), "").await), expected);
        assert_eq!(cursor.is_some(), n > 0);
        if let Some(cursor) = cursor {
            assert_eq!(page_texts(&page(&server.client(), &format!("?cursor={cursor}")).await), expected);
        }
    }
}

#[tokio::test]
async fn the_cursor_holds_the_ranking_it_began_with() {
    let server = Server::start().await;
    let (ann, ben, posts) = world(&server).await;
    let first = page(&server.client(), "?limit=1").await;
    assert_eq!(page_texts(&first), ["5"]);
    let new = ben.publish("new").await;
    for handle in ["cat", "dan", "eve", "fay", "gus", "hal"] {
        let user = server.sign_in(handle).await;
        for post in [&new, &posts[0]] {
            like(&user, post).await;
        }
        user.delete(&format!("/v1/likes/{}", posts[2])).await.expect(204);
    }
    for user in [&ann, &ben] {
        user.delete(&format!("/v1/likes/{}", posts[2])).await.expect(204);
    }
    popular_are(&server, &["1", "new", "5", "4", "2"]).await;
    let next = |page: &Value| format!("?limit=2&cursor={}", page["next"].as_str().unwrap());
    let second = page(&server.client(), &next(&first)).await;
    assert_eq!(page_texts(&second), ["4", "3"], "what has lost its likes since is still told");
    let third = ben.get(&format!("{POPULAR}{}", next(&second))).await.expect(200).json();
    assert_eq!(page_texts(&third), ["2", "1"], "a guest who signs in goes on");
    assert!(third["next"].is_null());
}

#[tokio::test]
async fn guests_have_their_addresss_rate_and_callers_their_own() {
    let server = Server::with(|settings| settings.requests_per_second = 5).await;
    let ann = server.sign_in("ann").await;
    let statuses = async |ask: &dyn Fn() -> common::Ask| {
        let answers = join_all((0..40).map(|_| ask().into_future())).await;
        answers.into_iter().filter(|reply| reply.status == 429).count()
    };
    assert!(statuses(&|| server.client().get(POPULAR)).await >= 20);
    ann.get(POPULAR).await.expect(200);
    assert!(statuses(&|| ann.get(POPULAR)).await >= 20);
}

#[tokio::test]
async fn a_shard_that_is_down_costs_nothing_and_a_store_that_is_gone_is_503() {
    let faults = Faults::new(1);
    faults.set(Fault::ShardUnavailable, 1.0);
    let given = faults.clone();
    let decorate = move |ports: Ports| Ports {
        store: Arc::new(FaultyStore::new(ports.store, given.clone())),
        shard: Arc::new(FaultyShard::new(ports.shard, given)),
        ..ports
    };
    let server = Server::over(decorate, |_| ()).await;
    let (ann, ..) = world(&server).await;
    faults.set_store_gone(true);
    // What is cached is served; of a view or of posts that are not, nothing can be told.
    assert_eq!(page(&server.client(), "").await["items"].as_array().unwrap().len(), 5);
    server.engine.reads().tier.views.invalidate_all();
    ann.get(POPULAR).await.problem(503, "unavailable");
    server.engine.reads().tier.posts.invalidate_all();
    server.client().get(POPULAR).await.problem(503, "unavailable");
    faults.set_store_gone(false);
    popular_are(&server, &["5", "4", "3", "2", "1"]).await;
}

#[tokio::test]
async fn the_longest_cursor_passes_and_a_ranking_ends_after_500_posts() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    let author = UserId(ann.id.parse().unwrap());
    let publish = || async {
        let posted = server.engine.execute(author, Command::Publish { text: "text".into() }, None).await.unwrap();
        let Outcome::Posted { post, .. } = posted.outcome else { panic!("a post") };
        server.engine.execute(author, Command::Like { post: post.id }, None).await.unwrap();
        post.id
    };
    let mut posts: Vec<PostId> = join_all((0..510).map(|_| publish())).await;
    posts.sort_unstable_by(|a, b| b.cmp(a));
    eventually(async || {
        let told = ann.all(POPULAR, 100).await;
        let ids: Vec<PostId> = told.iter().map(|post| post["id"].as_str().unwrap().parse().unwrap()).collect();
        (ids == posts[..500]).then_some(())
    })
    .await;
    let first = page(&server.client(), "?limit=1").await;
    let cursor = first["next"].as_str().unwrap();
    assert!(cursor.len() > 2_000, "{}", cursor.len());
    let rest = page(&Client::http2(server.address), &format!("?limit=100&cursor={cursor}")).await;
    assert_eq!(rest["items"].as_array().unwrap().len(), 100);
}

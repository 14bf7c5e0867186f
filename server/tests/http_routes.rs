//! Users, posts, likes and relations: every route with its answers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Server, Session, eventually, texts};
use http::Method;
use serde_json::{Value, json};

/// Well-formed ids that nobody has.
const NOBODY: &str = "4611686018427387904";

fn ids(users: &[Value]) -> Vec<&str> {
    users.iter().map(|user| user["id"].as_str().unwrap()).collect()
}

async fn two(server: &Server) -> (Session, Session) {
    (server.sign_in("ann").await, server.sign_in("ben").await)
}

#[tokio::test]
async fn a_user_is_found_by_token_id_and_handle() {
    let server = Server::start().await;
    let (ann, ben) = two(&server).await;
    let own = ann.get("/v1/me").await.expect(200).json();
    assert_eq!((&own["id"], &own["handle"]), (&json!(ann.id), &json!("ann")));
    let by_id = ben.get(&format!("/v1/users/{}", ann.id)).await.expect(200).json();
    let by_handle = ben.get("/v1/users?handle=ann").await.expect(200).json();
    assert_eq!((&own, &own), (&by_id, &by_handle));
    ben.get(&format!("/v1/users/{NOBODY}")).await.problem(404, "unknown_user");
    ben.get("/v1/users?handle=nobody").await.problem(404, "unknown_user");
}

#[tokio::test]
async fn a_post_is_written_read_and_removed() {
    let server = Server::start().await;
    let (ann, ben) = two(&server).await;
    let text = "Grüße, \"Welt\" 😀\n\t\\ \u{1}";
    let reply = ann.post("/v1/posts", &json!({"text": text})).await.expect(201);
    let post = reply.json();
    let path = format!("/v1/posts/{}", post["id"].as_str().unwrap());
    assert_eq!(reply.header("location"), Some(path.as_str()));
    assert_eq!(post["text"], text);
    assert_eq!(post["author"], json!({"id": ann.id, "handle": "ann", "name": "ann"}));
    assert_eq!((&post["likes"], post.as_object().unwrap().len()), (&json!(0), 5));
    assert_eq!(post["created_at"].as_str().unwrap().len(), "2026-01-01T00:00:00.000Z".len());
    for reader in [&ann, &ben] {
        assert_eq!(reader.get(&path).await.expect(200).json(), post);
    }
    ben.delete(&path).await.problem(403, "not_author");
    ann.delete(&path).await.expect(204);
    ann.delete(&path).await.problem(404, "unknown_post");
    for reader in [&ann, &ben] {
        reader.get(&path).await.problem(404, "unknown_post");
        reader.get(&format!("/v1/posts/{NOBODY}")).await.problem(404, "unknown_post");
        reader.delete(&format!("/v1/posts/{NOBODY}")).await.problem(404, "unknown_post");
    }
}

#[tokio::test]
async fn a_text_has_1_to_2000_characters_and_says_something() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    let most = "😀".repeat(2_000);
    assert_eq!(ann.post("/v1/posts", &json!({"text": most})).await.expect(201).json()["text"], most);
    let escaped = format!("{{\"text\":\"{}\"}}", "\\ud83d\\ude00".repeat(2_000));
    ann.post("/v1/posts", &json!(null)).body(escaped).await.expect(201);
    ann.post("/v1/posts", &json!({"text": "😀".repeat(2_001)})).await.problem(422, "text_too_long");
    for blank in ["", " ", "\n\t\u{3000}"] {
        ann.post("/v1/posts", &json!({"text": blank})).await.problem(422, "text_empty");
    }
    ann.post("/v1/posts", &json!({"text": "a\0"})).await.problem(422, "text_invalid");
}

#[tokio::test]
async fn an_authors_posts_are_listed_newest_first_in_full_pages() {
    let server = Server::start().await;
    let (ann, ben) = two(&server).await;
    for n in 0..25 {
        ann.publish(&format!("{n}")).await;
    }
    let expected: Vec<String> = (0..25).rev().map(|n| n.to_string()).collect();
    let list = format!("/v1/users/{}/posts", ann.id);
    for limit in [1, 7, 25, 100] {
        assert_eq!(texts(&ben.all(&list, limit).await), expected, "pages of {limit}");
    }
    let page = ben.get(&list).await.expect(200).json();
    assert_eq!(page["items"].as_array().unwrap().len(), 20);
    let cursor = page["next"].as_str().unwrap();
    ann.publish("meanwhile").await;
    let rest = ben.get(&format!("{list}?cursor={cursor}")).await.expect(200).json();
    assert_eq!(texts(rest["items"].as_array().unwrap()), expected[20..]);
    ben.get(&format!("/v1/users/{NOBODY}/posts")).await.problem(404, "unknown_user");
    let bens = format!("/v1/users/{}/posts?cursor={cursor}", ben.id);
    ben.get(&bens).await.problem(400, "bad_cursor");
    for broken in [&cursor[1..], &format!("{cursor}A"), &cursor.to_uppercase()] {
        ben.get(&format!("{list}?cursor={broken}")).await.problem(400, "bad_cursor");
    }
}

#[tokio::test]
async fn likes_are_repeatable_and_shown_to_their_owner_at_once() {
    let server = Server::start().await;
    let (ann, ben) = two(&server).await;
    ben.follow(&ann).await;
    let post = ann.publish("likeable").await;
    let like = format!("/v1/likes/{post}");
    for _ in 0..2 {
        ben.put(&like).await.expect(204);
        let feed = ben.get("/v1/feed").await.expect(200).json();
        assert_eq!(feed["liked"], json!([post]));
    }
    wait_for_likes(&ann, &post, 1).await;
    for _ in 0..2 {
        ben.delete(&like).await.expect(204);
        assert_eq!(ben.get("/v1/feed").await.expect(200).json()["liked"], json!([]));
    }
    wait_for_likes(&ann, &post, 0).await;
    ben.put(&format!("/v1/likes/{NOBODY}")).await.problem(404, "unknown_post");
    ben.delete(&format!("/v1/likes/{NOBODY}")).await.expect(204);
}

/// Counters may trail by a second.
async fn wait_for_likes(reader: &Session, post: &str, likes: u64) {
    let path = format!("/v1/posts/{post}");
    eventually(async || (reader.get(&path).await.expect(200).json()["likes"] == likes).then_some(())).await;
}

#[tokio::test]
async fn follows_are_listed_on_both_sides() {
    let server = Server::start().await;
    let (ann, ben) = two(&server).await;
    let mut fans = Vec::new();
    for n in 0..25 {
        let fan = server.sign_in(&format!("fan{n}")).await;
        fan.follow(&ann).await;
        fan.follow(&ann).await;
        fans.push(fan);
    }
    ann.follow(&ben).await;
    let listed = ben.all(&format!("/v1/users/{}/followers", ann.id), 10).await;
    let mut found = ids(&listed);
    let mut expected: Vec<&str> = fans.iter().map(|fan| fan.id.as_str()).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(ids(&ben.all(&format!("/v1/users/{}/following", ann.id), 10).await), [ben.id.as_str()]);
    for _ in 0..2 {
        ann.delete(&format!("/v1/follows/{}", ben.id)).await.expect(204);
        assert!(ben.all(&format!("/v1/users/{}/following", ann.id), 10).await.is_empty());
    }
    ann.put(&format!("/v1/follows/{}", ann.id)).await.problem(422, "oneself");
    ann.put(&format!("/v1/follows/{NOBODY}")).await.problem(404, "unknown_user");
    ann.delete(&format!("/v1/follows/{NOBODY}")).await.expect(204);
    for list in ["followers", "following"] {
        ann.get(&format!("/v1/users/{NOBODY}/{list}")).await.problem(404, "unknown_user");
    }
}

#[tokio::test]
async fn nobody_follows_more_than_the_limit() {
    let server = Server::with(|settings| settings.follows = 2).await;
    let ann = server.sign_in("ann").await;
    let mut others = Vec::new();
    for handle in ["b", "c", "d"] {
        others.push(server.sign_in(handle).await);
    }
    ann.follow(&others[0]).await;
    ann.follow(&others[1]).await;
    ann.put(&format!("/v1/follows/{}", others[2].id)).await.problem(422, "too_many_follows");
    ann.follow(&others[1]).await;
    ann.delete(&format!("/v1/follows/{}", others[0].id)).await.expect(204);
    ann.follow(&others[2]).await;
}

#[tokio::test]
async fn mutes_hide_an_author_from_the_feed_only() {
    let server = Server::start().await;
    let (ann, ben) = two(&server).await;
    ann.follow(&ben).await;
    let post = ben.publish("hello").await;
    eventually(async || (ann.feed_texts().await == ["hello"]).then_some(())).await;
    let mute = format!("/v1/mutes/{}", ben.id);
    for _ in 0..2 {
        ann.put(&mute).await.expect(204);
        assert!(ann.feed_texts().await.is_empty());
        assert_eq!(ids(&ann.all("/v1/mutes", 20).await), [ben.id.as_str()]);
    }
    assert!(ben.all("/v1/mutes", 20).await.is_empty());
    ann.get(&format!("/v1/posts/{post}")).await.expect(200);
    for _ in 0..2 {
        ann.delete(&mute).await.expect(204);
        assert_eq!(ann.feed_texts().await, ["hello"]);
    }
    ann.put(&format!("/v1/mutes/{}", ann.id)).await.problem(422, "oneself");
    ann.put(&format!("/v1/mutes/{NOBODY}")).await.problem(404, "unknown_user");
    ann.delete(&format!("/v1/mutes/{NOBODY}")).await.expect(204);
}

#[tokio::test]
async fn to_the_blocked_the_blocker_looks_as_if_absent() {
    let server = Server::start().await;
    let (ann, ben) = two(&server).await;
    ann.follow(&ben).await;
    ben.follow(&ann).await;
    let (anns, bens) = (ann.publish("by ann").await, ben.publish("by ben").await);
    let block = format!("/v1/blocks/{}", ben.id);
    ann.put(&block).await.expect(204);
    ann.put(&block).await.expect(204);
    assert_eq!(ids(&ann.all("/v1/blocks", 20).await), [ben.id.as_str()]);

    for path in ["", "/posts", "/followers", "/following"] {
        ben.get(&format!("/v1/users/{}{path}", ann.id)).await.problem(404, "unknown_user");
    }
    ben.get("/v1/users?handle=ann").await.problem(404, "unknown_user");
    ben.get(&format!("/v1/posts/{anns}")).await.problem(404, "unknown_post");
    ben.delete(&format!("/v1/posts/{anns}")).await.problem(404, "unknown_post");
    ben.put(&format!("/v1/likes/{anns}")).await.problem(404, "unknown_post");
    ben.put(&format!("/v1/follows/{}", ann.id)).await.problem(404, "unknown_user");

    ann.get(&format!("/v1/users/{}", ben.id)).await.expect(200);
    ann.get(&format!("/v1/posts/{bens}")).await.problem(404, "unknown_post");
    ann.put(&format!("/v1/follows/{}", ben.id)).await.problem(422, "blocked");
    assert_eq!((ann.feed_texts().await, ben.feed_texts().await), (vec!["by ann".into()], vec!["by ben".into()]));

    ann.delete(&block).await.expect(204);
    ann.delete(&block).await.expect(204);
    ben.get(&format!("/v1/users/{}", ann.id)).await.expect(200);
    assert_eq!(ann.feed_texts().await, ["by ann"], "a block ends the follows for good");
    ann.put(&format!("/v1/blocks/{}", ann.id)).await.problem(422, "oneself");
    ann.put(&format!("/v1/blocks/{NOBODY}")).await.problem(404, "unknown_user");
    ann.delete(&format!("/v1/blocks/{NOBODY}")).await.expect(204);
}

#[tokio::test]
async fn other_methods_are_405_with_allow_and_other_paths_404() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    for (path, allow) in [
        ("/v1/me", "GET, HEAD"),
        ("/v1/posts", "POST"),
        ("/v1/posts/1", "GET, DELETE, HEAD"),
        ("/v1/likes/1", "PUT, DELETE"),
        ("/v1/mutes", "GET, HEAD"),
        ("/v1/popular", "GET, HEAD"),
        ("/v1/operator/tuning", "GET, PUT, HEAD"),
        ("/v1/auth/dev", "POST"),
        ("/healthz", "GET, HEAD"),
    ] {
        for method in [Method::PATCH, Method::OPTIONS, Method::TRACE, "BREW".parse().unwrap()] {
            let reply = ann.ask(method, path).await.problem(405, "method_not_allowed");
            assert_eq!(reply.header("allow"), Some(allow), "{path}");
        }
    }
    for path in ["/v1", "/v1/nothing", "/v1/users/1/nothing", "/v1/feed/", "/v2/me", "/v1/popular/x"] {
        ann.get(path).await.problem(404, "unknown_route");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    let length = ann.get("/v1/me").await.expect(200).body.len().to_string();
    let reply = ann.ask(Method::HEAD, "/v1/me").await.expect(200);
    assert!(reply.body.is_empty());
    assert_eq!(reply.header("content-length"), Some(length.as_str()));
    let h2 = common::Client::http2(server.address);
    let ask = h2.ask(Method::HEAD, "/v1/me").header("authorization", &format!("Bearer {}", ann.token));
    assert!(ask.await.expect(200).body.is_empty());
}

#[tokio::test]
async fn a_sane_request_id_is_kept_and_any_other_replaced() {
    let server = Server::start().await;
    let ask = |id: &str| server.client().get("/healthz").header("x-request-id", id);
    let longest = "a".repeat(64);
    for id in ["a", "Ab-9_", &longest] {
        assert_eq!(ask(id).await.header("x-request-id"), Some(id));
    }
    let (too_long, mut seen) = ("a".repeat(65), Vec::new());
    for id in ["", "a b", "a\"b", "ä", &too_long] {
        let made = ask(id).await.header("x-request-id").unwrap().to_owned();
        assert!(made != id && !seen.contains(&made));
        seen.push(made);
    }
}

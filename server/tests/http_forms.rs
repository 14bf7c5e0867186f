//! The forms of an answer: 304 for who has it already, compressed for who likes it so, and what browsers are told of
//! pages.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::Read as _;

use common::{Client, Reply, Server, Session, eventually};
use http::Method;
use serde_json::Value;
use tributary_server::http::Asset;

async fn etag(reader: &Session, path: &str) -> String {
    let reply = reader.get(path).await.expect(200);
    assert_eq!(reply.header("cache-control"), Some("private, no-cache"), "browsers may keep it, and ask each time");
    reply.header("etag").unwrap().to_owned()
}

/// Waits until the validator of the first page is another one than `old`.
async fn changed(reader: &Session, old: &str) -> String {
    eventually(async || Some(etag(reader, "/v1/feed").await).filter(|new| new != old)).await
}

fn assert_not_modified(reply: &Reply, tag: &str) {
    assert_eq!(reply.status, 304, "{}", reply.asked);
    assert!(reply.body.is_empty());
    assert_eq!(reply.header("etag"), Some(tag));
    assert_eq!(reply.header("cache-control"), Some("private, no-cache"));
    assert_eq!(reply.header("content-type"), None);
    assert!(reply.header("content-length").is_none_or(|length| length != "0"), "0 would be the length of the page");
}

#[tokio::test]
async fn a_feed_has_the_same_validator_exactly_as_long_as_it_says_the_same_and_its_token_tells() {
    let server = Server::start().await;
    let (ann, ben, eve) = (server.sign_in("ann").await, server.sign_in("ben").await, server.sign_in("eve").await);
    let empty = etag(&ann, "/v1/feed").await;
    assert_ne!(etag(&ben, "/v1/feed").await, empty, "cursors of one reader are not for another");

    ann.follow(&ben).await;
    let none = etag(&ann, "/v1/feed").await;
    assert_ne!(none, empty, "a token from before a follow tells nothing");
    let post = ben.publish("one").await;
    let one = changed(&ann, &none).await;
    // The log goes on, and with it what `fresh` says.
    let fresh = async || ann.get("/v1/feed").await.json()["fresh"].as_str().unwrap().to_owned();
    let before = fresh().await;
    eve.publish("unseen").await;
    eventually(async || (fresh().await != before).then_some(())).await;
    assert_eq!(etag(&ann, "/v1/feed").await, one, "a stranger's post is no news");

    eve.put(&format!("/v1/likes/{post}")).await.expect(204);
    let liked = changed(&ann, &one).await;
    ann.put(&format!("/v1/likes/{post}")).await.expect(204);
    let likes = async |n: u64| {
        let feed = async || ann.get("/v1/feed").await.expect(200);
        eventually(async || {
            let reply = feed().await;
            (reply.json()["items"][0]["likes"] == n).then(|| reply.header("etag").unwrap().to_owned())
        })
        .await
    };
    let both = likes(2).await;
    assert!(both != liked && both != one);
    eve.delete(&format!("/v1/likes/{post}")).await.expect(204);
    let own = likes(1).await;
    assert_ne!(own, liked, "one like either way, but who likes it is another");
    ann.delete(&format!("/v1/likes/{post}")).await.expect(204);
    assert_eq!(likes(0).await, one, "what is said is what was said before");

    ann.put(&format!("/v1/mutes/{}", ben.id)).await.expect(204);
    assert_eq!(etag(&ann, "/v1/feed").await, none);
    ann.delete(&format!("/v1/mutes/{}", ben.id)).await.expect(204);
    let again = etag(&ann, "/v1/feed").await;
    assert_ne!(again, one, "nor does one from before a mute was taken back");
    ben.delete(&format!("/v1/posts/{post}")).await.expect(204);
    changed(&ann, &again).await;
}

#[tokio::test]
async fn whoever_is_told_304_has_a_token_that_tells() {
    let server = Server::with_ring(64).await;
    let (ann, ben, cat) = (server.sign_in("ann").await, server.sign_in("ben").await, server.sign_in("cat").await);
    let (eve, dan) = (server.sign_in("eve").await, server.sign_in("dan").await);
    dan.follow(&eve).await;
    ann.publish("one").await;
    let mut kept = ann.get("/v1/feed").await.expect(200);
    for what in ["nothing", "a silent followee", "a mute taken back", "a block taken back", "a whole ring of strangers"]
    {
        match what {
            "a silent followee" => ann.follow(&ben).await,
            "a mute taken back" => {
                ann.put(&format!("/v1/mutes/{}", ben.id)).await.expect(204);
                ann.delete(&format!("/v1/mutes/{}", ben.id)).await.expect(204);
            }
            "a block taken back" => {
                ann.put(&format!("/v1/blocks/{}", cat.id)).await.expect(204);
                ann.delete(&format!("/v1/blocks/{}", cat.id)).await.expect(204);
            }
            "a whole ring of strangers" => {
                for n in 0..100 {
                    eve.publish(&n.to_string()).await;
                }
                eventually(async || dan.feed_texts().await.contains(&"99".to_owned()).then_some(())).await;
            }
            _ => {}
        }
        let reply = ann.get("/v1/feed").header("if-none-match", kept.header("etag").unwrap()).await;
        assert_eq!(reply.status == 304, what == "nothing", "{what}: {}", reply.status);
        if reply.status == 200 {
            kept = reply;
        }
        let fresh = kept.json()["fresh"].as_str().unwrap().to_owned();
        let news = ann.get(&format!("/v1/feed?since={fresh}")).await.expect(200).json();
        assert!(news.get("gap").is_none(), "{what}: {news}");
    }
}

#[tokio::test]
async fn whether_more_follow_is_part_of_what_a_page_says() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    ann.publish("older").await;
    ann.publish("newer").await;
    let (short, whole) = (etag(&ann, "/v1/feed?limit=1").await, etag(&ann, "/v1/feed?limit=2").await);
    assert_ne!(short, whole);
    let older = ann.get("/v1/feed?limit=2").await.json()["items"][1]["id"].as_str().unwrap().to_owned();
    ann.delete(&format!("/v1/posts/{older}")).await.expect(204);
    assert_ne!(etag(&ann, "/v1/feed?limit=1").await, short, "the same post, but none behind it");
}

#[tokio::test]
async fn whoever_has_the_page_is_told_304_and_its_token_still_tells_what_is_new() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    let first = ann.publish("one").await;
    let page = ann.get("/v1/feed").await.expect(200);
    let (tag, fresh) = (page.header("etag").unwrap().to_owned(), page.json()["fresh"].as_str().unwrap().to_owned());
    for given in [tag.clone(), "*".to_owned(), format!("\"other\", {tag}"), tag.replace("W/", "")] {
        assert_not_modified(&ann.get("/v1/feed").header("if-none-match", &given).await, &tag);
    }
    let two_lines = ann.get("/v1/feed").header("if-none-match", "\"other\"").header("if-none-match", &tag);
    assert_not_modified(&two_lines.await, &tag);
    assert_not_modified(&ann.ask(Method::HEAD, "/v1/feed").header("if-none-match", &tag).await, &tag);
    let h2 = Client::http2(server.address).get("/v1/feed").header("authorization", &format!("Bearer {}", ann.token));
    assert_not_modified(&h2.header("if-none-match", &tag).header("accept-encoding", "gzip").await, &tag);
    for given in ["\"other\"", "W/\"other\"", "", "nonsense", &tag[..tag.len() - 1]] {
        ann.get("/v1/feed").header("if-none-match", given).await.expect(200);
    }

    let second = ann.publish("two").await;
    ann.get("/v1/feed").header("if-none-match", &tag).await.expect(200);
    let told = async || {
        let news = ann.get(&format!("/v1/feed?since={fresh}")).await.expect(200).json();
        let items = news["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let news = told().await;
    assert!(news == [second.clone()] || news == [second, first], "{news:?}");
}

#[tokio::test]
async fn pages_behind_the_first_and_news_have_no_validator() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    ann.publish("one").await;
    ann.publish("two").await;
    let page = ann.get("/v1/feed?limit=1").await.expect(200).json();
    let (next, fresh) = (page["next"].as_str().unwrap(), page["fresh"].as_str().unwrap());
    for path in [format!("/v1/feed?cursor={next}"), format!("/v1/feed?since={fresh}")] {
        let reply = ann.get(&path).header("if-none-match", "*").await.expect(200);
        assert_eq!((reply.header("etag"), reply.header("cache-control")), (None, Some("no-store")), "{path}");
    }
    let reply = server.operator().await.get("/v1/operator/tuning").header("if-none-match", "\"1\"").await;
    assert_eq!((reply.status.as_u16(), reply.header("etag")), (304, Some("\"1\"")), "every validator is compared");
}

fn decoded(reply: &Reply) -> Vec<u8> {
    let mut plain = Vec::new();
    match reply.header("content-encoding") {
        None => plain.extend_from_slice(&reply.body),
        Some("gzip") => drop(flate2::read::GzDecoder::new(&reply.body[..]).read_to_end(&mut plain).unwrap()),
        Some("zstd") => plain = zstd::stream::decode_all(&reply.body[..]).unwrap(),
        Some(other) => panic!("{other}"),
    }
    plain
}

#[tokio::test]
async fn long_answers_are_compressed_as_the_client_likes_best() {
    let server = Server::start().await;
    let ann = server.sign_in("ann").await;
    for n in 0..20 {
        ann.publish(&format!("a post of some words that others have in theirs too, number {n}")).await;
    }
    let plain = ann.get("/v1/feed").await.expect(200);
    assert_eq!(plain.header("content-encoding"), None);
    let tag = plain.header("etag").unwrap();
    for (accepts, coding) in [
        ("gzip, deflate, br, zstd", Some("zstd")),
        ("gzip", Some("gzip")),
        ("zstd;q=0.1, gzip;q=0.9", Some("gzip")),
        ("*", Some("zstd")),
        ("identity", None),
        ("br", None),
        ("gzip;q=0", None),
    ] {
        for client in [server.client(), Client::http2(server.address)] {
            let ask = |method| {
                let ask = client.ask(method, "/v1/feed").header("authorization", &format!("Bearer {}", ann.token));
                ask.header("accept-encoding", accepts)
            };
            let reply = ask(Method::GET).await.expect(200);
            assert_eq!(reply.header("content-encoding"), coding, "{accepts}");
            assert_eq!((reply.header("vary"), reply.header("etag")), (Some("accept-encoding"), Some(tag)));
            let (told, whole): (Value, Value) =
                (serde_json::from_slice(&decoded(&reply)).unwrap(), serde_json::from_slice(&plain.body).unwrap());
            assert_eq!(told["items"], whole["items"]);
            assert!(coding.is_none() || reply.body.len() * 2 < plain.body.len(), "{} bytes", reply.body.len());
            let head = ask(Method::HEAD).await.expect(200);
            assert!(head.body.is_empty());
            for name in ["content-encoding", "content-type", "etag", "vary", "content-length"] {
                assert!(name == "content-length" || head.header(name) == reply.header(name), "{name}");
            }
            let length: usize = head.header("content-length").unwrap().parse().unwrap();
            assert!(length.abs_diff(reply.body.len()) < 16, "{length}: the tokens in it may have changed");
            let known = ask(Method::GET).header("if-none-match", tag).await;
            assert_not_modified(&known, tag);
            assert_eq!((known.header("vary"), known.header("content-encoding")), (Some("accept-encoding"), None));
        }
    }
    let short = ann.get("/v1/me").header("accept-encoding", "gzip").await.expect(200);
    assert_eq!((short.header("content-encoding"), short.header("vary")), (None, None));
    let metrics = server.client().get("/metrics").header("accept-encoding", "gzip").await.expect(200);
    assert_eq!(metrics.header("content-encoding"), Some("gzip"));
    assert!(String::from_utf8(decoded(&metrics)).unwrap().contains("http_requests_total"));
}

static SCRIPT: &[u8] = &[b'/'; 300_000];

fn page(path: &str) -> Option<Asset> {
    match path {
        "/" => Some(Asset { content_type: "text/html; charset=utf-8", bytes: b"<!doctype html><title>t</title>" }),
        "/a.js" => Some(Asset { content_type: "text/javascript; charset=utf-8", bytes: SCRIPT }),
        "/a.png" => Some(Asset { content_type: "image/png", bytes: SCRIPT }),
        _ => None,
    }
}

#[tokio::test]
async fn pages_are_compressed_and_asked_for_again_only_when_they_changed() {
    let server = Server::with(|settings| settings.pages = page).await;
    let client = server.client();
    for (path, accepts, coding) in [
        ("/", "gzip", None),
        ("/a.js", "gzip", Some("gzip")),
        ("/a.js", "gzip, zstd", Some("zstd")),
        ("/a.js", "identity", None),
        ("/a.png", "gzip, zstd", None),
    ] {
        for _ in 0..2 {
            let reply = client.get(path).header("accept-encoding", accepts).await.expect(200);
            assert_eq!((reply.header("content-encoding"), reply.header("vary")), (coding, Some("accept-encoding")));
            assert_eq!(decoded(&reply), page(path).unwrap().bytes, "{path}");
            let tag = reply.header("etag").unwrap();
            let again = client.get(path).header("accept-encoding", accepts).header("if-none-match", tag).await;
            assert_eq!((again.status.as_u16(), again.body.len(), again.header("etag")), (304, 0, Some(tag)));
            assert_eq!(again.header("vary"), Some("accept-encoding"));
        }
    }
    let tag = |reply: Reply| reply.header("etag").unwrap().to_owned();
    assert_ne!(tag(client.get("/").await), tag(client.get("/a.js").await));
    client.ask(Method::POST, "/a.js").await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn browsers_are_told_what_pages_and_answers_may_not_do() {
    let server = Server::with(|settings| settings.pages = page).await;
    let page = server.client().get("/").await.expect(200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    let inline = concat!("'un", "safe-inline'");
    assert!(!policy.contains(inline), "no inline script: {policy}");
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.header("cross-origin-opener-policy"), Some("same-origin"));
    assert!(page.header("permissions-policy").unwrap().contains("geolocation=()"));
    let ann = server.sign_in("ann").await;
    for reply in [
        ann.get("/v1/me").await.expect(200),
        ann.get("/v1/nothing").await.problem(404, "unknown_route"),
        server.client().get("/healthz").await.expect(200),
    ] {
        let policy = reply.header("content-security-policy");
        assert_eq!(policy, Some("default-src 'none'; frame-ancestors 'none'"), "{}", reply.asked);
    }
}

//! How fast, for a human to read: `cargo test -p tributary-engine --test postgres -- --ignored --nocapture`.

use std::time::Instant;

use futures::future::try_join_all;
use tributary_engine::model::{Command, CommandKey, Millis, PostId, Request, UserId};
use tributary_engine::ports::{ImportedPost, ImportedUser, Store};

use super::server::Server;

fn told(what: &str, count: usize, since: Instant) {
    let seconds = since.elapsed().as_secs_f64();
    eprintln!("{what}: {:.0} a second ({count} in {seconds:.2} s)", count as f64 / seconds);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn imports_commits_and_reads() {
    const USERS: usize = 20_000;
    let Some(server) = Server::named() else { return };
    let store = server.fresh().await;
    let id = |n: usize| UserId::new(Millis(1_500_000_000_000 + n as u64), (n % 1_024) as u16, 0);
    let users: Vec<ImportedUser> =
        (0..USERS).map(|n| ImportedUser { id: id(n), handle: format!("u{n}").parse().unwrap() }).collect();
    let begun = Instant::now();
    store.import_users(&users).await.unwrap();
    told("users imported", USERS, begun);
    let follows: Vec<(UserId, Vec<UserId>)> =
        (0..USERS).map(|n| (id(n), (1..=25).map(|k| id((n + k * k * 7) % USERS)).collect())).collect();
    let begun = Instant::now();
    for batch in follows.chunks(4_000) {
        store.import_follows(batch).await.unwrap();
    }
    told("follows imported (two rows each)", USERS * 25, begun);
    let posts: Vec<ImportedPost> = (0..400_000usize)
        .map(|n| {
            let author = id(n % USERS);
            let at = Millis(1_600_000_000_000 + n as u64);
            ImportedPost {
                id: PostId::new(at, author.shard(), 0),
                author,
                text: "a text of some forty characters, or so".into(),
            }
        })
        .collect();
    let begun = Instant::now();
    for batch in posts.chunks(100_000) {
        store.import_posts(batch).await.unwrap();
    }
    told("posts imported", posts.len(), begun);
    let begun = Instant::now();
    store.finish_import().await.unwrap();
    told("imports finished", 1, begun);

    let begun = Instant::now();
    let writer = |writer: usize| {
        let store = &store;
        async move {
            for n in 0..200 {
                let key = CommandKey { key: format!("{writer}-{n}").into_bytes().into(), fingerprint: [0; 16] };
                let command = Command::Publish { text: "a text of some forty characters, or so".into() };
                store.commit(&Request { actor: id(writer), key, command }).await?;
            }
            Ok::<_, tributary_engine::ports::CommitError>(())
        }
    };
    try_join_all((0..16).map(writer)).await.unwrap();
    told("posts committed by 16 writers over 8 connections", 16 * 200, begun);
    let begun = Instant::now();
    for n in 0..500 {
        store.home_all(id(n * 31), PostId::MAX, 800).await.unwrap();
    }
    told("fills of 800 over 26 authors, one after another", 500, begun);
    let begun = Instant::now();
    for n in 0..2_000 {
        store.view(id(n * 7)).await.unwrap();
    }
    told("views, one after another", 2_000, begun);
    let begun = Instant::now();
    let mut numbered = 0;
    loop {
        let events = store.number_events(4_096).await.unwrap();
        let Some(last) = events.last() else { break };
        numbered += events.len();
        store.mark_published(last.position).await.unwrap();
    }
    told("events numbered and told", numbered, begun);
    drop(store);
    server.clear().await;
}

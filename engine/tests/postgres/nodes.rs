//! Several nodes on one store, callers that go away, and authors that want the same id.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures::future::join_all;
use tributary_engine::model::{Command, CommandKey, Millis, PostId, Request, UserId};
use tributary_engine::ports::{Clock, ImportedUser, Store};
use tributary_engine::postgres::PostgresStore;

use super::server::Server;

fn publish(actor: UserId, key: String) -> Request {
    let key = CommandKey { key: key.into_bytes().into(), fingerprint: [0; 16] };
    Request { actor, key, command: Command::Publish { text: "text".into() } }
}

async fn author(store: &PostgresStore) -> UserId {
    let handle = "ann".parse().expect("a valid handle");
    store.make_user(&handle, "Ann").await.expect("the user is made").card.id
}

async fn within_seconds<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("it does not hang")
}

#[tokio::test(flavor = "multi_thread")]
async fn authors_of_one_shard_post_in_one_millisecond() {
    const AUTHORS: u16 = 6;
    const POSTS: usize = 25;
    let Some(server) = Server::named() else { return };
    let still = Clock::Manual(Arc::new(AtomicU64::new(1_700_000_000_000)));
    let store = server.open_with(&server.migrated().await, still).await;
    let ids: Vec<UserId> = (0..AUTHORS).map(|n| UserId::new(Millis(1_500_000_000_000), 7, n)).collect();
    let user = |(n, &id): (usize, &UserId)| ImportedUser { id, handle: format!("u{n}").parse().unwrap() };
    store.import_users(&ids.iter().enumerate().map(user).collect::<Vec<_>>()).await.unwrap();
    let writers = ids.iter().map(|&author| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 0..POSTS {
                store.commit(&publish(author, n.to_string())).await.unwrap();
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    let pages = store.posts_by(&ids, PostId::MAX, 1_000).await.unwrap();
    assert!(pages.iter().all(|posts| posts.len() == POSTS));
    assert_eq!(pages.concat().into_iter().collect::<HashSet<_>>().len(), POSTS * usize::from(AUTHORS));
    server.clear().await;
}

/// What is settled as never committed stays so, however late the caller went.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_went_away_is_told_the_truth_for_good() {
    let Some(server) = Server::named() else { return };
    let store = server.fresh().await;
    let ann = author(&store).await;
    let requests: Vec<Request> = (0..300).map(|n| publish(ann, n.to_string())).collect();
    let callers = requests.iter().map(|request| {
        let store = store.clone();
        async move {
            let patience = Duration::from_micros(fastrand::u64(0..60_000));
            let _ = tokio::time::timeout(patience, store.commit(request)).await;
            loop {
                // The lock may be waited for in vain: then it is asked again.
                if let Ok(settled) = store.settled(request).await {
                    return settled.is_some();
                }
            }
        }
    });
    let settled = within_seconds(join_all(callers)).await;
    let committed = settled.iter().filter(|&&committed| committed).count();
    assert!(committed > 0 && committed < settled.len(), "{committed}: the test tests nothing");
    for (request, settled) in requests.iter().zip(&settled) {
        assert_eq!(store.settled(request).await.unwrap().is_some(), *settled);
    }
    assert_eq!(store.posts_by(&[ann], PostId::MAX, 1_000).await.unwrap()[0].len(), committed);
    server.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_on_two_nodes_commits_once() {
    let Some(server) = Server::named() else { return };
    let database = server.migrated().await;
    let nodes = [server.open(&database).await, server.open(&database).await];
    let ann = author(&nodes[0]).await;
    for round in 1..=20 {
        let request = publish(ann, format!("k{round}"));
        let commits = (0..4).map(|n| nodes[n % 2].commit(&request));
        let ended: Vec<_> = join_all(commits).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(ended.iter().filter(|committed| !committed.replayed).count(), 1);
        assert!(ended.iter().all(|committed| committed.outcome == ended[0].outcome));
        assert_eq!(nodes[1].posts_by(&[ann], PostId::MAX, 1_000).await.unwrap()[0].len(), round);
    }
    server.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_publishes_woken_by_any_and_another_takes_over() {
    let Some(server) = Server::named() else { return };
    let database = server.migrated().await;
    let (first, second) = (server.open(&database).await, server.open(&database).await);
    let ann = author(&first).await;
    assert_eq!(second.number_events(0).await, Ok(vec![]), "who only numbers is not chosen");
    assert_eq!(first.number_events(9).await, Ok(vec![]));
    // Nothing is left of what the first node woke itself for.
    second.commit(&publish(ann, "one".into())).await.unwrap();
    within_seconds(first.wait_for_events()).await;
    assert_eq!(second.number_events(9).await, Ok(vec![]), "numbered, and told to the other");
    assert_eq!(second.last_position().await.unwrap().0, 1);
    let told = first.number_events(9).await.unwrap();
    assert_eq!(told.len(), 1);
    drop(first);
    let taken_over = async {
        loop {
            let events = second.number_events(9).await.unwrap();
            if !events.is_empty() {
                return events;
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(within_seconds(taken_over).await, told, "not marked as published");
    server.clear().await;
}

/// Needs a command that restarts the server and returns when it is up. Run alone: it takes the server from every other
/// test.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_nothing_is_served_until_the_history_is_confirmed() {
    const COMMAND: &str = "TRIBUTARY_TEST_POSTGRES_RESTART";
    let Some(server) = Server::named() else { return };
    let Ok(restart) = std::env::var(COMMAND) else {
        eprintln!("skipped: {COMMAND} is not set");
        return;
    };
    let store = server.fresh().await;
    let ann = author(&store).await;
    store.commit(&publish(ann, "before".into())).await.unwrap();
    let events = store.number_events(9).await.unwrap();
    let epoch = events[0].epoch;
    let done = tokio::task::spawn_blocking(move || std::process::Command::new("sh").arg("-c").arg(&restart).status())
        .await
        .unwrap()
        .unwrap();
    assert!(done.success());
    // Old connections are found dead, then new ones are shut.
    let shut = async {
        loop {
            match store.commit(&publish(ann, "after".into())).await {
                Err(error) if error.to_string().contains("history is being confirmed") => return,
                Err(_) => tokio::task::yield_now().await,
                Ok(_) => panic!("committed on a history that nobody has confirmed"),
            }
        }
    };
    within_seconds(shut).await;
    assert!(store.view(ann).await.is_err() && store.number_events(9).await.is_err());
    assert_eq!(store.epoch(Some(&events[0])).await, Ok(epoch));
    store.commit(&publish(ann, "after".into())).await.unwrap();
    assert_eq!(store.number_events(9).await.unwrap().len(), 2, "it publishes again");
    server.clear().await;
}

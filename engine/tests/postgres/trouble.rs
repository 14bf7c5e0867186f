//! What is said of a server that is not as it should be: at once, and what to do; never a password.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tributary_engine::model::{Command, CommandKey, Request};
use tributary_engine::ports::{Clock, CommitError, Store, StoreError};
use tributary_engine::postgres::{PostgresOptions, PostgresStore, migrate};

use super::server::{Server, client};

/// The words with which a connection is refused, within seconds.
async fn refusal(url: String) -> String {
    let begun = Instant::now();
    let options = PostgresOptions { url, pool_size: 2 };
    assert!(!format!("{options:?}").contains("secret"));
    let Err(StoreError::Unavailable(why)) = PostgresStore::connect(options, Clock::System).await else {
        panic!("connected")
    };
    assert!(begun.elapsed() < Duration::from_secs(10), "{why}");
    assert!(!why.contains("secret"), "{why}");
    why
}

#[track_caller]
fn says(why: &str, words: &[&str]) {
    assert!(words.iter().all(|word| why.contains(word)), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_is_named() {
    let Some(server) = Server::named() else { return };
    says(&refusal("postgres://u:secret@127.0.0.1:1/d".into()).await, &["127.0.0.1:1", "cannot be reached"]);
    for malformed in
        ["", "postgres://", "nonsense secret", "postgres://u:secret?x@y/secret=1", "postgres://h:port/secret"]
    {
        says(&refusal(malformed.into()).await, &["URL"]);
    }
    // A listener that never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    says(&refusal(format!("postgres://u:secret@127.0.0.1:{port}/d")).await, &["cannot be reached"]);
    says(&refusal(server.url("no_such_database")).await, &["no_such_database", "create it"]);
    let empty = server.empty().await;
    says(&refusal(server.url(&empty)).await, &["tributary migrate"]);
    let migrated = migrate(&server.url(&empty), Clock::System).await.unwrap();
    assert_eq!(migrated.applied.len(), migrated.version as usize);
    let again = migrate(&server.url(&empty), Clock::System).await.unwrap();
    assert!(again.applied.is_empty());
    let changed = client(&server.url(&empty)).await;
    changed.batch_execute("UPDATE refinery_schema_history SET version = version + 90").await.unwrap();
    says(&refusal(server.url(&empty)).await, &["version 9", "newer program"]);
    let refused = migrate(&server.url(&empty), Clock::System).await.unwrap_err();
    says(&refused.to_string(), &["newer program"]);
    changed.batch_execute("DELETE FROM refinery_schema_history WHERE version > 91").await.unwrap();
    changed.batch_execute("UPDATE refinery_schema_history SET version = 1").await.unwrap();
    says(&refusal(server.url(&empty)).await, &["version 1", "tributary migrate"]);
    drop(changed);
    server.clear().await;
}

/// What another system's data directory looks like after a restore: the store finds itself elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_found_on_another_system_has_another_epoch_once() {
    let Some(server) = Server::named() else { return };
    let database = server.migrated().await;
    let epoch = server.open(&database).await.epoch(None).await.unwrap();
    let sql = client(&server.url(&database)).await;
    sql.batch_execute("UPDATE epoch SET system_identifier = system_identifier + 1").await.unwrap();
    let moved = server.open(&database).await.epoch(None).await.unwrap();
    assert_ne!(moved, epoch);
    assert_eq!(server.open(&database).await.epoch(None).await.unwrap(), moved);
    drop(sql);
    server.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follow_of_another_systems_time_is_not_late_for_ever() {
    let Some(server) = Server::named() else { return };
    let database = server.migrated().await;
    let store = server.open(&database).await;
    let ann = store.make_user(&"ann".parse().unwrap(), "Ann").await.unwrap().card.id;
    let ben = store.make_user(&"ben".parse().unwrap(), "Ben").await.unwrap().card.id;
    let key = CommandKey { key: (*b"k").into(), fingerprint: [0; 16] };
    let follow = Request { actor: ann, key, command: Command::Follow { user: ben, limit: 0 } };
    store.commit(&follow).await.unwrap();
    let sql = client(&server.url(&database)).await;
    sql.batch_execute("UPDATE follows SET stamp = stamp + 1000000000").await.unwrap();
    let view = store.view(ann).await.unwrap();
    assert!(view.follows[0].stamp < view.stamp, "{view:?}");
    drop(sql);
    server.clear().await;
}

/// Settles whatever the killed connections left open.
async fn settle(store: &PostgresStore, request: &Request) {
    loop {
        match store.commit(request).await {
            Ok(_) => return,
            Err(CommitError::Rejected(rejection)) => panic!("{rejection}"),
            Err(CommitError::Store(StoreError::Corrupt(why))) => panic!("{why}"),
            Err(CommitError::Store(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
        if let Ok(Some(_)) = store.settled(request).await {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_connections_lose_no_acknowledged_command_and_leave_no_half() {
    const WRITERS: usize = 6;
    const KILLED: usize = 60;
    let Some(server) = Server::named() else { return };
    let database = server.migrated().await;
    let store = server.open(&database).await;
    let enough = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let author = store.make_user(&format!("w{writer}").parse().unwrap(), "w").await.unwrap().card.id;
        let (store, enough) = (store.clone(), enough.clone());
        writers.push(tokio::spawn(async move {
            let mut written = 0;
            while !enough.load(Ordering::Relaxed) {
                let key = CommandKey { key: format!("k{written}").into_bytes().into(), fingerprint: [0; 16] };
                settle(&store, &Request { actor: author, key, command: Command::Publish { text: "t".into() } }).await;
                written += 1;
            }
            (author, written)
        }));
    }
    let admin = server.admin().await;
    let mut killed = 0;
    while killed < KILLED {
        let kill = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'
             AND backend_type = 'client backend' ORDER BY random() LIMIT 1"
        );
        killed += admin.query(&kill, &[]).await.unwrap().len();
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    enough.store(true, Ordering::Relaxed);
    let (mut authors, mut written) = (Vec::new(), Vec::new());
    for writer in writers {
        let (author, count) = writer.await.unwrap();
        authors.push(author);
        written.push(count);
    }
    let all: usize = written.iter().sum();
    let sql = client(&server.url(&database)).await;
    let counts = sql
        .query_one(
            "SELECT (SELECT count(*) FROM posts), (SELECT count(*) FROM outbox),
        (SELECT count(*) FROM idempotency)",
            &[],
        )
        .await
        .unwrap();
    assert_eq!([0, 1, 2].map(|column| counts.get::<_, i64>(column)), [all as i64; 3]);
    let pages = store.posts_by(&authors, tributary_engine::model::PostId::MAX, 1_000_000).await.unwrap();
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), written);
    // Numbered without a gap, by whoever has the lock of the publisher after its session was killed too.
    let numbered = async {
        loop {
            match store.number_events(1_000_000).await {
                Ok(events) if events.len() == all => return events,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let events = tokio::time::timeout(Duration::from_secs(20), numbered).await.expect("the store numbers again");
    assert!(events.iter().enumerate().all(|(n, event)| event.position.0 == n as u64 + 1));
    drop(sql);
    server.clear().await;
}

/// As after a restore of a backup that is a moment old: a command is gone that had no number yet.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_command_that_is_gone_is_a_new_history() {
    let Some(server) = Server::named() else { return };
    let database = server.migrated().await;
    let (store, other) = (server.open(&database).await, server.open(&database).await);
    let ann = store.make_user(&"ann".parse().unwrap(), "Ann").await.unwrap().card.id;
    let request = |key: String| {
        let key = CommandKey { key: key.into_bytes().into(), fingerprint: [0; 16] };
        Request { actor: ann, key, command: Command::Publish { text: "text".into() } }
    };
    let first = store.epoch(None).await.unwrap();
    for n in 0..200 {
        store.commit(&request(format!("k{n}"))).await.unwrap();
    }
    assert_eq!(store.epoch(None).await, Ok(first));
    let sql = client(&server.url(&database)).await;
    let lose = async |key: &str| {
        let lost = format!(
            "DELETE FROM idempotency WHERE key = '{key}'; DELETE FROM outbox WHERE id = (SELECT max(id) FROM outbox)"
        );
        sql.batch_execute(&lost).await.unwrap();
    };
    lose("k199").await;
    let second = store.epoch(None).await.unwrap();
    assert_ne!(second, first);
    assert_eq!([store.epoch(None).await, other.epoch(None).await], [Ok(second), Ok(second)], "once");
    // The same key again, on another node, is another command.
    store.commit(&request("again".into())).await.unwrap();
    assert_eq!(store.epoch(None).await, Ok(second));
    lose("again").await;
    tokio::time::sleep(Duration::from_millis(2)).await;
    other.commit(&request("again".into())).await.unwrap();
    assert_eq!(other.epoch(None).await, Ok(second), "the other node has lost nothing");
    assert_ne!(store.epoch(None).await, Ok(second));
    drop(sql);
    server.clear().await;
}

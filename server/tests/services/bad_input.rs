//! Each thing that can be wrong when a node starts.

use tokio::net::TcpListener;

use crate::common::{Client, Process};
use crate::place::{Place, SECRET};

/// An address where nobody listens.
const NOBODY: &str = "127.0.0.1:1";

#[tokio::test]
async fn a_service_that_is_not_there_is_told() {
    let Some(mut place) = Place::migrated().await else { return };
    let (url, brokers) = (place.url.clone(), place.brokers.clone());
    // One that takes connections and never says a word is not there either.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    for address in [NOBODY, &silent] {
        place.url = format!("postgres://tributary:{SECRET}@{address}/x");
        place.fails("serve", &["store.url", "PostgreSQL", "cannot be reached"]).await;
        place.url = url.clone();
        place.brokers = address.to_owned();
        place.fails("serve", &["log.brokers", address]).await;
        place.fails("migrate", &["log.brokers", address]).await;
        place.brokers = brokers.clone();
    }
    place.remove().await;
}

#[tokio::test]
async fn a_password_that_is_wrong_is_told_and_not_repeated() {
    let Some(mut place) = Place::migrated().await else { return };
    let (url, shards) = (place.url.clone(), place.shards.clone());
    let role = format!("stranger_{:x}", fastrand::u64(..));
    place.admin(&format!("CREATE ROLE {role} LOGIN PASSWORD 'another'")).await;
    place.url = url.replace("tributary@", &format!("{role}:{SECRET}@"));
    place.fails("serve", &["store.url", "password", &role]).await;
    place.admin(&format!("DROP ROLE {role}")).await;
    place.url = url;
    place.shards[1] = shards[1].replace("redis://", &format!("redis://:{SECRET}@"));
    place.fails("serve", &["[[shard]]", "\"b\"", "password"]).await;
    place.remove().await;
}

#[tokio::test]
async fn a_database_without_the_schema_of_this_version_is_told() {
    let Some(place) = Place::with_database().await else { return };
    place.fails("serve", &["store.url", "tributary migrate"]).await;
    place.succeeds("migrate").await;
    place.succeeds("migrate").await;
    place.sql("UPDATE refinery_schema_history SET version = 999 WHERE version = 1").await;
    for what in ["serve", "migrate", "shards show", "dead list"] {
        place.fails(what, &["store.url", "999"]).await;
    }
    place.remove().await;
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told() {
    let Some(place) = Place::new() else { return };
    for what in ["serve", "migrate"] {
        place.fails(what, &["store.url", "no database", "services_"]).await;
    }
}

#[tokio::test]
async fn a_topic_that_will_not_do_is_told() {
    let Some(mut place) = Place::migrated().await else { return };
    let topic = place.topic.clone();
    place.partitions = 5;
    for what in ["serve", "migrate"] {
        place.fails(what, &["log.partitions", "5", "3"]).await;
    }
    place.partitions = 3;
    place.topic = format!("{topic}-nowhere");
    place.fails("serve", &["log.topic", "nowhere", "tributary migrate"]).await;
    place.topic = topic.clone();
    for n in 0..20 {
        place.write(&topic, n % 3, b"", br#"{"something": "else"}"#).await;
    }
    place.fails("serve", &["log.topic", "not Tributary's"]).await;
    place.remove().await;
}

/// Readers lose nothing but time with a shard: it may come later.
#[tokio::test]
async fn a_shard_that_is_not_there_is_no_reason_not_to_start() {
    let Some(mut place) = Place::migrated().await else { return };
    place.shards[0] = format!("redis://:{SECRET}@{NOBODY}/0");
    place.succeeds("check").await;
    let node = Process::start(place.folder(), "tributary.toml", place.folder().join("node.log")).await;
    let health = Client::new(node.address).get("/readyz").await.expect(200).json();
    assert_eq!((&health["status"], &health["checks"]["store"]), (&"degraded".into(), &"ok".into()), "{health}");
    assert!(node.told().contains("shard=a"), "which one is down is told: {}", node.told());
    assert!(!node.told().contains(SECRET));
    drop(node);
    place.remove().await;
}

#[tokio::test]
async fn foreign_data_under_our_keys_in_a_shard_is_told() {
    let Some(place) = Place::migrated().await else { return };
    place.shard(2, "FLUSHDB").await;
    place.shard(2, "SADD tributary:w:somebody else").await;
    place.fails("serve", &["[[shard]]", "\"c\"", "foreign", "tributary:w:somebody"]).await;
    place.shard(2, "FLUSHDB").await;
    place.shard(2, "SET tributary:tributary 99").await;
    place.fails("serve", &["[[shard]]", "\"c\"", "foreign", "99"]).await;
    place.shard(2, "FLUSHDB").await;
    place.remove().await;
}

#[tokio::test]
async fn another_signing_key_than_the_other_nodes_have_is_told() {
    let Some(mut place) = Place::migrated().await else { return };
    place.succeeds("check").await;
    let log = place.folder().join("node.log");
    let node = Process::start(place.folder(), "tributary.toml", log).await;
    place.key_file = "another.key".into();
    place.fails("serve", &["auth.signing_key_file", "another key"]).await;
    drop(node);
    place.remove().await;
}

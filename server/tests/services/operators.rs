//! The operators' commands: dead letters, the map of slots.

use serde_json::{Value, json};
use tributary_engine::model::{Epoch, Event, LoggedEvent, NumberedEvent, Position, PostId, UserId};

use crate::common::{Process, eventually};
use crate::place::Place;

/// Buries a letter, as the engine's `kafka/dead.rs` has it.
async fn bury(place: &Place, epoch: u64, number: u64, reason: &str, bytes: &[u8]) {
    let key = (u128::from(epoch) << 64 | u128::from(number)).to_be_bytes();
    let value = [&(reason.len() as u32).to_le_bytes()[..], reason.as_bytes(), bytes].concat();
    place.write(&format!("{}.dead", place.topic), 0, &key, &value).await;
}

fn parsed(told: &str) -> Value {
    assert_eq!(told.lines().count(), 1, "one JSON object: {told}");
    serde_json::from_str(told).unwrap()
}

async fn numbers(place: &Place) -> Vec<u64> {
    let listed = parsed(&place.succeeds("dead list --json").await);
    listed["letters"].as_array().unwrap().iter().map(|letter| letter["number"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn dead_letters_are_listed_replayed_and_dropped() {
    let Some(place) = Place::migrated().await else { return };
    assert_eq!(place.succeeds("dead list").await, "");
    assert_eq!(parsed(&place.succeeds("dead list --json").await), json!({"letters": []}));

    let event = Event::Removed { post: PostId(7), author: UserId(8) };
    let known = LoggedEvent::new(Epoch(1), NumberedEvent { position: Position(5), event }).bytes;
    bury(&place, 1, 5, "it was too new", &known).await;
    bury(&place, 1, 6, "event version 238 is unknown", b"\xEE\x01").await;
    bury(&place, 2, 7, "event version 238 is unknown", b"\xEE\x02").await;
    let listed = place.succeeds("dead list").await;
    assert!(listed.contains("5 of epoch 1: it was too new, replayable"), "{listed}");
    assert!(listed.contains("6 of epoch 1: event version 238 is unknown; bytes ee01"), "{listed}");
    assert_eq!(numbers(&place).await, [5, 6, 7]);

    place.fails("dead replay 9", &["no dead letter has the number 9"]).await;
    let settled = parsed(&place.succeeds("dead replay 5 --json").await);
    assert_eq!((&settled["replayed"], &settled["dropped"]), (&json!(1), &json!(0)));
    let emitted = place.sql("SELECT encode(event, 'hex') FROM outbox WHERE number IS NULL").await;
    let hex: String = known.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(emitted, [hex], "its event waits for a number");
    assert_eq!(numbers(&place).await, [6, 7]);

    place.fails("dead replay --all", &["2 dead letters are kept"]).await;
    assert_eq!(numbers(&place).await, [6, 7]);
    assert_eq!(place.succeeds("dead drop 6").await, "0 replayed, 1 dropped, 0 kept\n");
    assert_eq!(parsed(&place.succeeds("dead drop --all --json").await)["dropped"], 1);
    assert_eq!(numbers(&place).await, [0; 0]);
    place.remove().await;
}

#[tokio::test]
async fn the_map_of_slots_is_shown_planned_and_applied_and_nodes_take_it_over() {
    let Some(mut place) = Place::migrated().await else { return };
    place.fails("shards show", &["no slot map is in force"]).await;
    let node = Process::start(place.folder(), "tributary.toml", place.folder().join("node.log")).await;
    let shown = parsed(&place.succeeds("shards show --json").await);
    assert_eq!(shown["version"], 1);
    let slots = |map: &Value| -> Vec<u64> {
        map["shards"].as_array().unwrap().iter().map(|shard| shard["slots"].as_u64().unwrap()).collect()
    };
    assert_eq!(slots(&shown).iter().sum::<u64>(), 4_096);

    place.weights = [1, 1, 6];
    let planned = parsed(&place.succeeds("shards plan --json").await);
    assert_eq!((&planned["version"], &planned["shards"][2]["slots_before"]), (&json!(2), &shown["shards"][2]["slots"]));
    assert_eq!(planned["moved_slots"], slots(&planned)[2] - slots(&shown)[2], "slots move to the heavier shard only");
    assert_eq!(parsed(&place.succeeds("shards show --json").await), shown, "a plan changes nothing");

    assert_eq!(parsed(&place.succeeds("shards apply --json").await), planned);
    let told = place.succeeds("shards show").await;
    assert!(told.starts_with("slot map, version 2\n") && told.contains("c: weight 6, "), "{told}");
    eventually(async || node.told().contains("a slot map was taken over").then_some(())).await;
    let again = parsed(&place.succeeds("shards apply --json").await);
    assert_eq!((&again["version"], &again["moved_slots"]), (&json!(2), &json!(0)));
    drop(node);
    place.remove().await;
}

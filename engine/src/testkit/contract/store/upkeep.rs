//! Read tables, notes, and what the janitor takes away.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;

use super::world::{World, decoded};
use crate::model::{Command, Millis, Position, UserId};
use crate::ports::{Removable, Store};

/// After every key made in a test, before the end of PostgreSQL's time.
const FAR_FUTURE: Millis = Millis(32_503_680_000_000);

pub(super) async fn checkpoints_are_kept_as_saved(store: Arc<dyn Store>) {
    let [ann, ben, cid] = [UserId(5), UserId(6), UserId(7)];
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    assert_eq!(store.checkpoint(ann).await, Ok(None));
    store.save_checkpoints(&[(ann, bytes("a1")), (ben, bytes("b1"))]).await.expect("the store saves");
    let long: Bytes = (0..=255).cycle().take(9_000).collect::<Vec<u8>>().into();
    store.save_checkpoints(&[(ann, long.clone())]).await.expect("the store saves");
    store.save_checkpoints(&[]).await.expect("saving nothing is fine");
    assert_eq!(store.checkpoint(ann).await, Ok(Some(long)));
    assert_eq!(store.checkpoint(ben).await, Ok(Some(bytes("b1"))));
    assert_eq!(store.checkpoint(cid).await, Ok(None));
}

pub(super) async fn notes_are_kept_by_name(store: Arc<dyn Store>) {
    assert_eq!(store.note("config").await, Ok(None));
    store.set_note("config", "one").await.expect("the store notes");
    store.set_note("other", "two").await.expect("the store notes");
    let longest = "ö".repeat(2_048);
    store.set_note("config", &longest).await.expect("the store notes");
    assert_eq!(store.note("config").await, Ok(Some(longest)));
    assert_eq!(store.note("other").await, Ok(Some("two".into())));
}

pub(super) async fn those_who_ask_together_agree_on_one_note(store: Arc<dyn Store>) {
    for round in 0..20 {
        let name = format!("agreed {round}");
        let asked = (0..8).map(|who| {
            let (store, name) = (store.clone(), name.clone());
            tokio::spawn(async move { store.agree_on_note(&name, &who.to_string()).await.expect("the store agrees") })
        });
        let told: Vec<String> = join_all(asked).await.into_iter().map(|told| told.expect("it ends")).collect();
        assert!(told.iter().all(|text| *text == told[0]), "{told:?}");
        assert_eq!(store.note(&name).await, Ok(Some(told[0].clone())));
    }
    store.set_note("told", "one").await.expect("the store notes");
    assert_eq!(store.agree_on_note("told", "two").await, Ok("one".into()));
}

pub(super) async fn a_note_is_replaced_by_those_who_know_it(store: Arc<dyn Store>) {
    let replace = async |known: &str, text: &str| store.replace_note("keys", known, text).await;
    assert_eq!(replace("", "one").await, Ok(false), "there is none");
    assert_eq!(store.note("keys").await, Ok(None));
    store.set_note("keys", "one").await.expect("the store notes");
    store.set_note("other", "one").await.expect("the store notes");
    assert_eq!(replace("two", "three").await, Ok(false));
    assert_eq!(replace("one", "two").await, Ok(true));
    assert_eq!(store.note("keys").await, Ok(Some("two".into())));
    assert_eq!(store.note("other").await, Ok(Some("one".into())));
    for round in 0..20 {
        let asked = (0..8).map(|who| {
            let store = store.clone();
            let known = if round == 0 { "two".to_owned() } else { format!("after {round}") };
            tokio::spawn(async move {
                let replaced = store.replace_note("keys", &known, &format!("{round} by {who}")).await;
                replaced.expect("the store replaces").then_some(who)
            })
        });
        let told: Vec<_> = join_all(asked).await.into_iter().filter_map(|told| told.expect("it ends")).collect();
        assert_eq!(told.len(), 1, "one of those who know the same replaces it");
        assert_eq!(store.note("keys").await, Ok(Some(format!("{round} by {}", told[0]))));
        store.set_note("keys", &format!("after {}", round + 1)).await.expect("the store notes");
    }
}

async fn remove(world: &World, keys_before: Millis, events_to: Position) -> usize {
    let mut removed = 0;
    loop {
        let what = Removable { keys_before, events_to, sessions_before: Millis(0) };
        let count = world.store.remove_old(what, 3).await.expect("the store removes");
        assert!(count <= 3);
        if count == 0 {
            return removed;
        }
        removed += count;
    }
}

pub(super) async fn old_keys_are_removed_and_young_ones_kept(store: Arc<dyn Store>) {
    let (mut world, [ann]) = World::with_users(store, ["ann"]).await;
    let mut requests = Vec::new();
    for _ in 0..8 {
        let request = world.request(ann, Command::Publish { text: "once".into() });
        world.store.commit(&request).await.expect("the post is committed");
        requests.push(request);
    }
    assert_eq!(remove(&world, Millis(0), Position::ZERO).await, 0);
    assert!(world.store.commit(&requests[0]).await.expect("the outcome is told again").replayed);
    assert_eq!(remove(&world, FAR_FUTURE, Position::ZERO).await, 8);
    assert_eq!(world.store.settled(&requests[0]).await, Ok(None));
    assert!(!world.store.commit(&requests[0]).await.expect("the post is committed").replayed);
    let posts = world.store.posts_by(&[ann], crate::model::PostId::MAX, 99).await.expect("the store reads");
    assert_eq!(posts[0].len(), 9);
}

pub(super) async fn old_events_are_removed_and_the_rest_told(store: Arc<dyn Store>) {
    let (mut world, [ann]) = World::with_users(store, ["ann"]).await;
    for _ in 0..10 {
        world.post(ann).await;
    }
    world.check_events().await;
    assert_eq!(remove(&world, Millis(0), Position(6)).await, 6);
    let (oldest, events) = world.store.events(Position(6), 99).await.expect("the store reads");
    assert_eq!((oldest, events.iter().map(decoded).collect()), (Position(6), world.told[6..].to_vec()));
    let (oldest, _) = world.store.events(Position(2), 99).await.expect("the store reads");
    assert_eq!(oldest, Position(6), "a reader below has missed events");
    // Even when all are gone, numbers go on.
    assert_eq!(remove(&world, Millis(0), Position(10)).await, 4);
    assert_eq!(world.store.events(Position(10), 99).await, Ok((Position(10), vec![])));
    assert_eq!(world.store.last_position().await, Ok(Position(10)));
    world.post(ann).await;
    world.check_events().await;
    assert_eq!(world.told.last().map(|told| told.position), Some(Position(11)));
}

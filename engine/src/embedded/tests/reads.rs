//! The pull merge against the naive truth, and what the janitor leaves.

use std::collections::BTreeSet;

use super::*;
use crate::limits::{FOLLOWERS_PAGE, IDEMPOTENCY_TTL};
use crate::model::{Millis, SlotRange};
use crate::ports::{ImportedUser, Removable, StoreError, UserList};

#[tokio::test]
async fn the_pull_merge_equals_collecting_and_sorting() {
    let seed = 7;
    let mut random = fastrand::Rng::with_seed(seed);
    let w = World::new();
    let mut users = Vec::new();
    for n in 0..12 {
        users.push(w.user(&format!("u{n}")).await);
    }
    let mut posts = Vec::new();
    for _ in 0..400 {
        w.pass_ms(random.u64(0..3));
        let author = users[random.usize(..users.len())];
        posts.push((w.post(author, "x").await, author));
    }
    for _ in 0..60 {
        let (a, b) = (users[random.usize(..users.len())], users[random.usize(..users.len())]);
        let command = match random.u8(0..10) {
            0 => Command::Mute { user: b },
            1 => Command::Block { user: b },
            2 => Command::Unblock { user: b },
            _ => Command::Follow { user: b, limit: 0 },
        };
        let _ = w.commit(a, command).await;
    }
    for &reader in &users {
        let view = w.store.view(reader).await.unwrap();
        let mut all: Vec<_> =
            posts.iter().filter(|(_, author)| *author == reader || view.follows(*author)).copied().collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        let shown = all.iter().filter(|(_, author)| view.shows(reader, *author)).map(|(post, _)| *post);
        let shown: Vec<_> = shown.collect();
        let all: Vec<_> = all.into_iter().map(|(post, _)| post).collect();
        let before = posts[random.usize(..posts.len())].0;
        for (before, limit) in [(PostId::MAX, 20), (PostId::MAX, 10_000), (before, 7), (before, 0), (PostId::MIN, 5)] {
            let page = |ids: &[PostId]| ids.iter().filter(|id| **id < before).take(limit).copied().collect::<Vec<_>>();
            assert_eq!(w.store.home_all(reader, before, limit).await.unwrap(), page(&all), "seed {seed}");
            assert_eq!(w.store.home_page(reader, before, limit).await.unwrap(), page(&shown), "seed {seed}");
        }
    }
}

#[tokio::test]
async fn a_reader_of_thousands_and_an_author_of_thousands_are_paged_whole() {
    let w = World::new();
    let ids: Vec<_> = (1..=3_000).map(|n| UserId(n * 7_919)).collect();
    let users: Vec<_> = ids.iter().map(|&id| ImportedUser { id, handle: format!("u{id}").parse().unwrap() }).collect();
    w.store.import_users(&users).await.unwrap();
    let (star, fan) = (ids[0], ids[1]);
    let mut follows: Vec<_> = ids[2..].iter().map(|&reader| (reader, vec![star])).collect();
    follows.push((fan, ids.clone()));
    w.store.import_follows(&follows).await.unwrap();
    let (first, last) = (w.post(star, "x").await, w.post(ids[2_999], "y").await);
    let mut newest = vec![first, last];
    newest.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(w.store.home_all(fan, PostId::MAX, 9).await.unwrap(), newest);

    let slots = SlotRange { start: 0, end: 2_048 };
    let (mut after, mut readers) = (UserId(0), Vec::new());
    loop {
        let page = w.store.followers(star, slots, after, 100).await.unwrap();
        assert!(page.readers.len() <= 100);
        readers.extend(page.readers);
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    let expected: Vec<_> = ids[1..].iter().filter(|id| slots.holds(**id)).copied().collect();
    assert_eq!(readers, expected);
    let all = w.store.followers(star, SlotRange::ALL, UserId(0), FOLLOWERS_PAGE).await.unwrap();
    assert_eq!((all.readers.len(), all.next), (2_999, None));
    assert_eq!(w.store.user_list(fan, UserList::Following, ids[9], 3).await.unwrap(), ids[10..13]);
    assert_eq!(w.store.user_list(star, UserList::Followers, UserId(0), 3).await.unwrap(), ids[1..4]);
}

#[tokio::test]
async fn the_janitor_takes_expired_keys_and_published_events_but_never_unpublished_ones() {
    let w = World::new();
    let ann = w.user("ann").await;
    for _ in 0..5 {
        w.post(ann, "x").await;
    }
    let what = Removable { keys_before: Millis(0), events_to: Position(4), sessions_before: Millis(0) };
    assert_eq!(w.store.remove_old(what, 100).await, Ok(0), "nothing is published yet");
    w.store.mark_published(Position(5)).await.unwrap();
    assert_eq!(w.store.remove_old(what, 3).await, Ok(3));
    assert_eq!(w.store.remove_old(what, 3).await, Ok(1));
    let (floor, events) = w.store.events(Position::ZERO, 9).await.unwrap();
    assert_eq!((floor, events.len(), events[0].position), (Position(4), 1, Position(5)));

    let request = w.request(ann, Command::Publish { text: "late".into() });
    w.pass_ms(IDEMPOTENCY_TTL.as_millis() as u64);
    w.store.commit(&request).await.unwrap();
    let keys_before = Millis(w.time.load(Ordering::Relaxed));
    let what = Removable { keys_before, events_to: Position::ZERO, sessions_before: Millis(0) };
    assert_eq!(w.store.remove_old(what, 100).await, Ok(5));
    assert!(w.store.commit(&request).await.unwrap().replayed);
    assert_eq!(w.store.last_position().await, Ok(Position(6)));
}

#[tokio::test]
async fn tunings_are_listed_newest_first_with_who_made_them() {
    let w = World::new();
    let ann = w.user("ann").await;
    w.thresholds(5, 4).await;
    let settings = TuningSettings::default();
    let by = crate::model::ChangedBy::Operator(ann);
    let Outcome::Tuned(third) = w.done(ann, Command::Tune { expected: Some(2), settings, by }).await else {
        panic!("not tuned")
    };
    assert_eq!(w.store.tuning().await, Ok(third));
    let listed = w.store.tunings(u64::MAX, 9).await.unwrap();
    let named: Vec<_> = listed.iter().map(|l| (l.tuning.version, &*l.changed_by)).collect();
    assert_eq!(named, [(3, "ann"), (2, "config"), (1, "default")]);
    assert_eq!(w.store.tunings(3, 1).await.unwrap(), listed[1..2]);
}

#[tokio::test]
async fn one_handle_is_one_user_however_often_it_is_asked_for() {
    let w = World::new();
    let made = futures::future::join_all((0..50).map(|_| w.user("ann"))).await;
    assert_eq!(made.into_iter().collect::<BTreeSet<_>>().len(), 1);
    let user = w.store.user_by_handle(&"ann".parse().unwrap()).await.unwrap().expect("made above");
    assert_eq!(user.card.id.created_at(), Millis(START_MS));
    assert_eq!(w.store.user_by_handle(&"bob".parse().unwrap()).await, Ok::<_, StoreError>(None));
}

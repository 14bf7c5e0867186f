//! Events: one for each change, numbered without a gap in the order of the commits, told until marked.

use std::sync::Arc;
use std::time::Duration;

use super::world::{World, decoded};
use crate::model::{
    ChangedBy, Channel, Command, Epoch, Event, LoggedEvent, Millis, NumberedEvent, Position, PostId, TuningSettings,
};
use crate::ports::{Removable, Store};

pub(super) async fn each_command_leaves_exactly_its_event(store: Arc<dyn Store>) {
    let (mut world, [ann, ben]) = World::with_users(store, ["ann", "ben"]).await;
    let post = world.post(ann).await;
    world.follow(ben, ann).await;
    let commands = [
        Command::Like { post },
        Command::Unlike { post },
        Command::Mute { user: ann },
        Command::Unmute { user: ann },
        Command::Unfollow { user: ann },
        Command::Block { user: ann },
        Command::Unblock { user: ann },
        Command::Pin { author: ann, pin: Some(Channel::Pull) },
        Command::Tune { expected: Some(1), settings: TuningSettings::default(), by: ChangedBy::Operator(ben) },
    ];
    for command in commands {
        world.done(ben, command).await;
    }
    let last = world.post(ann).await;
    world.done(ann, Command::Remove { post }).await;
    assert_eq!(world.expected.len(), 13);
    assert_eq!(world.expected[11], Event::Posted { post: last, author: ann, channel: Channel::Pull, audience: 0 });
    world.check_events().await;
}

pub(super) async fn what_changes_nothing_leaves_no_event(store: Arc<dyn Store>) {
    let (mut world, [ann, ben]) = World::with_users(store, ["ann", "ben"]).await;
    let post = world.post(ann).await;
    let repeatable = [
        Command::Like { post },
        Command::Unlike { post },
        Command::Follow { user: ann, limit: 0 },
        Command::Unfollow { user: ann },
        Command::Mute { user: ann },
        Command::Unmute { user: ann },
        Command::Block { user: ann },
        Command::Unblock { user: ann },
    ];
    for command in repeatable {
        for _ in 0..2 {
            world.done(ben, command.clone()).await;
        }
    }
    for refused in
        [Command::Remove { post }, Command::Like { post: PostId(5) }, Command::Follow { user: ben, limit: 0 }]
    {
        assert!(world.run(ben, refused).await.is_err());
    }
    assert_eq!(world.expected.len(), 9);
    world.check_events().await;
}

pub(super) async fn numbers_have_no_gap_and_come_again_until_marked(store: Arc<dyn Store>) {
    let (mut world, [ann]) = World::with_users(store, ["ann"]).await;
    assert_eq!(world.store.last_position().await, Ok(Position::ZERO));
    assert_eq!(world.store.number_events(9).await, Ok(vec![]));
    for _ in 0..10 {
        world.post(ann).await;
    }
    assert_eq!(world.store.number_events(0).await, Ok(vec![]));
    assert_eq!(world.store.last_position().await, Ok(Position(10)), "all have their numbers");
    let first = world.store.number_events(4).await.expect("the store numbers");
    assert_eq!(first.iter().map(|event| event.position.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
    world.post(ann).await;
    assert_eq!(world.store.number_events(4).await, Ok(first.clone()), "nothing was marked");
    world.store.mark_published(Position(3)).await.expect("the store marks");
    let second = world.store.number_events(4).await.expect("the store numbers");
    assert_eq!(second.iter().map(|event| event.position.0).collect::<Vec<_>>(), [4, 5, 6, 7]);
    assert_eq!(second[0], first[3]);
    // Marking less than before takes nothing back.
    world.store.mark_published(Position(1)).await.expect("the store marks");
    assert_eq!(world.store.number_events(4).await, Ok(second));
    world.store.mark_published(Position(3)).await.expect("the store marks");
    world.told.extend(first[..3].iter().map(decoded));
    world.check_events().await;
}

pub(super) async fn events_are_read_again_from_anywhere(store: Arc<dyn Store>) {
    let (mut world, [ann]) = World::with_users(store, ["ann"]).await;
    assert_eq!(world.store.events(Position::ZERO, 9).await, Ok((Position::ZERO, vec![])));
    for _ in 0..9 {
        world.post(ann).await;
    }
    world.check_events().await;
    for (after, limit) in [(0, 100), (0, 4), (3, 3), (8, 5), (9, 5)] {
        let (oldest, events) = world.store.events(Position(after), limit).await.expect("the store reads");
        let expected: Vec<NumberedEvent> = world.told.iter().skip(after as usize).take(limit).copied().collect();
        let events: Vec<NumberedEvent> = events.iter().map(decoded).collect();
        assert_eq!((oldest, events), (Position::ZERO, expected), "after {after}, limit {limit}");
    }
}

pub(super) async fn commands_at_the_same_time_are_numbered_without_a_gap(store: Arc<dyn Store>) {
    const WRITERS: u64 = 8;
    const POSTS: u64 = 25;
    let (mut world, _) = World::with_users(store, []).await;
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let author = world.user(&format!("writer{writer}")).await;
        let requests: Vec<_> =
            (0..POSTS).map(|_| world.request(author, Command::Publish { text: "at once".into() })).collect();
        let store = world.store.clone();
        writers.push(tokio::spawn(async move {
            for request in requests {
                store.commit(&request).await.expect("the post is committed");
            }
        }));
    }
    let mut told: Vec<NumberedEvent> = Vec::new();
    while (told.len() as u64) < WRITERS * POSTS {
        let events = world.store.number_events(13).await.expect("the store numbers");
        for event in events.iter().map(decoded) {
            let last = told.last().map_or(Position::ZERO, |told| told.position);
            assert_eq!(event.position, last.next());
            told.push(event);
        }
        if let Some(last) = told.last() {
            world.store.mark_published(last.position).await.expect("the store marks");
        }
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.expect("a writer does not panic");
    }
    assert_eq!(world.store.number_events(9).await, Ok(vec![]));
    // One author's posts are numbered in the order of their ids.
    for author in world.truth.user_ids() {
        let posts = told.iter().filter_map(|told| match told.event {
            Event::Posted { post, author: by, .. } if by == author => Some(post),
            _ => None,
        });
        let posts: Vec<PostId> = posts.collect();
        assert!(posts.len() as u64 == POSTS && posts.is_sorted());
    }
}

pub(super) async fn an_emitted_event_gets_the_next_number(store: Arc<dyn Store>) {
    let (mut world, [ann]) = World::with_users(store, ["ann"]).await;
    let post = world.post(ann).await;
    let again = Event::Posted { post, author: ann, channel: Channel::Push, audience: 5 };
    world.store.emit(&again).await.expect("the store emits");
    world.expected.push(again);
    world.post(ann).await;
    world.check_events().await;
}

pub(super) async fn a_history_keeps_its_epoch_before_its_own_witnesses_only(store: Arc<dyn Store>) {
    let (mut world, [ann]) = World::with_users(store, ["ann"]).await;
    for _ in 0..5 {
        world.post(ann).await;
    }
    let events = world.store.number_events(9).await.expect("the store numbers");
    let epoch = events[0].epoch;
    assert_eq!(world.store.epoch(None).await, Ok(epoch));
    for event in &events {
        assert_eq!(world.store.epoch(Some(event)).await, Ok(epoch));
    }
    let stranger = LoggedEvent { epoch: Epoch(epoch.0 ^ 1), position: Position(99), ..events[0].clone() };
    assert_eq!(world.store.epoch(Some(&stranger)).await, Ok(epoch), "of another history");
    // One that the store has not come to, and one that is another under its number.
    let ahead = LoggedEvent { position: Position(6), ..events[4].clone() };
    let renewed = world.store.epoch(Some(&ahead)).await.expect("the store has an epoch");
    assert_ne!(renewed, epoch);
    assert_eq!(world.store.epoch(Some(&ahead)).await, Ok(renewed), "renewed once");
    assert_eq!(world.store.number_events(9).await.expect("the store numbers")[0].epoch, renewed);
    let other = LoggedEvent { epoch: renewed, ..LoggedEvent::clone(&events[1]) };
    let other = LoggedEvent { position: Position(3), ..other };
    assert_ne!(world.store.epoch(Some(&other)).await, Ok(renewed));
    // What the janitor has taken away was there.
    world.store.mark_published(Position(5)).await.expect("the store marks");
    let what = Removable { keys_before: Millis(0), events_to: Position(4), sessions_before: Millis(0) };
    world.store.remove_old(what, 100).await.expect("the store removes");
    let epoch = world.store.epoch(None).await.expect("the store has an epoch");
    let removed = LoggedEvent { epoch, ..events[2].clone() };
    assert_eq!(world.store.epoch(Some(&removed)).await, Ok(epoch));
}

pub(super) async fn leases_run_out_or_are_given_up(store: Arc<dyn Store>) {
    let (long, short) = (Duration::from_secs(600), Duration::from_millis(300));
    assert_eq!(store.lease("worker", 7, long).await, Ok(vec![7]));
    assert_eq!(store.lease("relay", 5, long).await, Ok(vec![5]), "roles have nothing to do with each other");
    assert_eq!(store.lease("worker", 3, short).await, Ok(vec![3, 7]));
    // Renewed before it runs out.
    assert_eq!(store.lease("worker", 3, short).await, Ok(vec![3, 7]));
    let gone = async {
        while store.lease("worker", 7, long).await != Ok(vec![7]) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("a lease runs out");
    assert_eq!(store.lease("worker", 9, long).await, Ok(vec![7, 9]));
    assert_eq!(store.lease("worker", 7, Duration::ZERO).await, Ok(vec![9]));
}

//! Statements that meet in an order that random worlds seldom bring about.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::sync::Arc;

use tokio::sync::watch;
use tributary_engine::embedded::{EmbeddedLog, EmbeddedStore, ProcessShard};
use tributary_engine::model::{Command, Outcome, Position, PostId, SlotRange, UserId};
use tributary_engine::ports::{Clock, Shard, Store};
use tributary_engine::read::PageRequest;
use tributary_engine::testkit::HeldShard;
use tributary_engine::timeline::{Signer, Window};
use tributary_engine::work::Flush;
use tributary_engine::{CacheBytes, Options, Parts, Roles};

async fn user(store: &EmbeddedStore, handle: &str) -> UserId {
    store.make_user(&handle.parse().unwrap(), handle).await.unwrap().card.id
}

async fn post(parts: &Parts, author: UserId) -> PostId {
    let committed = parts.commands.execute(author, Command::Publish { text: "text".into() }, None).await.unwrap();
    let Outcome::Posted { post, .. } = committed.outcome else { panic!("a post") };
    post.id
}

async fn follow(parts: &Parts, actor: UserId, user: UserId) {
    parts.commands.execute(actor, Command::Follow { user, limit: 0 }, None).await.unwrap();
}

/// A worker groups a round, and is held up. The reader follows somebody whose post is in that round; a node that is
/// behind fills the window, up to before the round. Then the segment comes. It takes the position beyond the post,
/// and only its stamp tells that it knew nothing of the follow.
#[tokio::test]
async fn a_segment_from_before_a_follow_does_not_hide_the_followee() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path(), Clock::System).unwrap();
    let log = Arc::new(EmbeddedLog::new(store.clone()));
    let shard = Arc::new(ProcessShard::new(1 << 20, Clock::System));
    let options = Options {
        roles: Roles { api: true, worker: true },
        cache: CacheBytes { ring: 1 << 20, windows: 1 << 20, streams: 1 << 20, views: 1 << 20, posts: 1 << 20 },
        signer: Signer::new(&[7; 32]),
        clock: Clock::System,
    };
    let mut node = Parts::assemble(store.clone(), log, shard.clone(), &options).await.unwrap();
    let (reader, ann, bob) = (user(&store, "reader").await, user(&store, "ann").await, user(&store, "bob").await);
    follow(&node, reader, bob).await;
    let from_ann = post(&node, ann).await;
    let from_bob = post(&node, bob).await;

    let held = Arc::new(HeldShard::default());
    let epoch = node.reads.tier.epoch;
    let share = watch::Sender::new(SlotRange::ALL).subscribe();
    let mut flush = Flush::new(store.clone(), held.clone(), epoch, share, node.tuning.clone(), 1_000, Position::ZERO);
    let events = store.events(Position::ZERO, 10).await.unwrap().1;
    flush.take(&events.iter().map(|event| event.decode().unwrap()).collect::<Vec<_>>()).await.unwrap();
    flush.flush().await.unwrap();

    follow(&node, reader, ann).await;
    let stamp = store.view(reader).await.unwrap().stamp;
    let window = Window { epoch, floor: PostId::MIN, position: Position(1), stamp, entries: Vec::new() };
    let mut fill = Vec::new();
    window.encode(&mut fill);
    shard.set(reader, fill.into()).await.unwrap();
    let late = held.batches().pop().unwrap();
    shard.append(&late).await.unwrap();

    node.follower.warm().await.unwrap();
    let feed = node.reads.home(reader, &PageRequest { limit: 20, cursor: None }).await.unwrap();
    let told: Vec<PostId> = feed.items.iter().map(|item| item.post.id()).collect();
    let mut expected = vec![from_ann, from_bob];
    expected.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(told, expected);
}

/// A worker has all readers, then half of them. Of a reader of the other half it hears nothing any more: that must not
/// count as quiet, for a segment that says "nothing came" would hide what others compact.
#[tokio::test]
async fn a_worker_says_nothing_of_readers_that_it_has_given_away() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path(), Clock::System).unwrap();
    let log = Arc::new(EmbeddedLog::new(store.clone()));
    let options = Options {
        roles: Roles { api: true, worker: true },
        cache: CacheBytes { ring: 1 << 20, windows: 1 << 20, streams: 1 << 20, views: 1 << 20, posts: 1 << 20 },
        signer: Signer::new(&[7; 32]),
        clock: Clock::System,
    };
    let shard = Arc::new(ProcessShard::new(1 << 20, Clock::System));
    let node = Parts::assemble(store.clone(), log, shard, &options).await.unwrap();
    let (reader, ann) = (user(&store, "reader").await, user(&store, "ann").await);
    follow(&node, reader, ann).await;

    let held = Arc::new(HeldShard::default());
    let share = watch::Sender::new(SlotRange::ALL);
    let (epoch, tuning) = (node.reads.tier.epoch, node.tuning.clone());
    let mut flush = Flush::new(store.clone(), held.clone(), epoch, share.subscribe(), tuning, 16, Position::ZERO);
    let halves = [SlotRange::part(0, 2), SlotRange::part(1, 2)];
    let other = halves.into_iter().find(|half| !half.holds(reader)).unwrap();
    for round in 0..20 {
        post(&node, ann).await;
        let events = store.events(Position::ZERO, 100).await.unwrap().1;
        flush.take(&events.iter().map(|event| event.decode().unwrap()).collect::<Vec<_>>()).await.unwrap();
        flush.flush().await.unwrap();
        let told = held.batches().drain(..).any(|batch| batch.iter().any(|(whom, _)| whom == reader));
        assert_eq!(told, round == 0, "round {round}");
        share.send_replace(other);
    }
}

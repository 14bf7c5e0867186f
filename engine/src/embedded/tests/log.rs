//! The log over the event table.

use std::time::Duration;

use futures::{FutureExt, poll};

use super::*;
use crate::embedded::EmbeddedLog;
use crate::model::{Epoch, Millis};
use crate::ports::{Log, LogError, Removable};

/// Whichever: the log of a store has the store's history alone.
const EPOCH: Epoch = Epoch(0);

async fn publish(w: &World, log: &EmbeddedLog) -> Position {
    let events = w.store.number_events(100).await.unwrap();
    log.publish(&events).await.unwrap();
    let last = events.last().expect("something to publish").position;
    w.store.mark_published(last).await.unwrap();
    last
}

#[tokio::test]
async fn followers_see_what_is_published_and_nothing_else() {
    let w = World::new();
    let ann = w.user("ann").await;
    w.post(ann, "1").await;
    let w = w.reopen();
    let log = EmbeddedLog::new(w.store.clone());
    let mut reader = log.follow(EPOCH, Position::ZERO).await.unwrap();
    assert_eq!(reader.next().await.unwrap().len(), 1, "what was there at the opening is published");
    w.post(ann, "2").await;
    {
        let mut next = reader.next();
        assert!(poll!(&mut next).is_pending());
        // Dropped while it waits: nothing is lost.
    }
    assert_eq!(publish(&w, &log).await, Position(2));
    let events = reader.next().await.unwrap();
    assert_eq!(events.iter().map(|event| event.position.0).collect::<Vec<_>>(), [2]);
    let stale = w.store.events(Position::ZERO, 1).await.unwrap().1;
    log.publish(&stale).await.unwrap();
    assert!(reader.next().now_or_never().is_none(), "what is repeated is not seen again");
    assert_eq!(log.follow(EPOCH, Position(1)).await.unwrap().next().await, Ok(events));
}

#[tokio::test]
async fn a_waiting_follower_is_woken() {
    let w = World::new();
    let ann = w.user("ann").await;
    let log = Arc::new(EmbeddedLog::new(w.store.clone()));
    let mut reader = log.follow(EPOCH, Position::ZERO).await.unwrap();
    let waiting = tokio::spawn(async move { reader.next().await });
    w.post(ann, "1").await;
    w.store.wait_for_events().await;
    publish(&w, &log).await;
    let woken = tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it is woken").unwrap();
    assert_eq!(woken.unwrap().len(), 1);
}

#[tokio::test]
async fn a_follower_below_what_is_kept_is_told_so() {
    let w = World::new();
    let ann = w.user("ann").await;
    let log = EmbeddedLog::new(w.store.clone());
    let mut early = log.follow(EPOCH, Position::ZERO).await.unwrap();
    for _ in 0..3 {
        w.post(ann, "x").await;
    }
    publish(&w, &log).await;
    let what = Removable { keys_before: Millis(0), events_to: Position(2), sessions_before: Millis(0) };
    assert_eq!(w.store.remove_old(what, 9).await, Ok(2));
    let trimmed = LogError::Trimmed { oldest: Position(2) };
    assert_eq!(early.next().await, Err(trimmed.clone()));
    assert_eq!(log.follow(EPOCH, Position(1)).await.err(), Some(trimmed));
    assert_eq!(log.follow(EPOCH, Position(2)).await.unwrap().next().await.unwrap().len(), 1);
}

//! Group commit, and what is left after the file was closed.

use std::sync::mpsc;
use std::task::Poll;

use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, poll};

use super::*;
use crate::embedded::fault::Fault;
use crate::embedded::writing::{Need, Writing};
use crate::limits::COMMAND_QUEUE;
use crate::ports::StoreError;

/// Holds the writing thread until the sender is dropped; the future ends then.
async fn hold(w: &World) -> (mpsc::Sender<()>, BoxFuture<'_, Result<(), StoreError>>) {
    let (release, held) = mpsc::channel::<()>();
    let (entered, in_thread) = mpsc::channel();
    let wait = move |_: &mut Writing<'_>| {
        entered.send(()).unwrap();
        let _ = held.recv();
        Ok(())
    };
    let mut job = w.store.writer.write("holding", wait).boxed();
    assert!(poll!(&mut job).is_pending());
    in_thread.recv().unwrap();
    (release, job)
}

#[tokio::test]
async fn commands_of_many_callers_all_commit_and_are_numbered_without_a_gap() {
    let w = World::new();
    let users: Vec<_> = join_all((0..20).map(async |n| w.user(&format!("u{n}")).await)).await;
    let posts = join_all((0..400).map(|n| w.post(users[n % 20], "x"))).await;
    let mut published: Vec<_> = w
        .events()
        .await
        .into_iter()
        .map(|event| match event {
            Event::Posted { post, .. } => post,
            other => panic!("{other:?}"),
        })
        .collect();
    for user in &users {
        let mine = w.store.posts_by(&[*user], PostId::MAX, 100).await.unwrap();
        assert_eq!(mine[0].len(), 20);
    }
    published.sort_unstable();
    let mut posts = posts;
    posts.sort_unstable();
    assert_eq!(posts, published);
}

#[tokio::test]
async fn of_two_requests_with_one_key_in_one_group_the_second_sees_the_first() {
    let w = World::new();
    let ann = w.user("ann").await;
    let request = w.request(ann, Command::Publish { text: "once".into() });
    let (release, held) = hold(&w).await;
    let mut both = [w.store.commit(&request), w.store.commit(&request)].map(|commit| commit.fuse());
    for commit in &mut both {
        assert!(poll!(commit).is_pending());
    }
    drop(release);
    let ends: Vec<_> = join_all(both).await.into_iter().map(|end| end.unwrap()).collect();
    assert_eq!(ends[0].outcome, ends[1].outcome);
    assert_eq!((ends[0].replayed, ends[1].replayed), (false, true));
    assert_eq!(w.events().await.len(), 1);
    held.await.unwrap();
}

#[tokio::test]
async fn a_command_whose_caller_has_gone_is_skipped() {
    let w = World::new();
    let ann = w.user("ann").await;
    let request = w.request(ann, Command::Publish { text: "never".into() });
    let (release, held) = hold(&w).await;
    {
        let mut commit = w.store.commit(&request);
        assert!(poll!(&mut commit).is_pending());
    }
    drop(release);
    assert_eq!(w.store.settled(&request).await, Ok(None));
    assert_eq!(w.events().await, []);
    held.await.unwrap();
}

#[tokio::test]
async fn one_command_more_than_may_wait_is_refused_at_once() {
    let w = World::new();
    let ann = w.user("ann").await;
    let (release, held) = hold(&w).await;
    let request = w.request(ann, Command::Publish { text: "x".into() });
    let mut waiting: Vec<_> = (0..COMMAND_QUEUE).map(|_| w.store.commit(&request)).collect();
    for commit in &mut waiting {
        assert!(poll!(commit).is_pending());
    }
    assert!(matches!(
        poll!(w.store.commit(&request)),
        Poll::Ready(Err(CommitError::Store(StoreError::Unavailable(_))))
    ));
    drop(release);
    assert!(join_all(waiting).await.into_iter().all(|end| end.is_ok()));
    held.await.unwrap();
    assert_eq!(w.events().await.len(), 1);
}

#[tokio::test]
async fn a_job_that_fails_takes_nothing_with_it_to_the_disk_and_those_after_it_go_on() {
    let w = World::new();
    let ann = w.user("ann").await;
    let (release, held) = hold(&w).await;
    let before = w.request(ann, Command::Publish { text: "before".into() });
    let after = w.request(ann, Command::Publish { text: "after".into() });
    let mut first = w.store.commit(&before);
    assert!(poll!(&mut first).is_pending());
    let spoil = |w: &mut Writing<'_>| {
        w.users.insert(1, [0xFF].as_slice())?;
        w.must(Need::Durable);
        Err::<(), _>(Fault::Malformed("spoilt"))
    };
    let mut failing = Box::pin(w.store.writer.write("spoiling", spoil));
    assert!(poll!(&mut failing).is_pending());
    let mut last = w.store.commit(&after);
    assert!(poll!(&mut last).is_pending());
    drop(release);
    assert!(matches!(first.await, Err(CommitError::Store(StoreError::Unavailable(_)))));
    assert!(matches!(failing.await, Err(StoreError::Corrupt(_))));
    assert!(last.await.is_ok());
    assert_eq!(w.store.users(&[UserId(1)]).await, Ok(vec![None]));
    assert_eq!(w.store.settled(&before).await, Ok(None));
    assert_eq!(w.events().await.len(), 1);
    assert_eq!(held.await, Ok(()));
}

#[tokio::test]
async fn a_store_opened_again_has_everything() {
    let w = World::new();
    let (ann, bob) = (w.user("ann").await, w.user("bob").await);
    w.follow(ann, bob).await;
    let post = w.post(bob, "hello").await;
    w.done(ann, Command::Like { post }).await;
    w.done(ann, Command::Mute { user: bob }).await;
    w.store.set_note("config", "it said so").await.unwrap();
    w.store.save_checkpoints(&[(ann, "window".into())]).await.unwrap();
    let request = w.request(bob, Command::Publish { text: "kept".into() });
    let committed = w.store.commit(&request).await.unwrap();
    let state = async |w: &World| {
        (
            (w.store.epoch(None).await, w.store.tuning().await, w.store.note("config").await),
            (w.store.view(ann).await, w.store.users(&[ann, bob]).await, w.store.posts(&[post]).await),
            (w.store.likes(ann, 9).await, w.store.home_all(ann, PostId::MAX, 9).await),
            (w.store.last_position().await, w.events().await, w.store.checkpoint(ann).await),
        )
    };
    let before = state(&w).await;
    let w = w.reopen();
    assert_eq!(state(&w).await, before);
    assert_eq!(w.store.settled(&request).await.unwrap().map(|end| end.outcome), Some(committed.outcome));
    assert_eq!(w.store.number_events(9).await, Ok(vec![]), "what was in the table counts as published");
    w.post(bob, "more").await;
    assert_eq!(w.store.number_events(9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_second_opening_says_what_is_wrong() {
    let w = World::new();
    let Err(StoreError::Unavailable(why)) = EmbeddedStore::open(w.folder.path(), Clock::System) else {
        panic!("opened twice")
    };
    assert!(why.contains("is open already"), "{why}");
}

/// What the disk would hold if the process were killed now: a copy of the file beside the running store.
#[tokio::test]
async fn what_is_acknowledged_is_in_the_file_before_the_answer() {
    let w = World::new();
    let (ann, bob) = (w.user("ann").await, w.user("bob").await);
    for round in 0..5 {
        w.store.save_checkpoints(&[(ann, "not awaited by anybody".into())]).await.unwrap();
        w.done(ann, if round % 2 == 0 { Command::Mute { user: bob } } else { Command::Unmute { user: bob } }).await;
        let request = w.request(bob, Command::Publish { text: "kept".into() });
        let committed = w.store.commit(&request).await.unwrap();
        let crashed = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(w.folder.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), crashed.path().join(file.file_name())).unwrap();
        }
        let found = EmbeddedStore::open(crashed.path(), Clock::System).expect("a killed store opens again");
        assert_eq!(found.last_position().await, w.store.last_position().await);
        assert_eq!(found.view(ann).await, w.store.view(ann).await);
        let Outcome::Posted { post, .. } = committed.outcome else { panic!("not posted") };
        assert_eq!(found.posts(&[post.id]).await, Ok(vec![Some(post)]));
    }
}

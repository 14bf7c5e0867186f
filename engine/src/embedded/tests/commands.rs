//! The rules of each command, and what a key keeps of it.

use std::collections::BTreeSet;

use super::*;
use crate::limits::IDEMPOTENCY_TTL;
use crate::model::{ChangedBy, Channel, Millis, SlotRange, Stamp};
use crate::ports::{ImportedPost, ImportedUser};

const NOBODY: UserId = UserId(77);
const NOTHING: PostId = PostId(77);

#[tokio::test]
async fn each_rule_rejects_what_breaks_it() {
    let w = World::new();
    let (ann, bob, cat) = (w.user("ann").await, w.user("bob").await, w.user("cat").await);
    let post = w.post(bob, "hello").await;
    let follow = |user| Command::Follow { user, limit: 1 };

    assert_eq!(w.rejected(NOBODY, Command::Publish { text: "x".into() }).await, Rejection::UnknownUser);
    for command in [follow(ann), Command::Mute { user: ann }, Command::Block { user: ann }] {
        assert_eq!(w.rejected(ann, command).await, Rejection::Oneself);
    }
    for command in [follow(NOBODY), Command::Mute { user: NOBODY }, Command::Block { user: NOBODY }] {
        assert_eq!(w.rejected(ann, command).await, Rejection::UnknownUser);
    }
    assert_eq!(w.rejected(ann, Command::Pin { author: NOBODY, pin: None }).await, Rejection::UnknownUser);
    assert_eq!(w.rejected(ann, Command::Like { post: NOTHING }).await, Rejection::UnknownPost);
    assert_eq!(w.rejected(ann, Command::Remove { post: NOTHING }).await, Rejection::UnknownPost);
    assert_eq!(w.rejected(ann, Command::Remove { post }).await, Rejection::NotAuthor);
    let settings = TuningSettings::default();
    let tune = Command::Tune { expected: Some(9), settings, by: ChangedBy::Operator(ann) };
    assert_eq!(w.rejected(ann, tune).await, Rejection::VersionMismatch);

    w.done(ann, follow(bob)).await;
    w.done(ann, follow(bob)).await;
    assert_eq!(w.rejected(ann, follow(cat)).await, Rejection::TooManyFollows);

    w.done(bob, Command::Block { user: ann }).await;
    assert_eq!(w.rejected(ann, follow(bob)).await, Rejection::UnknownUser);
    assert_eq!(w.rejected(ann, Command::Mute { user: bob }).await, Rejection::UnknownUser);
    assert_eq!(w.rejected(ann, Command::Block { user: bob }).await, Rejection::UnknownUser);
    assert_eq!(w.rejected(ann, Command::Like { post }).await, Rejection::UnknownPost);
    assert_eq!(w.rejected(ann, Command::Remove { post }).await, Rejection::UnknownPost);

    let hidden = w.post(ann, "hi").await;
    assert_eq!(w.rejected(bob, follow(ann)).await, Rejection::Blocked);
    assert_eq!(w.rejected(bob, Command::Like { post: hidden }).await, Rejection::UnknownPost);
    assert_eq!(w.rejected(bob, Command::Remove { post: hidden }).await, Rejection::UnknownPost);
}

#[tokio::test]
async fn what_changes_nothing_is_done_without_an_event() {
    let w = World::new();
    let (ann, bob) = (w.user("ann").await, w.user("bob").await);
    let post = w.post(bob, "hello").await;
    for command in [
        Command::Follow { user: bob, limit: 0 },
        Command::Mute { user: bob },
        Command::Like { post },
        Command::Pin { author: bob, pin: Some(Channel::Pull) },
    ] {
        w.done(ann, command.clone()).await;
        let (before, view) = (w.events().await, w.store.view(ann).await.unwrap());
        w.done(ann, command).await;
        assert_eq!((w.events().await, w.store.view(ann).await.unwrap()), (before, view));
    }
    let before = w.events().await;
    for user in [NOBODY, ann] {
        w.done(ann, Command::Unfollow { user }).await;
        w.done(ann, Command::Unmute { user }).await;
        w.done(ann, Command::Unblock { user }).await;
    }
    w.done(ann, Command::Unlike { post: NOTHING }).await;
    assert_eq!(w.events().await, before);
}

#[tokio::test]
async fn a_block_ends_both_follows_with_one_event() {
    let w = World::new();
    let (ann, bob) = (w.user("ann").await, w.user("bob").await);
    w.follow(ann, bob).await;
    w.follow(bob, ann).await;
    w.done(ann, Command::Block { user: bob }).await;
    assert_eq!(w.events().await.last(), Some(&Event::Blocked { user: ann, target: bob }));
    assert_eq!(w.events().await.len(), 3);
    for user in w.store.users(&[ann, bob]).await.unwrap() {
        let user = user.expect("made above");
        assert_eq!((user.followers, user.following), (0, 0));
    }
    let view = w.store.view(bob).await.unwrap();
    assert_eq!((view.follows.len(), &*view.blocked_by), (0, &[ann][..]));

    w.done(ann, Command::Unblock { user: bob }).await;
    let (ann_view, bob_view) = (w.store.view(ann).await.unwrap(), w.store.view(bob).await.unwrap());
    assert!(bob_view.blocked_by.is_empty() && ann_view.blocks.is_empty());
    assert_eq!(ann_view.widened, bob_view.widened);
    assert!(bob_view.widened >= view.stamp, "the view before the unblock knows that it may miss posts");
}

#[tokio::test]
async fn a_stamp_tells_whether_a_read_saw_the_follow() {
    let w = World::new();
    let (ann, bob, cat) = (w.user("ann").await, w.user("bob").await, w.user("cat").await);
    w.follow(ann, bob).await;
    let before = w.store.view(ann).await.unwrap();
    assert!(before.follows[0].stamp < before.stamp);
    w.follow(ann, cat).await;
    w.done(ann, Command::Unfollow { user: bob }).await;
    w.follow(ann, bob).await;
    let after = w.store.view(ann).await.unwrap();
    assert!(after.follows.iter().all(|f| before.stamp <= f.stamp && f.stamp < after.stamp));
    assert!(after.widened >= before.stamp);
    let followers = w.store.followers(bob, SlotRange::ALL, UserId(0), 9).await.unwrap();
    assert_eq!((followers.readers, followers.next, followers.stamp), (vec![ann], None, after.stamp));
    assert_eq!(w.store.view(NOBODY).await.unwrap().widened, Stamp(0));
}

#[tokio::test]
async fn the_channel_follows_the_thresholds_with_hysteresis_and_the_pin_outranks_them() {
    let w = World::new();
    w.thresholds(2, 2).await;
    let (ann, bob, cat) = (w.user("ann").await, w.user("bob").await, w.user("cat").await);
    let mut channels = Vec::new();
    let channel = async || match w.done(ann, Command::Publish { text: "x".into() }).await {
        Outcome::Posted { post, channel } => (post.id, channel),
        other => panic!("{other:?}"),
    };
    w.follow(bob, ann).await;
    channels.push(channel().await.1);
    w.follow(cat, ann).await;
    channels.push(channel().await.1);
    w.thresholds(3, 2).await;
    channels.push(channel().await.1);
    w.done(bob, Command::Unfollow { user: ann }).await;
    channels.push(channel().await.1);
    w.done(bob, Command::Pin { author: ann, pin: Some(Channel::Pull) }).await;
    let (newest, pinned) = channel().await;
    channels.push(pinned);
    use Channel::{Pull, Push};
    assert_eq!(channels, [Push, Pull, Pull, Push, Pull]);
    assert_eq!(w.store.pull_authors(UserId(0), 9).await.unwrap(), [(ann, newest)]);
    assert_eq!(w.store.pull_authors(ann, 9).await.unwrap(), []);
    let state = w.store.author(ann).await.unwrap().expect("made above");
    assert_eq!((state.followers, state.heat.hot, state.heat.pin), (1, false, Some(Pull)));
}

#[tokio::test]
async fn a_removed_post_is_gone_and_its_likes_do_no_harm() {
    let w = World::new();
    let (ann, bob) = (w.user("ann").await, w.user("bob").await);
    let (kept, removed) = (w.post(bob, "kept").await, w.post(bob, "removed").await);
    w.done(ann, Command::Like { post: kept }).await;
    w.done(ann, Command::Like { post: removed }).await;
    w.done(bob, Command::Remove { post: removed }).await;
    assert_eq!(w.rejected(bob, Command::Remove { post: removed }).await, Rejection::UnknownPost);
    assert_eq!(w.store.likes(ann, 9).await.unwrap(), [kept]);
    assert_eq!(w.store.liked(ann, &[removed, kept]).await.unwrap(), [kept]);
    assert_eq!(w.store.posts(&[removed]).await.unwrap(), [None]);
    assert_eq!(w.store.posts_by(&[bob], PostId::MAX, 9).await.unwrap(), [[kept]]);
    let before = w.events().await;
    w.done(ann, Command::Unlike { post: removed }).await;
    assert_eq!(w.events().await, before);
    w.done(ann, Command::Unlike { post: kept }).await;
    assert_eq!(w.events().await.last(), Some(&Event::Unliked { user: ann, post: kept, likes: 0 }));
    assert!(w.post(bob, "later").await > removed, "an id is not given twice");
}

#[tokio::test]
async fn a_key_gives_the_same_answer_for_a_day_and_no_other_request_may_use_it() {
    let w = World::new();
    let ann = w.user("ann").await;
    let request = w.request(ann, Command::Publish { text: "once".into() });
    assert_eq!(w.store.settled(&request).await, Ok(None));
    let first = w.store.commit(&request).await.unwrap();
    w.pass_ms(1_000);
    let again = w.store.commit(&request).await.unwrap();
    assert_eq!((first.replayed, again.replayed, &again.outcome), (false, true, &first.outcome));
    assert_eq!(w.store.settled(&request).await, Ok(Some(again)));
    let mut other = request.clone();
    other.key.fingerprint = [1; 16];
    assert_eq!(w.store.commit(&other).await, Err(Rejection::KeyReused.into()));
    assert_eq!(w.store.settled(&other).await, Err(Rejection::KeyReused.into()));

    w.pass_ms(IDEMPOTENCY_TTL.as_millis() as u64);
    assert_eq!(w.store.settled(&request).await, Ok(None));
    assert!(!w.store.commit(&other).await.unwrap().replayed, "an expired key is free");
    assert_eq!(w.events().await.len(), 2);
}

#[tokio::test]
async fn authors_of_one_shard_never_get_the_same_id_though_the_clock_stands_still() {
    let w = World::new();
    let first = UserId::new(Millis(START_MS), 5, 0);
    let authors: Vec<_> =
        (0..64).map(|n| ImportedUser { id: UserId(first.0 + n), handle: format!("u{n}").parse().unwrap() }).collect();
    w.store.import_users(&authors).await.unwrap();
    let taken = ImportedPost { id: PostId::new(Millis(START_MS), 5, 1), author: first, text: "x".into() };
    w.store.import_posts(std::slice::from_ref(&taken)).await.unwrap();
    let mut ids = BTreeSet::from([taken.id]);
    for author in authors.iter().rev().chain(&authors) {
        assert!(ids.insert(w.post(author.id, "x").await), "two posts with one id");
    }
}

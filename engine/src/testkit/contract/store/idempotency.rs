//! A key names a request: committed once, told again, refused for another (law 7).

use std::sync::Arc;

use super::world::World;
use crate::model::{Command, Committed, Outcome, PostId, Rejection, Request};
use crate::ports::{CommitError, Store};

fn publish() -> Command {
    Command::Publish { text: "once".into() }
}

/// Commits and returns the id of the post that is told, and whether it is a replay.
async fn posted(world: &World, request: &Request) -> (PostId, bool) {
    match world.store.commit(request).await.expect("the post is committed") {
        Committed { outcome: Outcome::Posted { post, .. }, replayed } => (post.id, replayed),
        other => panic!("a publish came to {other:?}"),
    }
}

async fn count_of_events(world: &World) -> usize {
    world.store.number_events(100).await.expect("the store numbers").len()
}

pub(super) async fn a_key_commits_once_and_gives_its_outcome_again(store: Arc<dyn Store>) {
    let (mut world, [ann]) = World::with_users(store, ["ann"]).await;
    let request = world.request(ann, publish());
    let first = world.store.commit(&request).await.expect("the post is committed");
    assert!(!first.replayed);
    for _ in 0..3 {
        let again = world.store.commit(&request).await.expect("the outcome is told again");
        assert_eq!(again, Committed { outcome: first.outcome.clone(), replayed: true });
    }
    let posts = world.store.posts_by(&[ann], PostId::MAX, 9).await.expect("the store reads");
    assert_eq!(posts[0].len(), 1);
    assert_eq!(count_of_events(&world).await, 1);
    // Every kind of outcome is kept.
    let request = world.request(ann, Command::Pin { author: ann, pin: Some(crate::model::Channel::Pull) });
    let first = world.store.commit(&request).await.expect("the pin is committed");
    let again = world.store.commit(&request).await.expect("the outcome is told again");
    assert_eq!((again.outcome, again.replayed), (first.outcome, true));
}

pub(super) async fn a_key_used_for_another_request_is_refused(store: Arc<dyn Store>) {
    let (mut world, [ann]) = World::with_users(store, ["ann"]).await;
    let request = world.request(ann, publish());
    let (post, _) = posted(&world, &request).await;
    let mut other = request.clone();
    other.key.fingerprint = [2; 16];
    other.command = Command::Remove { post };
    let reused = Err(CommitError::Rejected(Rejection::KeyReused));
    assert_eq!(world.store.commit(&other).await, reused);
    assert_eq!(world.store.settled(&other).await.map(|_| ()), reused.map(|_: Committed| ()));
    assert!(world.store.posts(&[post]).await.expect("the store reads")[0].is_some(), "nothing was removed");
    assert_eq!(posted(&world, &request).await, (post, true));
}

pub(super) async fn a_key_belongs_to_its_actor(store: Arc<dyn Store>) {
    let (mut world, [ann, ben]) = World::with_users(store, ["ann", "ben"]).await;
    let request = world.request(ann, publish());
    let (post, _) = posted(&world, &request).await;
    let mut same_key = Request { actor: ben, ..request };
    same_key.key.fingerprint = [2; 16];
    let (other, replayed) = posted(&world, &same_key).await;
    assert!(other != post && !replayed);
}

pub(super) async fn a_refused_command_leaves_its_key_free(store: Arc<dyn Store>) {
    let (mut world, [ann, ben]) = World::with_users(store, ["ann", "ben"]).await;
    world.done(ann, Command::Block { user: ben }).await;
    let request = world.request(ann, Command::Follow { user: ben, limit: 0 });
    for _ in 0..2 {
        let refused = world.store.commit(&request).await;
        assert_eq!(refused, Err(CommitError::Rejected(Rejection::Blocked)));
    }
    assert_eq!(world.store.settled(&request).await, Ok(None));
    world.done(ann, Command::Unblock { user: ben }).await;
    let committed = world.store.commit(&request).await;
    assert_eq!(committed, Ok(Committed { outcome: Outcome::Done, replayed: false }));
}

pub(super) async fn the_same_key_twice_at_the_same_time_commits_once(store: Arc<dyn Store>) {
    let (mut world, [ann]) = World::with_users(store, ["ann"]).await;
    for round in 1..=20 {
        let request = world.request(ann, publish());
        let attempts = (0..4).map(|_| {
            let (store, request) = (world.store.clone(), request.clone());
            tokio::spawn(async move { store.commit(&request).await })
        });
        let mut fresh = 0;
        let mut outcomes = Vec::new();
        for attempt in futures::future::join_all(attempts).await {
            match attempt.expect("a commit does not panic") {
                Ok(committed) => {
                    fresh += usize::from(!committed.replayed);
                    outcomes.push(committed.outcome);
                }
                Err(CommitError::Rejected(Rejection::KeyInFlight)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(fresh, 1, "one attempt commits");
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]));
        let posts = world.store.posts_by(&[ann], PostId::MAX, 99).await.expect("the store reads");
        assert_eq!(posts[0].len(), round);
    }
    assert_eq!(count_of_events(&world).await, 20);
}

pub(super) async fn a_settled_request_tells_its_outcome(store: Arc<dyn Store>) {
    let (mut world, [ann, ben]) = World::with_users(store, ["ann", "ben"]).await;
    for command in [publish(), Command::Follow { user: ben, limit: 0 }] {
        let request = world.request(ann, command);
        let committed = world.store.commit(&request).await.expect("the command is committed");
        let settled = world.store.settled(&request).await.expect("the key is looked up");
        assert_eq!(settled.map(|settled| settled.outcome), Some(committed.outcome));
    }
}

pub(super) async fn what_is_settled_as_never_may_be_tried_again(store: Arc<dyn Store>) {
    let (mut world, [ann]) = World::with_users(store, ["ann"]).await;
    let request = world.request(ann, publish());
    assert_eq!(world.store.settled(&request).await, Ok(None));
    assert!(!posted(&world, &request).await.1);
    let settled = world.store.settled(&request).await.expect("the key is looked up");
    assert!(settled.is_some());
}

//! Commands at the same time: whatever the order they take, the rules hold in it.

use std::sync::Arc;

use futures::future::join_all;

use super::world::World;
use crate::model::{Command, Outcome, PostId, Request, UserId};
use crate::ports::{CommitError, Store, UserList};

const WRITERS: usize = 8;

/// Commits all of them at the same time, whether they are refused or not.
async fn commit_together(store: &Arc<dyn Store>, requests: Vec<Request>) -> Vec<Outcome> {
    let commits = requests.into_iter().map(|request| {
        let store = store.clone();
        tokio::spawn(async move { store.commit(&request).await })
    });
    let mut outcomes = Vec::new();
    for committed in join_all(commits).await {
        match committed.expect("a commit does not panic") {
            Ok(committed) => outcomes.push(committed.outcome),
            Err(CommitError::Rejected(_)) => {}
            Err(CommitError::Store(error)) => panic!("{error}"),
        }
    }
    outcomes
}

async fn crowd(store: Arc<dyn Store>) -> (World, Vec<UserId>) {
    let mut world = World::new(store);
    let mut users = Vec::new();
    for n in 0..WRITERS {
        users.push(world.user(&format!("user{n}")).await);
    }
    (world, users)
}

pub(super) async fn a_follow_and_a_block_of_one_pair_never_both_stand(store: Arc<dyn Store>) {
    let (mut world, [ann, ben]) = World::with_users(store, ["ann", "ben"]).await;
    for round in 0..20 {
        let block = world.request(ann, Command::Block { user: ben });
        let mut requests = vec![
            world.request(ben, Command::Follow { user: ann, limit: 0 }),
            block,
            world.request(ann, Command::Follow { user: ben, limit: 0 }),
        ];
        requests.rotate_left(round % 3);
        let _ = commit_together(&world.store, requests).await;
        let view = world.store.view(ann).await.expect("the store gives a view");
        assert_eq!(*view.blocks, [ben], "nothing stops the block");
        for user in [ann, ben] {
            assert!(world.list(user, UserList::Following, 9).await.is_empty(), "the block ends both follows");
            assert!(world.list(user, UserList::Followers, 9).await.is_empty());
        }
        let unblock = world.request(ann, Command::Unblock { user: ben });
        let _ = commit_together(&world.store, vec![unblock]).await;
    }
    let counts = world.store.users(&[ann, ben]).await.expect("the store reads");
    assert!(counts.into_iter().flatten().all(|user| (user.followers, user.following) == (0, 0)));
}

pub(super) async fn likes_and_follows_all_count(store: Arc<dyn Store>) {
    let (mut world, users) = crowd(store).await;
    let ann = world.user("ann").await;
    let post = world.post(ann).await;
    let mut requests = Vec::new();
    for &user in &users {
        requests.push(world.request(user, Command::Like { post }));
        requests.push(world.request(user, Command::Follow { user: ann, limit: 0 }));
        requests.push(world.request(user, Command::Like { post }));
    }
    assert_eq!(commit_together(&world.store, requests).await.len(), 3 * WRITERS);
    let posts = world.store.posts(&[post]).await.expect("the store reads");
    assert_eq!(posts[0].as_ref().map(|post| post.likes), Some(WRITERS as u64));
    let counts = world.store.users(&[ann]).await.expect("the store reads");
    assert_eq!(counts[0].as_ref().map(|user| user.followers), Some(WRITERS as u64));
    assert_eq!(world.store.number_events(100).await.expect("the store numbers").len(), 1 + 2 * WRITERS);
}

pub(super) async fn posts_have_different_ids_though_they_share_a_millisecond(store: Arc<dyn Store>) {
    let (mut world, users) = crowd(store).await;
    let mut requests = Vec::new();
    for n in 0..20 {
        for &user in &users {
            requests.push(world.request(user, Command::Publish { text: format!("number {n}").into() }));
        }
    }
    let outcomes = commit_together(&world.store, requests).await;
    let mut ids: Vec<PostId> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Posted { post, .. } => post.id,
            other => panic!("a publish came to {other:?}"),
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 20 * WRITERS);
    for posts in world.store.posts_by(&users, PostId::MAX, 99).await.expect("the store reads") {
        assert_eq!(posts.len(), 20);
    }
}

pub(super) async fn a_limit_of_follows_is_never_passed(store: Arc<dyn Store>) {
    let (mut world, users) = crowd(store).await;
    let ann = world.user("ann").await;
    let requests = users.iter().map(|&user| world.request(ann, Command::Follow { user, limit: 3 })).collect();
    assert_eq!(commit_together(&world.store, requests).await.len(), 3);
    assert_eq!(world.list(ann, UserList::Following, 9).await.len(), 3);
}

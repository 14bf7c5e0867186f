//! The rules of the commands, one by one, and that a following read sees what was acknowledged.

use std::sync::Arc;

use super::world::World;
use crate::model::{Command, Handle, PostId, Rejection, UserId};
use crate::ports::{Store, UserList};

const UNKNOWN_USER: UserId = UserId(77);
const UNKNOWN_POST: PostId = PostId(78);

pub(super) async fn users_are_made_once_and_found(store: Arc<dyn Store>) {
    let ann: Handle = "ann".parse().expect("a valid handle");
    let ben: Handle = "ben".parse().expect("a valid handle");
    assert_eq!(store.has_users().await, Ok(false));
    let made = store.make_user(&ann, "Ann").await.expect("the user is made");
    assert_eq!((&made.card.handle, &*made.card.name, made.followers, made.following), (&ann, "Ann", 0, 0));
    let again = store.make_user(&ann, "Another").await.expect("the user is found");
    assert_eq!(again, made, "a handle is one user");
    assert_eq!(store.has_users().await, Ok(true));
    let other = store.make_user(&ben, "Ben").await.expect("the user is made");
    assert_ne!(other.card.id, made.card.id);
    let users = store.users(&[other.card.id, UNKNOWN_USER, made.card.id]).await;
    assert_eq!(users, Ok(vec![Some(other), None, Some(made.clone())]));
    assert_eq!(store.user_by_handle(&ann).await, Ok(Some(made)));
    assert_eq!(store.user_by_handle(&"cid".parse().expect("a valid handle")).await, Ok(None));
    assert_eq!(store.users(&[]).await, Ok(vec![]));
}

pub(super) async fn all_users_are_told_once_in_any_pages(store: Arc<dyn Store>) {
    let mut world = World::new(store);
    for n in 0..30 {
        world.user(&format!("user{n}")).await;
    }
    for limit in [1, 7, 30, 99] {
        let mut told: Vec<UserId> = Vec::new();
        loop {
            let after = told.last().copied().unwrap_or_default();
            let page = world.store.all_users(after, limit).await.expect("the store lists");
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            told.extend(page);
        }
        told.sort_unstable();
        assert_eq!(told, world.truth.user_ids(), "in pages of {limit}");
    }
}

pub(super) async fn posts_are_written_read_and_removed(store: Arc<dyn Store>) {
    let (mut world, [ann]) = World::with_users(store, ["ann"]).await;
    let (first, second) = (world.post(ann).await, world.post(ann).await);
    let posts = world.store.posts(&[second, UNKNOWN_POST, first]).await;
    assert_eq!(posts, Ok(vec![world.truth.post(second), None, world.truth.post(first)]));
    assert_eq!(world.store.posts_by(&[ann], PostId::MAX, 9).await, Ok(vec![vec![second, first]]));
    world.done(ann, Command::Remove { post: second }).await;
    assert_eq!(world.store.posts(&[second]).await, Ok(vec![None]));
    assert_eq!(world.store.posts_by(&[ann], PostId::MAX, 9).await, Ok(vec![vec![first]]));
    assert_eq!(world.home(ann, true, 9).await, [first]);
    assert_eq!(world.run(ann, Command::Remove { post: second }).await, Err(Rejection::UnknownPost));
    assert_eq!(world.run(ann, Command::Like { post: second }).await, Err(Rejection::UnknownPost));
}

pub(super) async fn a_post_is_removed_by_its_author_only(store: Arc<dyn Store>) {
    let (mut world, [ann, ben]) = World::with_users(store, ["ann", "ben"]).await;
    let post = world.post(ann).await;
    assert_eq!(world.run(ben, Command::Remove { post }).await, Err(Rejection::NotAuthor));
    assert_eq!(world.run(ben, Command::Remove { post: UNKNOWN_POST }).await, Err(Rejection::UnknownPost));
    assert_eq!(world.store.posts(&[post]).await, Ok(vec![world.truth.post(post)]));
    world.done(ann, Command::Remove { post }).await;
}

pub(super) async fn likes_count_once(store: Arc<dyn Store>) {
    let (mut world, [ann, ben]) = World::with_users(store, ["ann", "ben"]).await;
    let posts = [world.post(ann).await, world.post(ben).await, world.post(ann).await];
    for user in [ann, ben, ben] {
        world.done(user, Command::Like { post: posts[0] }).await;
    }
    world.done(ben, Command::Like { post: posts[2] }).await;
    assert_eq!(world.truth.likes(posts[0]), 2);
    assert_eq!(world.store.posts(&[posts[0]]).await, Ok(vec![world.truth.post(posts[0])]));
    assert_eq!(world.store.likes(ben, 9).await, Ok(vec![posts[2], posts[0]]));
    assert_eq!(world.store.likes(ben, 1).await, Ok(vec![posts[2]]));
    assert_eq!(world.store.liked(ben, &posts).await, Ok(vec![posts[0], posts[2]]));
    assert_eq!(world.store.liked(ann, &[posts[2], posts[0]]).await, Ok(vec![posts[0]]));
    for _ in 0..2 {
        world.done(ben, Command::Unlike { post: posts[0] }).await;
        assert_eq!(world.store.posts(&[posts[0]]).await, Ok(vec![world.truth.post(posts[0])]));
    }
    assert_eq!(world.store.likes(ben, 9).await, Ok(vec![posts[2]]));
    assert_eq!(world.run(ann, Command::Like { post: UNKNOWN_POST }).await, Err(Rejection::UnknownPost));
}

pub(super) async fn follows_reach_both_lists_once(store: Arc<dyn Store>) {
    let (mut world, [ann, ben, cid]) = World::with_users(store, ["ann", "ben", "cid"]).await;
    for followee in [ben, ben, cid] {
        world.follow(ann, followee).await;
    }
    world.follow(ben, cid).await;
    assert_eq!(world.list(ann, UserList::Following, 1).await, world.truth.following(ann));
    assert_eq!(world.list(cid, UserList::Followers, 1).await, world.truth.followers(cid));
    let counts = world.store.users(&[ann, cid]).await.expect("the store reads");
    let counts: Vec<_> = counts.into_iter().flatten().map(|user| (user.followers, user.following)).collect();
    assert_eq!(counts, [(0, 2), (2, 0)]);
    for _ in 0..2 {
        world.done(ann, Command::Unfollow { user: cid }).await;
        assert_eq!(world.list(cid, UserList::Followers, 9).await, [ben]);
    }
    let unknown = world.run(ann, Command::Follow { user: UNKNOWN_USER, limit: 0 }).await;
    assert_eq!(unknown, Err(Rejection::UnknownUser));
}

pub(super) async fn nobody_turns_against_themselves(store: Arc<dyn Store>) {
    let (mut world, [ann]) = World::with_users(store, ["ann"]).await;
    for command in [Command::Follow { user: ann, limit: 0 }, Command::Mute { user: ann }, Command::Block { user: ann }]
    {
        assert_eq!(world.run(ann, command).await, Err(Rejection::Oneself));
    }
    for command in [Command::Mute { user: UNKNOWN_USER }, Command::Block { user: UNKNOWN_USER }] {
        assert_eq!(world.run(ann, command).await, Err(Rejection::UnknownUser));
    }
}

pub(super) async fn a_limit_stops_new_follows_only(store: Arc<dyn Store>) {
    let (mut world, [ann, ben, cid, dan]) = World::with_users(store, ["ann", "ben", "cid", "dan"]).await;
    let follow = |user| Command::Follow { user, limit: 2 };
    world.done(ann, follow(ben)).await;
    world.done(ann, follow(cid)).await;
    assert_eq!(world.run(ann, follow(dan)).await, Err(Rejection::TooManyFollows));
    world.done(ann, follow(ben)).await;
    assert_eq!(world.list(ann, UserList::Following, 9).await, world.truth.following(ann));
    world.done(ann, Command::Unfollow { user: ben }).await;
    world.done(ann, follow(dan)).await;
}

pub(super) async fn a_block_ends_both_follows_and_forbids_new_ones(store: Arc<dyn Store>) {
    let (mut world, [ann, ben, cid]) = World::with_users(store, ["ann", "ben", "cid"]).await;
    for (follower, followee) in [(ann, ben), (ben, ann), (cid, ann), (ann, cid)] {
        world.follow(follower, followee).await;
    }
    let post = world.post(ben).await;
    for _ in 0..2 {
        world.done(ann, Command::Block { user: ben }).await;
    }
    assert_eq!(world.list(ann, UserList::Following, 9).await, [cid]);
    assert_eq!(world.list(ann, UserList::Followers, 9).await, [cid]);
    assert_eq!(world.list(ben, UserList::Followers, 9).await, []);
    assert_eq!(world.list(ann, UserList::Blocks, 9).await, [ben]);
    let counts = world.store.users(&[ann, ben]).await.expect("the store reads");
    let counts: Vec<_> = counts.into_iter().flatten().map(|user| (user.followers, user.following)).collect();
    assert_eq!(counts, [(1, 1), (0, 0)]);
    let views = (world.store.view(ann).await.expect("a view"), world.store.view(ben).await.expect("a view"));
    assert_eq!((&*views.0.blocks, &*views.0.blocked_by), (&[ben][..], &[][..]));
    assert_eq!((&*views.1.blocks, &*views.1.blocked_by), (&[][..], &[ann][..]));
    assert_eq!(world.run(ann, Command::Follow { user: ben, limit: 0 }).await, Err(Rejection::Blocked));
    assert_eq!(world.run(ann, Command::Like { post }).await, Err(Rejection::UnknownPost));
    assert_eq!(world.run(ann, Command::Remove { post }).await, Err(Rejection::UnknownPost));
    world.done(ann, Command::Unblock { user: ben }).await;
    assert_eq!(world.list(ann, UserList::Following, 9).await, [cid], "follows do not come back");
    world.follow(ben, ann).await;
}

pub(super) async fn to_the_blocked_the_blocker_is_absent(store: Arc<dyn Store>) {
    let (mut world, [ann, ben]) = World::with_users(store, ["ann", "ben"]).await;
    let post = world.post(ann).await;
    world.done(ben, Command::Like { post }).await;
    world.done(ben, Command::Mute { user: ann }).await;
    world.done(ann, Command::Block { user: ben }).await;
    for command in [Command::Follow { user: ann, limit: 0 }, Command::Mute { user: ann }, Command::Block { user: ann }]
    {
        assert_eq!(world.run(ben, command).await, Err(Rejection::UnknownUser));
    }
    for command in [Command::Like { post }, Command::Remove { post }] {
        assert_eq!(world.run(ben, command).await, Err(Rejection::UnknownPost));
    }
    for command in [Command::Unfollow { user: ann }, Command::Unmute { user: ann }, Command::Unlike { post }] {
        world.done(ben, command).await;
    }
    // Only ann's unblock ends ann's block.
    world.done(ben, Command::Unblock { user: ann }).await;
    assert_eq!(world.run(ben, Command::Like { post }).await, Err(Rejection::UnknownPost));
    world.done(ann, Command::Unblock { user: ben }).await;
    world.done(ben, Command::Like { post }).await;
}

pub(super) async fn ending_what_never_was_is_fine(store: Arc<dyn Store>) {
    let (mut world, [ann, ben]) = World::with_users(store, ["ann", "ben"]).await;
    for user in [ben, UNKNOWN_USER, ann] {
        for command in [Command::Unfollow { user }, Command::Unmute { user }, Command::Unblock { user }] {
            world.done(ann, command).await;
        }
    }
    world.done(ann, Command::Unlike { post: UNKNOWN_POST }).await;
    world.check_events().await;
}

pub(super) async fn an_authors_ids_rise(store: Arc<dyn Store>) {
    let (mut world, [ann, ben]) = World::with_users(store, ["ann", "ben"]).await;
    // The truth asserts that each post is above the author's last; here also beyond a removal.
    let mut last = PostId::MIN;
    for n in 0..60 {
        let post = world.post(if n % 3 == 0 { ben } else { ann }).await;
        if n % 3 != 0 {
            assert!(post > last);
            assert_eq!(post.shard(), ann.shard());
            last = post;
            if n % 4 == 0 {
                world.done(ann, Command::Remove { post }).await;
            }
        }
    }
}

pub(super) async fn pages_of_posts_join_without_gap_or_repetition(store: Arc<dyn Store>) {
    let (mut world, [ann, ben, cid]) = World::with_users(store, ["ann", "ben", "cid"]).await;
    world.follow(ann, ben).await;
    for author in [ann, ben, cid, ben, ben, ann, cid, ben, ann].repeat(4) {
        world.post(author).await;
    }
    for limit in [1, 2, 5, 100] {
        assert_eq!(world.home(ann, true, limit).await, world.truth.home_all(ann));
        assert_eq!(world.home(ann, false, limit).await, world.truth.home(ann));
    }
    let middle = world.truth.home_all(ann)[10];
    let below = |posts: Vec<PostId>| posts.into_iter().filter(|&post| post < middle).take(3).collect::<Vec<_>>();
    let pages = [cid, UNKNOWN_USER, ben, cid].map(|author| below(world.truth.posts_by(author)));
    assert_eq!(world.store.posts_by(&[cid, UNKNOWN_USER, ben, cid], middle, 3).await, Ok(pages.to_vec()));
    world.done(ann, Command::Mute { user: ben }).await;
    assert_eq!(world.home(ann, true, 5).await, world.truth.home_all(ann));
    assert_eq!(world.home(ann, false, 5).await, world.truth.posts_by(ann));
}

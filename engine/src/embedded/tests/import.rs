//! Bulk import: right counters and channels, and nothing from a repeated batch.

use super::*;
use crate::model::Millis;
use crate::ports::{ImportedPost, ImportedUser, StoreError};

fn id(n: u64) -> UserId {
    UserId::new(Millis(START_MS - 1_000_000), n as u16, 0)
}

fn users(count: u64) -> Vec<ImportedUser> {
    (1..=count).map(|n| ImportedUser { id: id(n), handle: format!("u{n}").parse().unwrap() }).collect()
}

fn post(author: u64, second: u64) -> ImportedPost {
    let at = Millis(START_MS - 900_000 + second * 1_000);
    ImportedPost { id: PostId::new(at, id(author).shard(), 0), author: id(author), text: "imported".into() }
}

#[tokio::test]
async fn repeating_a_batch_changes_nothing() {
    let w = World::new();
    w.thresholds(3, 2).await;
    let epoch = w.store.epoch(None).await.unwrap();
    w.store.save_checkpoints(&[(id(1), "old".into())]).await.unwrap();
    let follows: Vec<_> = (2..=5).map(|n| (id(n), vec![id(1), id(n), id(6)])).take(4).collect();
    let posts: Vec<_> = (0..20).map(|n| post(n % 5 + 1, n)).collect();
    let mut states = Vec::new();
    for _ in 0..2 {
        w.store.import_users(&users(6)).await.unwrap();
        w.store.import_follows(&follows).await.unwrap();
        w.store.import_posts(&posts).await.unwrap();
        let ids: Vec<_> = (1..=6).map(id).collect();
        states.push((
            w.store.users(&ids).await.unwrap(),
            w.store.posts_by(&ids, PostId::MAX, 99).await.unwrap(),
            w.store.pull_authors(UserId(0), 9).await.unwrap(),
            w.store.home_all(id(2), PostId::MAX, 99).await.unwrap(),
        ));
    }
    assert_eq!(states[0], states[1]);
    let (users, _, pull, home) = &states[0];
    let counts: Vec<_> = users.iter().flatten().map(|user| (user.followers, user.following)).collect();
    assert_eq!(counts, [(4, 0), (0, 2), (0, 2), (0, 2), (0, 2), (4, 0)], "follows of oneself are dropped");
    assert_eq!(*pull, [(id(1), posts[15].id)], "an author over the threshold posts on pull");
    assert_eq!(home.len(), 8);
    assert_eq!(w.events().await.len(), 1, "an import makes no events");

    let finished = w.store.finish_import().await.unwrap();
    assert_ne!(finished, epoch);
    let w = w.reopen();
    assert_eq!(w.store.epoch(None).await, Ok(finished));
    assert_eq!(w.store.checkpoint(id(1)).await, Ok(None));
    assert_eq!(w.store.home_all(id(2), PostId::MAX, 99).await.as_ref(), Ok(home));
    w.time.store(START_MS - 899_000, Ordering::Relaxed);
    assert!(w.post(id(1), "now").await > posts[15].id, "an author's ids rise over the imported ones");
}

#[tokio::test]
async fn an_import_that_does_not_fit_is_refused_whole() {
    let w = World::new();
    let ann = w.user("ann").await;
    let foreign = ImportedUser { id: id(9), handle: "ann".parse().unwrap() };
    let mut batch = users(2);
    batch.push(foreign);
    assert!(matches!(w.store.import_users(&batch).await, Err(StoreError::Unavailable(_))));
    assert_eq!(w.store.users(&[id(1), id(9)]).await, Ok(vec![None, None]));
    assert_eq!(w.user("ann").await, ann);
    assert!(w.store.import_follows(&[(ann, vec![id(1)])]).await.is_err());
    assert!(w.store.import_posts(&[post(1, 1)]).await.is_err());
    assert_eq!(w.store.view(ann).await.unwrap().follows.len(), 0);
}

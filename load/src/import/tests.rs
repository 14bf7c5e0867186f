//! Imports into an embedded store: whole, resumed, and refused.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tributary_engine::embedded::EmbeddedStore;
use tributary_engine::model::{AuthorState, Post, PostId};
use tributary_engine::ports::Clock;

use super::*;
use crate::world::made::{Recipe, make};
use crate::world::{Origin, PostRecord, WorldWriter};

const SMALL: Batches = Batches { users: 70, follows: 900, posts: 300 };

fn world(folder: &Path, seed: u64) -> World {
    make(Recipe { users: 400, seed, mean_follows: Some(20.0) }, folder).unwrap();
    World::open(folder).unwrap()
}

async fn store(folder: &Path) -> Arc<EmbeddedStore> {
    let store = EmbeddedStore::open(&folder.join("store"), Clock::System).unwrap();
    let settings =
        tributary_engine::model::TuningSettings { enter_followers: 30, leave_followers: 25, ..Default::default() };
    tune(&store, settings).await;
    store
}

async fn tune(store: &EmbeddedStore, settings: tributary_engine::model::TuningSettings) {
    use tributary_engine::model::{ChangedBy, Command, CommandKey, Request};
    let command = Command::Tune { expected: None, settings, by: ChangedBy::Config };
    let key = CommandKey { key: b"tune".as_slice().into(), fingerprint: [0; 16] };
    store.commit(&Request { actor: UserId(0), key, command }).await.unwrap();
}

/// Everything an import puts into a store.
type Content = (Vec<AuthorState>, Vec<Vec<UserId>>, Vec<Vec<Option<Post>>>, Vec<(UserId, PostId)>);

async fn content(store: &dyn Store, world: &World) -> Content {
    let (mut authors, mut follows, mut posts) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..world.summary().users.count as u32 {
        let user = user_id(index);
        authors.push(store.author(user).await.unwrap().unwrap());
        follows.push(store.view(user).await.unwrap().follows.iter().map(|follow| follow.followee).collect());
        let ids = store.posts_by(&[user], PostId::MAX, 100_000).await.unwrap().remove(0);
        posts.push(store.posts(&ids).await.unwrap());
    }
    (authors, follows, posts, store.pull_authors(UserId(0), 100_000).await.unwrap())
}

async fn import_whole(store: &dyn Store, world: &World) -> Result<Imported> {
    import(store, world, SMALL, &mut || false).await
}

#[tokio::test]
async fn an_imported_store_holds_the_world() {
    let folder = TempDir::new().unwrap();
    let world = world(&folder.path().join("world"), 1);
    let store = store(folder.path()).await;
    let imported = import_whole(&*store, &world).await.unwrap();
    let (authors, follows, posts, pull) = content(&*store, &world).await;

    let (users, groups, records) = world.contents().unwrap();
    assert_eq!((imported.users, imported.posts), (users.len() as u64, records.len() as u64));
    for (author, number) in authors.iter().zip(users) {
        assert_eq!(author.card.handle.as_str(), format!("u{number}"));
    }
    let mut expected = vec![Vec::new(); follows.len()];
    for (follower, followees) in groups {
        expected[follower as usize] = followees.into_iter().map(user_id).collect();
    }
    assert_eq!(follows, expected);

    let mut ids = PostIds::default();
    let mut expected = vec![Vec::new(); posts.len()];
    for post in records {
        expected[post.author as usize].insert(0, ids.next(post).unwrap());
    }
    for (posts, expected) in posts.iter().zip(&expected) {
        let posts: Vec<&Post> = posts.iter().map(|post| post.as_ref().unwrap()).collect();
        assert_eq!(posts.iter().map(|post| post.id).collect::<Vec<_>>(), *expected);
        assert!(posts.iter().all(|post| *post.text == *text(post.author.handle.as_str(), post.id)));
    }
    // Hot by the tuning that was in force, and therefore on pull.
    let hot: Vec<UserId> = authors
        .iter()
        .zip(&expected)
        .filter(|(author, posts)| author.followers >= 30 && !posts.is_empty())
        .map(|(author, _)| author.card.id)
        .collect();
    assert!(!hot.is_empty());
    assert_eq!(pull.iter().map(|(author, _)| *author).collect::<Vec<_>>(), hot);
}

#[tokio::test]
async fn an_import_interrupted_anywhere_goes_on_to_the_same_content() {
    let folder = TempDir::new().unwrap();
    let world = world(&folder.path().join("world"), 2);
    let whole = store(&folder.path().join("whole")).await;
    import_whole(&*whole, &world).await.unwrap();
    let expected = content(&*whole, &world).await;
    for stops_after in [1, 3, 8] {
        let store = store(&folder.path().join(format!("after{stops_after}"))).await;
        let mut runs = 0;
        let imported = loop {
            let mut batches = 0;
            let mut interrupted = || {
                batches += 1;
                batches == stops_after
            };
            runs += 1;
            match import(&*store, &world, SMALL, &mut interrupted).await {
                Ok(imported) => break imported,
                Err(error) => assert!(format!("{error:#}").contains("run it again to continue")),
            }
        };
        assert!(runs > 2 && imported.resumed > 0);
        assert_eq!(content(&*store, &world).await, expected);
    }
}

#[tokio::test]
async fn a_finished_import_is_not_done_again() {
    let folder = TempDir::new().unwrap();
    let world = world(&folder.path().join("world"), 3);
    let store = store(folder.path()).await;
    assert!(!import_whole(&*store, &world).await.unwrap().already);
    let epoch = store.epoch(None).await.unwrap();
    assert!(import_whole(&*store, &world).await.unwrap().already);
    assert_eq!(store.epoch(None).await.unwrap(), epoch);
}

#[tokio::test]
async fn another_world_or_other_users_are_refused() {
    let folder = TempDir::new().unwrap();
    let one = world(&folder.path().join("one"), 4);
    let other = world(&folder.path().join("other"), 5);
    let store = store(folder.path()).await;
    import(&*store, &one, SMALL, &mut || true).await.unwrap_err();
    let error = format!("{:#}", import_whole(&*store, &other).await.unwrap_err());
    assert!(error.contains("holds part of another world"), "{error}");
    import_whole(&*store, &one).await.unwrap();
    let error = format!("{:#}", import_whole(&*store, &other).await.unwrap_err());
    assert!(error.contains("holds another world"), "{error}");

    let lived_in = EmbeddedStore::open(&folder.path().join("lived_in"), Clock::System).unwrap();
    lived_in.make_user(&"ada".parse().unwrap(), "Ada").await.unwrap();
    let error = format!("{:#}", import_whole(&*lived_in, &one).await.unwrap_err());
    assert!(error.contains("already has users"), "{error}");
}

#[tokio::test]
async fn a_world_that_cannot_be_imported_whole_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("world");
    let mut writer = WorldWriter::create(&path).unwrap();
    (0..1_001).for_each(|number| writer.user(number).unwrap());
    // More posts than a second has milliseconds, by falling shards.
    (0..1_001).rev().for_each(|author| writer.post(PostRecord { second: 1_300_000_000, author }).unwrap());
    writer.finish(Origin::Made { seed: 0, mean_follows: None }).unwrap();
    let store = store(folder.path()).await;
    let error = format!("{:#}", import_whole(&*store, &World::open(&path).unwrap()).await.unwrap_err());
    assert!(error.contains("second 1300000000 has more posts"), "{error}");
    assert!(!store.has_users().await.unwrap());
}

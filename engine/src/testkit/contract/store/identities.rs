//! Who comes in through a sign-in provider: one user for each identity, any number of identities for a user.

use std::sync::Arc;

use futures::future::join_all;

use crate::limits::SUBJECT_BYTES;
use crate::model::{Handle, Identity, User, UserId};
use crate::ports::{Store, StoreError};

const UNKNOWN_USER: UserId = UserId(77);
const TOGETHER: usize = 8;

fn identity(provider: &str, subject: &str) -> Identity {
    Identity { provider: provider.into(), subject: subject.into() }
}

fn handles<const N: usize>(names: [&str; N]) -> Vec<Handle> {
    names.map(|name| name.parse().expect("a valid handle")).into()
}

async fn sign_in(store: &Arc<dyn Store>, who: &Identity, wished: &[Handle]) -> User {
    store.user_of_identity(who, wished, "A name").await.expect("the user is made or found")
}

pub(super) async fn an_identity_is_one_user_from_its_first_sight(store: Arc<dyn Store>) {
    let ann = identity("home", "ann");
    let made = store.user_of_identity(&ann, &handles(["ann"]), "Ann").await.expect("the user is made");
    assert_eq!((made.card.handle.as_str(), &*made.card.name, made.followers, made.following), ("ann", "Ann", 0, 0));
    let again = store.user_of_identity(&ann, &handles(["other"]), "Other").await;
    assert_eq!(again, Ok(made.clone()), "what it wishes later changes nothing");
    assert_eq!(store.users(&[made.card.id]).await, Ok(vec![Some(made.clone())]));
    assert_eq!(store.user_by_handle(&made.card.handle).await, Ok(Some(made.clone())));
    // The same letters, divided otherwise or of another provider, are somebody else; so is a long subject's neighbour.
    let (long, longer) = ("s".repeat(SUBJECT_BYTES - 1) + "a", "s".repeat(SUBJECT_BYTES - 1) + "b");
    let others =
        [("homea", "nn"), ("work", "ann"), ("home", "Ann"), ("home", "ann "), ("home", &long), ("home", &longer)];
    let mut ids = vec![made.card.id];
    for (n, (provider, subject)) in others.into_iter().enumerate() {
        ids.push(sign_in(&store, &identity(provider, subject), &handles([&format!("other{n}")])).await.card.id);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1 + others.len());
}

pub(super) async fn a_handle_that_is_taken_gives_way_to_the_next(store: Arc<dyn Store>) {
    let ann: Handle = "ann".parse().expect("a valid handle");
    let before = store.make_user(&ann, "Ann").await.expect("the user is made");
    let wished = handles(["ann", "ann2", "ann3"]);
    for (subject, handle) in [("a", "ann2"), ("b", "ann3"), ("a", "ann2")] {
        let user = sign_in(&store, &identity("home", subject), &wished).await;
        assert_eq!(user.card.handle.as_str(), handle);
        assert_ne!(user.card.id, before.card.id, "nobody becomes who has the handle already");
    }
    let last = identity("home", "c");
    let refused = store.user_of_identity(&last, &wished, "A name").await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(sign_in(&store, &last, &handles(["ann3", "cid"])).await.card.handle.as_str(), "cid");
    assert_eq!(store.user_by_handle(&ann).await, Ok(Some(before)));
}

pub(super) async fn an_identity_is_linked_to_one_user_at_the_most(store: Arc<dyn Store>) {
    let (home, work) = (identity("home", "ann"), identity("work", "ann"));
    let ann = sign_in(&store, &home, &handles(["ann"])).await;
    let ben = store.make_user(&handles(["ben"])[0], "Ben").await.expect("the user is made");
    assert_eq!(store.link_identity(&work, UNKNOWN_USER).await, Ok(None));
    assert_eq!(store.link_identity(&work, ann.card.id).await, Ok(Some(ann.clone())));
    assert_eq!(store.link_identity(&work, ann.card.id).await, Ok(Some(ann.clone())), "again is fine");
    for other in [ben.card.id, UNKNOWN_USER] {
        assert_eq!(store.link_identity(&work, other).await, Ok(Some(ann.clone())), "it stays whose it is");
    }
    assert_eq!(sign_in(&store, &work, &handles(["work"])).await, ann);
    assert_eq!(sign_in(&store, &home, &handles(["home"])).await, ann);
    assert_eq!(store.user_by_handle(&handles(["work"])[0]).await, Ok(None), "nobody is made besides");
}

pub(super) async fn first_sights_at_the_same_time_make_one_user_of_each_identity(store: Arc<dyn Store>) {
    // All wish for the same handles, and each identity comes several times.
    let wished: Vec<Handle> = (0..TOGETHER).map(|n| format!("ann{n}").parse().expect("a valid handle")).collect();
    let sights = (0..4 * TOGETHER).map(|n| {
        let (store, who, wished) = (store.clone(), identity("home", &(n % TOGETHER).to_string()), wished.clone());
        tokio::spawn(async move { (who.clone(), sign_in(&store, &who, &wished).await) })
    });
    let mut told: Vec<(Identity, UserId)> = Vec::new();
    for sight in join_all(sights).await {
        let (who, user) = sight.expect("a sign-in does not panic");
        told.push((who, user.card.id));
    }
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), TOGETHER, "each identity is one user");
    let mut users: Vec<UserId> = told.into_iter().map(|(_, user)| user).collect();
    users.sort_unstable();
    users.dedup();
    assert_eq!(users.len(), TOGETHER, "no two are the same user");
    assert_eq!(
        store.all_users(UserId::default(), 99).await.map(|users| users.len()),
        Ok(TOGETHER),
        "nobody else is made"
    );
}

//! Sessions: a token is spent once, a token that comes again ends its session, and there are never too many.

use std::sync::Arc;

use futures::future::join_all;

use super::world::World;
use crate::limits::SESSIONS_PER_USER;
use crate::model::{Digest, Millis, NewSession, Position, Refresh, Refreshed, SessionId, UserId};
use crate::ports::{Removable, Store};

/// After every test, before the end of PostgreSQL's time.
const LATER: Millis = Millis(32_503_680_000_000);
const LONG_AGO: Millis = Millis(1_000);

/// A digest like no other.
fn digest() -> Digest {
    let mut bytes = [0; 32];
    bytes.fill_with(|| fastrand::u8(..));
    Digest(bytes)
}

/// A session with its good token.
#[derive(Clone, Copy)]
struct Held {
    id: SessionId,
    token: Digest,
}

async fn begin_until(store: &Arc<dyn Store>, user: UserId, operator: bool, expires_at: Millis) -> Held {
    let held = Held { id: SessionId { user, family: digest() }, token: digest() };
    let session = NewSession { id: held.id, token: held.token, operator, expires_at };
    store.begin_session(&session).await.expect("the store begins it");
    held
}

async fn begin(store: &Arc<dyn Store>, user: UserId) -> Held {
    begin_until(store, user, false, LATER).await
}

async fn spend(store: &Arc<dyn Store>, id: SessionId, spent: Digest, next: Digest) -> Refreshed {
    let refresh = Refresh { id, spent, next, expires_at: LATER };
    store.refresh_session(&refresh).await.expect("the store refreshes")
}

/// Whether the session's token is good; it is spent for the next.
async fn lives(store: &Arc<dyn Store>, held: &mut Held) -> bool {
    let next = digest();
    let told = spend(store, held.id, held.token, next).await;
    held.token = next;
    matches!(told, Refreshed::Next { .. })
}

async fn remove(store: &Arc<dyn Store>, sessions_before: Millis) -> usize {
    let what = Removable { keys_before: Millis(0), events_to: Position::ZERO, sessions_before };
    let mut removed = 0;
    loop {
        let count = store.remove_old(what, 3).await.expect("the store removes");
        assert!(count <= 3);
        if count == 0 {
            return removed;
        }
        removed += count;
    }
}

/// Each token is good once, and gives the next.
///
/// # Panics
/// When one is not.
pub async fn each_token_is_good_once_and_gives_the_next(store: Arc<dyn Store>) {
    let (world, [ann, ben]) = World::with_users(store, ["ann", "ben"]).await;
    let store = &world.store;
    for (user, operator) in [(ann, true), (ann, false), (ben, true)] {
        let Held { id, mut token } = begin_until(store, user, operator, LATER).await;
        for _ in 0..5 {
            let next = digest();
            assert_eq!(spend(store, id, token, next).await, Refreshed::Next { operator });
            token = next;
        }
    }
}

pub(super) async fn a_token_that_comes_again_ends_its_session_and_no_other(store: Arc<dyn Store>) {
    let (world, [ann, ben]) = World::with_users(store, ["ann", "ben"]).await;
    let store = &world.store;
    for spendings in 1..4 {
        let (mut other, mut of_ben) = (begin(store, ann).await, begin(store, ben).await);
        let mut held = begin(store, ann).await;
        let first = held.token;
        for _ in 0..spendings {
            assert!(lives(store, &mut held).await);
        }
        assert_eq!(spend(store, held.id, first, digest()).await, Refreshed::Reused);
        assert_eq!(spend(store, held.id, held.token, digest()).await, Refreshed::Unknown, "the good one is gone too");
        assert_eq!(spend(store, held.id, first, digest()).await, Refreshed::Unknown);
        assert!(lives(store, &mut other).await && lives(store, &mut of_ben).await);
    }
}

pub(super) async fn what_is_not_known_is_not_refreshed(store: Arc<dyn Store>) {
    let (world, [ann, ben]) = World::with_users(store, ["ann", "ben"]).await;
    let store = &world.store;
    let mut held = begin(store, ann).await;
    let Held { id, token } = held;
    for id in [SessionId { user: ben, ..id }, SessionId { family: digest(), ..id }, SessionId { user: UserId(9), ..id }]
    {
        assert_eq!(spend(store, id, token, digest()).await, Refreshed::Unknown);
        store.end_session(&id).await.expect("ending what is not there is fine");
    }
    assert!(lives(store, &mut held).await);
    let expired = begin_until(store, ann, true, LONG_AGO).await;
    assert_eq!(spend(store, expired.id, expired.token, digest()).await, Refreshed::Unknown);
    assert_eq!(spend(store, expired.id, digest(), digest()).await, Refreshed::Unknown);
    // A refresh says anew when the session ends.
    let refresh = Refresh { id, spent: held.token, next: digest(), expires_at: LONG_AGO };
    assert_eq!(store.refresh_session(&refresh).await, Ok(Refreshed::Next { operator: false }));
    assert_eq!(spend(store, id, refresh.next, digest()).await, Refreshed::Unknown);
}

/// What made somebody an operator at the sign-in is asked for again in time.
pub(super) async fn an_operators_session_ends_when_it_was_to_end_as_it_began(store: Arc<dyn Store>) {
    let (world, [ann]) = World::with_users(store, ["ann"]).await;
    let store = &world.store;
    let sooner = Millis(LATER.0 - 1_000_000);
    let mut of_user = begin_until(store, ann, false, sooner).await;
    let mut of_operator = begin_until(store, ann, true, sooner).await;
    for _ in 0..3 {
        assert!(lives(store, &mut of_user).await && lives(store, &mut of_operator).await);
    }
    assert_eq!(remove(store, sooner).await, 0);
    assert_eq!(remove(store, LATER).await, 1);
    assert!(lives(store, &mut of_user).await && !lives(store, &mut of_operator).await);
}

pub(super) async fn an_ended_session_is_over(store: Arc<dyn Store>) {
    let (world, [ann]) = World::with_users(store, ["ann"]).await;
    let store = &world.store;
    let (held, mut other) = (begin(store, ann).await, begin(store, ann).await);
    for _ in 0..2 {
        store.end_session(&held.id).await.expect("the store ends it");
        assert_eq!(spend(store, held.id, held.token, digest()).await, Refreshed::Unknown);
    }
    assert!(lives(store, &mut other).await);
}

/// Law 7: a node that does not know what became of a call makes it again.
pub(super) async fn the_same_call_again_tells_what_became_of_the_first(store: Arc<dyn Store>) {
    let (world, [ann]) = World::with_users(store, ["ann"]).await;
    let store = &world.store;
    let held = begin_until(store, ann, true, LATER).await;
    let begun = NewSession { id: held.id, token: held.token, operator: true, expires_at: LATER };
    store.begin_session(&begun).await.expect("the store has begun it");
    let next = digest();
    for _ in 0..3 {
        assert_eq!(spend(store, held.id, held.token, next).await, Refreshed::Next { operator: true });
    }
    assert_eq!(spend(store, held.id, next, digest()).await, Refreshed::Next { operator: true }, "it was spent once");
    assert_eq!(spend(store, held.id, held.token, next).await, Refreshed::Reused, "and is no longer the good one");
}

pub(super) async fn of_many_who_spend_one_token_one_gets_its_next(store: Arc<dyn Store>) {
    const SPENDERS: usize = 8;
    let (world, [ann]) = World::with_users(store, ["ann"]).await;
    let store = &world.store;
    for _ in 0..20 {
        let mut other = begin(store, ann).await;
        let held = begin(store, ann).await;
        let spenders = (0..SPENDERS).map(|_| {
            let (store, next) = (store.clone(), digest());
            tokio::spawn(async move { (spend(&store, held.id, held.token, next).await, next) })
        });
        let told: Vec<_> = join_all(spenders).await.into_iter().map(|told| told.expect("it ends")).collect();
        let good: Vec<_> = told.iter().filter(|(told, _)| matches!(told, Refreshed::Next { .. })).collect();
        assert_eq!(good.len(), 1, "{told:?}");
        assert!(told.iter().any(|(told, _)| *told == Refreshed::Reused), "{told:?}");
        assert_eq!(spend(store, held.id, good[0].1, digest()).await, Refreshed::Unknown, "the session is over");
        assert!(lives(store, &mut other).await);
    }
}

/// How many of these are good.
async fn living(store: &Arc<dyn Store>, held: &mut [Held]) -> usize {
    let mut count = 0;
    for held in held {
        count += usize::from(lives(store, held).await);
    }
    count
}

pub(super) async fn a_user_has_a_bounded_number_of_sessions(store: Arc<dyn Store>) {
    let (world, [ann, ben]) = World::with_users(store, ["ann", "ben"]).await;
    let store = &world.store;
    let mut of_ben = begin_until(store, ben, false, Millis(LATER.0 - 1_000_000)).await;
    let mut held = Vec::new();
    for n in 0..SESSIONS_PER_USER as u64 {
        held.push(begin_until(store, ann, false, Millis(LATER.0 - 1_000 + n)).await);
    }
    // Refreshed last, and so the one that ends last.
    assert!(lives(store, &mut held[0]).await);
    for _ in 0..3 {
        let mut new = begin_until(store, ann, false, Millis(LATER.0 - 100)).await;
        assert!(lives(store, &mut new).await);
    }
    for oldest in &mut held[1..=3] {
        assert!(!lives(store, oldest).await, "it was refreshed longest ago");
    }
    assert!(lives(store, &mut held[0]).await);
    assert_eq!(living(store, &mut held[4..]).await, SESSIONS_PER_USER - 4);
    assert!(lives(store, &mut of_ben).await, "another's are not touched");
    // The newest stays, even where it ends first.
    let mut short = begin_until(store, ann, false, Millis(LATER.0 - 2_000)).await;
    assert!(lives(store, &mut short).await);
}

pub(super) async fn the_bound_of_sessions_holds_for_many_at_once(store: Arc<dyn Store>) {
    let (world, [ann]) = World::with_users(store, ["ann"]).await;
    let store = &world.store;
    let begun = (0..SESSIONS_PER_USER + 16).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { begin(&store, ann).await })
    });
    let mut held: Vec<Held> = join_all(begun).await.into_iter().map(|held| held.expect("it ends")).collect();
    assert_eq!(living(store, &mut held).await, SESSIONS_PER_USER);
}

pub(super) async fn sessions_that_have_ended_are_removed_and_others_kept(store: Arc<dyn Store>) {
    let (world, [ann, ben]) = World::with_users(store, ["ann", "ben"]).await;
    let store = &world.store;
    let mut living = Vec::new();
    for (n, user) in [ann, ben, ann, ben, ann].into_iter().enumerate() {
        begin_until(store, user, false, Millis(1_000 + n as u64)).await;
        living.push(begin(store, user).await);
    }
    assert_eq!(remove(store, Millis(1_000)).await, 0);
    assert_eq!(remove(store, Millis(1_004)).await, 4);
    assert_eq!(remove(store, Millis(1_005)).await, 1);
    for held in &mut living {
        assert!(lives(store, held).await);
    }
    // A refreshed session is no longer in its old place of the order.
    assert_eq!(remove(store, Millis(LATER.0)).await, 0);
    assert_eq!(remove(store, Millis(LATER.0 + 1)).await, 5);
    for held in &mut living {
        assert!(!lives(store, held).await);
    }
}

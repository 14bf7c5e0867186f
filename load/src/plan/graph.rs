//! Reading a graph into the ledger: from the folder of a world, or from a store, page by page.

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use rustc_hash::FxHashMap;
use tributary_engine::limits::RATE_POSTS;
use tributary_engine::model::{PostId, UserId};
use tributary_engine::ports::{Store, UserList};

use super::activity::Activity;
use super::costs::UnitCosts;
use super::ledger::Ledger;
use crate::progress::Progress;
use crate::world::World;

const DAY_S: f64 = 86_400.0;
/// Users of a page.
const USERS_PAGE: usize = 1_000;
/// Followees of a page.
const FOLLOWS_PAGE: usize = 10_000;
/// Users whose follows are read at the same time.
const AT_A_TIME: usize = 16;

/// The ledger of a world, whose posts are counted over the time that they span.
///
/// # Errors
/// When a file cannot be read or is damaged.
pub fn of_world(world: &World, activity: Activity, costs: &UnitCosts) -> Result<Ledger> {
    let summary = world.summary();
    let mut counts = vec![0_u32; summary.users.count as usize];
    let mut progress = Progress::start("counting posts", Some(summary.posts.count));
    let mut posts = world.posts()?;
    while let Some(post) = posts.next_post()? {
        counts[post.author as usize] += 1;
        progress.add(1);
    }
    progress.finish();
    let days = ((summary.shape.last_second - summary.shape.first_second) as f64 / DAY_S).max(1.0);
    let rates = counts.into_iter().map(|count| f64::from(count) / days).collect();

    let mut ledger = Ledger::new(rates, activity, costs.h_us, costs.l_us);
    let mut progress = Progress::start("counting follows", Some(summary.follows.count));
    let (mut follows, mut followees) = (world.follows()?, Vec::new());
    while let Some(reader) = follows.next_follower(&mut followees)? {
        ledger.add(reader, &followees);
        progress.add(followees.len() as u64);
    }
    progress.finish();
    Ok(ledger)
}

/// The ledger of a store. An author's rate is that of up to [`RATE_POSTS`] newest posts, up to the newest of all.
///
/// # Errors
/// When the store does not answer.
pub async fn of_store(store: &dyn Store, activity: Activity, costs: &UnitCosts) -> Result<Ledger> {
    let users = all_users(store).await.context("listing the users")?;
    ensure!(u32::try_from(users.len()).is_ok(), "{} users are more than a plan can number", users.len());
    ensure!(!users.is_empty(), "the store has no users: import a world, or name another store");
    let rates = rates(store, &users).await.context("reading the newest posts of authors")?;
    let places: FxHashMap<UserId, u32> = users.iter().zip(0..).map(|(&user, place)| (user, place)).collect();

    let mut ledger = Ledger::new(rates, activity, costs.h_us, costs.l_us);
    let mut progress = Progress::start("counting the follows of users", Some(users.len() as u64));
    let lists = stream::iter(users.iter().zip(0_u32..)).map(|(&user, place)| async move {
        let followees = followees(store, user).await?;
        Ok::<_, anyhow::Error>((place, followees))
    });
    let mut lists = std::pin::pin!(lists.buffered(AT_A_TIME));
    while let Some((place, followees)) = lists.try_next().await.context("reading whom users follow")? {
        // Somebody who has signed up since is not counted.
        let followees: Vec<u32> = followees.iter().filter_map(|followee| places.get(followee).copied()).collect();
        ledger.add(place, &followees);
        progress.add(1);
    }
    progress.finish();
    Ok(ledger)
}

async fn all_users(store: &dyn Store) -> Result<Vec<UserId>> {
    let mut users = Vec::new();
    let mut progress = Progress::start("listing users", None);
    loop {
        let after = users.last().copied().unwrap_or_default();
        let page = store.all_users(after, USERS_PAGE).await?;
        progress.add(page.len() as u64);
        users.extend_from_slice(&page);
        if page.len() < USERS_PAGE {
            progress.finish();
            return Ok(users);
        }
    }
}

async fn rates(store: &dyn Store, users: &[UserId]) -> Result<Vec<f64>> {
    // Of each author: newest posts, and the oldest of them.
    let (mut counted, mut end_ms) = (Vec::with_capacity(users.len()), 0);
    let mut progress = Progress::start("reading the newest posts of authors", Some(users.len() as u64));
    for some in users.chunks(USERS_PAGE) {
        for newest in store.posts_by(some, PostId::MAX, RATE_POSTS).await? {
            let at_ms = |post: Option<&PostId>| post.map_or(0, |post| post.created_at().0);
            end_ms = end_ms.max(at_ms(newest.first()));
            counted.push((newest.len() as f64, at_ms(newest.last())));
        }
        progress.add(some.len() as u64);
    }
    progress.finish();
    let days = |since_ms: u64| ((end_ms - since_ms) as f64 / 1_000.0 / DAY_S).max(1.0);
    Ok(counted.into_iter().map(|(count, oldest_ms)| if count > 0.0 { count / days(oldest_ms) } else { 0.0 }).collect())
}

async fn followees(store: &dyn Store, user: UserId) -> Result<Vec<UserId>> {
    let mut followees: Vec<UserId> = Vec::new();
    loop {
        let after = followees.last().copied().unwrap_or_default();
        let page = store.user_list(user, UserList::Following, after, FOLLOWS_PAGE).await?;
        followees.extend_from_slice(&page);
        if page.len() < FOLLOWS_PAGE {
            return Ok(followees);
        }
    }
}

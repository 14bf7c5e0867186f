//! Readers that look at home timelines on both nodes while others write and things break: first pages, page after page
//! across the nodes, and what is new since a page. Each page is held against the ledger.

use std::time::{Duration, Instant};

use serde_json::Value;
use tributary_engine::model::PostId;

use crate::common::post_id;
use crate::ledger::Look;
use crate::world::{User, World};

const READERS: usize = 3;
const PAUSE_MS_MAX: u64 = 20;
const LIMITS: [usize; 4] = [1, 7, 20, 100];

/// All readers, as long as there is load.
pub async fn read(world: &World, rng: &mut fastrand::Rng) {
    let readers = (0..READERS).map(|_| one(world, rng.fork()));
    futures::future::join_all(readers).await;
}

async fn one(world: &World, mut rng: fastrand::Rng) {
    while world.loading.get() {
        let user = rng.choice(&world.users).unwrap();
        match rng.u8(..100) {
            0..60 => pages(world, user, 1, &mut rng).await,
            60..85 => pages(world, user, 4, &mut rng).await,
            85..90 => pages(world, user, usize::MAX, &mut rng).await,
            _ => since(world, user, &mut rng).await,
        }
        tokio::time::sleep(Duration::from_millis(rng.u64(..PAUSE_MS_MAX))).await;
    }
}

/// Up to `most` pages, one after the other, each from any node: falling ids, none twice.
async fn pages(world: &World, user: &User, most: usize, rng: &mut fastrand::Rng) {
    let limit = if most > 4 { 100 } else { *rng.choice(&LIMITS).unwrap() };
    let (mut below, mut cursor) = (PostId::MAX, String::new());
    for _ in 0..most {
        let path = format!("/v1/feed?limit={limit}{cursor}");
        let Some(page) = page(world, user, rng.usize(..2), &path, Some(below)).await else { return };
        let items = page["items"].as_array().unwrap();
        let told = || format!("{path} of {} during {}", user.id, world.phase());
        assert!(items.len() <= limit, "{}", told());
        let Some(next) = page["next"].as_str() else { return };
        assert_eq!(items.len(), limit, "a page is full unless next is null: {}", told());
        cursor = format!("&cursor={next}");
        below = post_id(items.last().unwrap());
    }
}

/// What is new since a page, asked of any node.
async fn since(world: &World, user: &User, rng: &mut fastrand::Rng) {
    let path = "/v1/feed?limit=20";
    let Some(first) = page(world, user, rng.usize(..2), path, Some(PostId::MAX)).await else { return };
    // Not a wait for something: the moment is to be any.
    tokio::time::sleep(Duration::from_millis(rng.u64(..200))).await;
    let path = format!("/v1/feed?limit=100&since={}", first["fresh"].as_str().unwrap());
    page(world, user, rng.usize(..2), &path, None).await;
}

/// A page, held against the ledger: everything `below` an id down to its end, or only some posts. None where the node
/// need not answer.
async fn page(world: &World, user: &User, node: usize, path: &str, below: Option<PostId>) -> Option<Value> {
    let (asked, horizon, restored) = (Instant::now(), world.weather.horizon(), world.weather.restored.get());
    let reply = world.ask(user, node, |session| session.get(path)).await?;
    let page = reply.expect(200).json();
    let ids: Vec<PostId> = page["items"].as_array().unwrap().iter().map(post_id).collect();
    let falls =
        ids.is_sorted_by(|a, b| a > b) && ids.first().is_none_or(|first| Some(*first) < below.or(Some(PostId::MAX)));
    assert!(falls, "api-{node} during {}: {path} of {}: ids do not fall: {ids:?}", world.phase(), user.id);
    // While the history changes, a node may still show what it knew.
    if world.weather.changing.get() || world.weather.restored.get() != restored {
        return Some(page);
    }
    let ledger = world.ledger.borrow();
    let look = Look { reader: user.id, node, asked, horizon, below: below.unwrap_or(PostId::MAX), page: &page };
    let fault = if below.is_some() { ledger.fault(&look) } else { ledger.fault_of_some(&look) };
    assert!(fault.is_none(), "during {}: {path}: {}", world.phase(), fault.unwrap_or_default());
    drop(ledger);
    Some(page)
}

//! When a storm is over: everything that two nodes tell is held against the truth, to the last entry.

use futures::future::join_all;
use tributary_engine::model::Command;

use crate::common::{assert_none, home_faults, user_faults};
use crate::world::World;

/// Acknowledged commands that are sent once more after each phase.
const REPEATED: usize = 12;

/// How counters and mirrors in the store differ from the rows that they are made of; each query must find nothing.
const DIFFERENCES: [(&str, &str); 4] = [
    (
        "followers and following",
        "SELECT id FROM users u
         WHERE followers <> (SELECT count(*) FROM followers f WHERE f.followee = u.id)
            OR following <> (SELECT count(*) FROM follows f WHERE f.follower = u.id)",
    ),
    (
        "likes",
        "SELECT p.id FROM posts p LEFT JOIN post_counters c ON c.post = p.id
         WHERE coalesce(c.likes, 0) <> (SELECT count(*) FROM likes l WHERE l.post = p.id)",
    ),
    (
        "follows and their mirror",
        "(SELECT follower, followee FROM follows EXCEPT SELECT follower, followee FROM followers) UNION ALL
         (SELECT follower, followee FROM followers EXCEPT SELECT follower, followee FROM follows)",
    ),
    (
        "blocks and their mirror",
        "(SELECT blocker, blocked FROM blocks EXCEPT SELECT blocker, blocked FROM blocked_by) UNION ALL
         (SELECT blocker, blocked FROM blocked_by EXCEPT SELECT blocker, blocked FROM blocks)",
    ),
];

/// Waits until both nodes have applied everything, and compares everything. Nothing may be written meanwhile.
pub async fn compare(world: &World, rng: &mut fastrand::Rng) {
    world.until_ready().await;
    world.until("the storm is over", async || (!world.weather.is_stormy()).then_some(())).await;
    until_applied(world).await;
    repeat(world, rng).await;
    until_applied(world).await;
    let truth = world.ledger.borrow().truth.clone();
    for node in 0..2 {
        let sessions: Vec<_> = world.users.iter().map(|user| world.session(user, node)).collect();
        let users = join_all(sessions.iter().map(|session| user_faults(&truth, session))).await;
        let homes = join_all(sessions.iter().map(|session| home_faults(&truth, session))).await;
        let told = |mut faults: Vec<String>| {
            faults.iter_mut().for_each(|fault| fault.insert_str(0, &format!("api-{node} after {}: ", world.phase())));
            faults
        };
        assert_none(&users.into_iter().chain(homes).map(told).collect::<Vec<_>>());
    }
    for (what, query) in DIFFERENCES {
        let found = world.sql(query).await;
        assert!(found.is_empty(), "after {}: {what} differ in the store: {found:?}", world.phase());
    }
}

/// Waits until everything is numbered, and both nodes are there.
pub async fn until_applied(world: &World) {
    let numbered = async || {
        let waiting = world.number("SELECT count(*) FROM outbox WHERE number IS NULL").await;
        (waiting == 0).then_some(())
    };
    world.until("every event has its number", numbered).await;
    let last = world.number("SELECT numbered FROM log_positions").await;
    for node in 0..2 {
        let applied = async || {
            let position = world.status(node).await?["position"].as_i64()?;
            (position == last).then_some(())
        };
        world.until(&format!("api-{node} is at position {last}"), applied).await;
    }
}

/// Acknowledged commands, under their keys again, on either node: the same answer, and nothing happens.
async fn repeat(world: &World, rng: &mut fastrand::Rng) {
    let acknowledged = world.acknowledged.take();
    for _ in 0..REPEATED {
        let Some((sent, body)) = rng.choice(&acknowledged) else { return };
        let user = world.users.iter().find(|user| user.id == sent.actor).unwrap();
        let node = rng.usize(..2);
        let reply = world.ask(user, node, |session| sent.ask(session)).await.expect("nothing is away");
        let told = format!("api-{node} after {}: {sent:?}: {} {}", world.phase(), reply.status, reply.text());
        assert!(reply.status.is_success() && reply.header("idempotency-replayed").is_some(), "{told}");
        assert_eq!(reply.body, *body, "{told}");
    }
    // A removed post is absent whatever is cached.
    for (sent, _) in acknowledged.iter().rev().take(REPEATED) {
        if let Command::Remove { post } = sent.command {
            let user = world.users.iter().find(|user| user.id == sent.actor).unwrap();
            let reply = world.ask(user, rng.usize(..2), |session| session.get(&format!("/v1/posts/{post}"))).await;
            reply.expect("nothing is away").problem(404, "unknown_post");
        }
    }
}

//! Clients that write, each for its own users, one command after the other, each on another node than the one before.
//! What is not acknowledged is sent again with its key, to either node, until it is.

use std::time::{Duration, Instant};

use tributary_engine::model::{Command, UserId};

use crate::common::{Reply, Sent, choose, text};
use crate::world::{CLIENTS, PATIENCE, USERS_EACH, User, World};

/// A client waits for up to this between two commands.
const PAUSE_MS_MAX: u64 = 25;
/// And before it sends one again.
const AGAIN_MS: std::ops::Range<u64> = 10..60;

/// All clients, as long as there is to be load. Then nothing is open any more.
pub async fn write(world: &World, rng: &mut fastrand::Rng) {
    let clients = (0..CLIENTS).map(|client| one(world, client, rng.fork()));
    futures::future::join_all(clients).await;
}

async fn one(world: &World, client: usize, mut rng: fastrand::Rng) {
    let own = client * USERS_EACH..(client + 1) * USERS_EACH;
    let crowd: Vec<UserId> = world.users[..CLIENTS * USERS_EACH].iter().map(|user| user.id).collect();
    let mut node = client % 2;
    while world.loading.get() {
        let number = world.next_number();
        let (actor, command) = if world.posts_only.get() {
            (crowd[rng.usize(own.clone())], Command::Publish { text: text(number, &mut rng) })
        } else {
            choose(&world.ledger.borrow().truth, &crowd, own.clone(), number, &mut rng)
        };
        let user = world.users.iter().find(|user| user.id == actor).unwrap();
        let other = !matches!(command, Command::Publish { .. });
        world.others_under_way.set(world.others_under_way.get() + usize::from(other));
        command_until_done(world, user, command, number, node, &mut rng).await;
        world.others_under_way.set(world.others_under_way.get() - usize::from(other));
        node = 1 - node;
        tokio::time::sleep(Duration::from_millis(rng.u64(..PAUSE_MS_MAX))).await;
    }
}

/// Sends a command, first to `node`, until it is acknowledged; where that was, and the answer.
pub async fn command_until_done(
    world: &World,
    user: &User,
    command: Command,
    number: u64,
    mut node: usize,
    rng: &mut fastrand::Rng,
) -> (usize, Reply) {
    let sent = Sent { actor: user.id, key: format!("key-{number}"), command };
    world.ledger.borrow_mut().sent(&sent);
    let until = Instant::now() + PATIENCE;
    let mut again = false;
    loop {
        if let Some(reply) = world.ask(user, node, |session| sent.ask(session)).await {
            if reply.status.is_success() {
                assert!(again || reply.header("idempotency-replayed").is_none(), "{sent:?} was never sent before");
                world.ledger.borrow_mut().acknowledged(&sent, &reply, node);
                world.acknowledged.borrow_mut().push((sent, reply.body.clone()));
                return (node, reply);
            }
            // The first attempt may still be under way, though its connection broke.
            let under_way = again && reply.status == 409;
            assert!(under_way, "api-{node} during {}: {sent:?}: {} {}", world.phase(), reply.status, reply.text());
        }
        assert!(Instant::now() < until, "during {}: never acknowledged: {sent:?}", world.phase());
        again = true;
        node = rng.usize(..2);
        tokio::time::sleep(Duration::from_millis(rng.u64(AGAIN_MS))).await;
    }
}

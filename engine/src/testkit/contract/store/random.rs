//! Random commands, and everything the store tells compared with the truth, to the last entry (law 1).

use std::sync::Arc;

use super::channels::assert_pull_authors;
use super::stamps::late_view;
use super::world::World;
use crate::model::{ChangedBy, Channel, Command, Mode, PostId, TuningSettings, UserId};
use crate::ports::{Store, UserList};

const USERS: usize = 12;
/// Commands between two comparisons.
const STRETCH: usize = 100;

pub(super) async fn two_thousand_random_commands_match_the_truth(store: Arc<dyn Store>) {
    matches_truth(store, fastrand::u64(..), 2_000).await;
}

/// Drives an empty store with random commands drawn from `seed`, and compares it with the truth again and again.
///
/// # Panics
/// Where they differ; the message names the seed.
pub async fn matches_truth(store: Arc<dyn Store>, seed: u64, commands: usize) {
    drive(World::new(store), seed, commands, async |world| world).await;
}

/// As [`matches_truth`], with a store that is closed and opened again before each comparison. `open` opens the same
/// store whenever it is called; it is empty at first.
///
/// # Panics
/// Where they differ; the message names the seed.
pub async fn outlives_restarts(open: impl AsyncFn() -> Arc<dyn Store>, seed: u64, commands: usize) {
    let world = World::new(open().await);
    drive(world, seed, commands, async |mut world: World| {
        world.check_events().await;
        world.restarted(&open).await
    })
    .await;
}

async fn drive(mut world: World, seed: u64, commands: usize, pause: impl AsyncFn(World) -> World) {
    let _named = Seed(seed);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut users = Vec::new();
    for n in 0..USERS {
        users.push(world.user(&format!("user{n}")).await);
    }
    for n in 1..=commands {
        if random.u8(..100) == 0 {
            // Around what is posted within the test, which counts as a day.
            world.balance(random.f64() * 40.0 + 0.5).await;
        }
        let actor = *pick(&mut random, &users);
        let command = command(&mut random, &world, &users);
        let _ = world.run(actor, command).await;
        if n % STRETCH == 0 || n == commands {
            world = pause(world).await;
            compare(&mut random, &world).await;
            world.check_events().await;
        }
    }
}

/// Names the seed of a run that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the random commands were drawn from seed {}", self.0);
        }
    }
}

fn pick<'a, T>(random: &mut fastrand::Rng, of: &'a [T]) -> &'a T {
    &of[random.usize(..of.len())]
}

/// A command, now and then one that names what does not exist.
fn command(random: &mut fastrand::Rng, world: &World, users: &[UserId]) -> Command {
    let unknown = random.u8(..50) == 0;
    let user = if unknown { UserId(random.u64(1..1_000)) } else { *pick(random, users) };
    let posts = world.truth.post_ids();
    let post = if unknown || posts.is_empty() { PostId(random.u64(1..1_000)) } else { *pick(random, &posts) };
    match random.u8(..100) {
        0..28 => Command::Publish { text: format!("{:x} ü", random.u64(..)).into() },
        28..34 => Command::Remove { post },
        34..44 => Command::Like { post },
        44..48 => Command::Unlike { post },
        48..64 => Command::Follow { user, limit: random.u64(..10) },
        64..72 => Command::Unfollow { user },
        72..77 => Command::Mute { user },
        77..82 => Command::Unmute { user },
        82..86 => Command::Block { user },
        86..93 => Command::Unblock { user },
        93..97 => {
            Command::Pin { author: user, pin: *pick(random, &[None, None, Some(Channel::Push), Some(Channel::Pull)]) }
        }
        _ => {
            let enter_followers = random.u64(1..8);
            let leave_followers = random.u64(..=enter_followers);
            let mode = *pick(random, &[Mode::Threshold, Mode::Cost]);
            let settings = TuningSettings { mode, enter_followers, leave_followers, ..TuningSettings::default() };
            let expected = random.bool().then(|| world.truth.version() - u64::from(random.u8(..4) == 0));
            Command::Tune { expected, settings, by: ChangedBy::Operator(*pick(random, users)) }
        }
    }
}

/// Everything the store tells is what is true.
async fn compare(random: &mut fastrand::Rng, world: &World) {
    let (store, truth) = (&world.store, &world.truth);
    let users = truth.user_ids();
    for (&user, told) in users.iter().zip(store.users(&users).await.expect("the store reads")) {
        let told = told.expect("the user exists");
        let author = store.author(user).await.expect("the store reads");
        assert_eq!(author, truth.author(user));
        assert_eq!(Some(told.card), author.map(|author| author.card));
        let (followers, following) = (truth.followers(user), truth.following(user));
        assert_eq!((told.followers, told.following), (followers.len() as u64, following.len() as u64));

        let limit = random.usize(1..40);
        assert_eq!(world.home(user, true, limit).await, truth.home_all(user), "{user:?}");
        assert_eq!(world.home(user, false, limit).await, truth.home(user), "{user:?}");
        assert_eq!(world.list(user, UserList::Followers, limit).await, followers);
        assert_eq!(world.list(user, UserList::Following, limit).await, following);
        assert_eq!(world.list(user, UserList::Mutes, limit).await, truth.mutes(user));
        assert_eq!(world.list(user, UserList::Blocks, limit).await, truth.blocks(user));

        let view = late_view(world, user).await;
        assert_eq!(view.follows.iter().map(|follow| follow.followee).collect::<Vec<_>>(), following);
        assert_eq!((&*view.mutes, &*view.blocks), (&*truth.mutes(user), &*truth.blocks(user)));
        assert_eq!(*view.blocked_by, *truth.blocked_by(user));

        // A removed post may stay among the likes: nobody can see it.
        let mut likes = store.likes(user, 100_000).await.expect("the store reads");
        likes.retain(|&post| truth.post(post).is_some());
        assert_eq!(likes, truth.likes_of(user));
        assert_eq!(store.liked(user, &likes).await, Ok(likes));
    }
    let posts = truth.post_ids();
    let before = if posts.is_empty() { PostId::MAX } else { *pick(random, &posts) };
    let limit = random.usize(1..40);
    let below = |author: &UserId| {
        let posts = truth.posts_by(*author).into_iter();
        posts.filter(|&post| post < before).take(limit).collect::<Vec<_>>()
    };
    assert_eq!(store.posts_by(&users, before, limit).await, Ok(users.iter().map(below).collect()));
    let told = store.posts(&posts).await.expect("the store reads");
    assert_eq!(told, posts.iter().map(|&post| truth.post(post)).collect::<Vec<_>>());
    let tuning = store.tuning().await.expect("there is a tuning");
    assert_eq!((tuning.version, tuning.settings), (truth.version(), truth.tuning()));
    assert_pull_authors(world).await;
}

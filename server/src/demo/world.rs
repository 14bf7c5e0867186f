//! The demo world alive: made through the engine's own commands, then posting, liking and following.
//!
//! It waits for every acknowledgement (law 7) and stays bounded (law 9): one action at a time once it lives.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::Context as _;
use fastrand::Rng;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::watch;
use tributary_engine::model::{ChangedBy, Command, Committed, Handle, Outcome, PostId, TuningSettings, UserId};
use tributary_engine::{ClientKey, CommandError, Engine};

use super::cast::YOU;
use super::plan::{self, Plan};
use super::texts::{self, Topic};

/// Followers from which an author of the demo is hot.
pub const ENTER_FOLLOWERS: u64 = 60;
/// Followers below which a hot author cools down.
const LEAVE_FOLLOWERS: u64 = 50;
/// A round of compaction starts soon, so that one can watch it.
const FLUSH_MAX_AGE_MS: u64 = 15_000;
/// Commands under way at the same time while the world is made; they share commits.
const SEEDING_COMMANDS: usize = 256;
/// Mean time between two posts. One post needs an author; likes and follows come along with it.
const MEAN_PAUSE: Duration = Duration::from_millis(1_300);
/// No pause is longer, or it would seem that everybody had left.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Newest posts that people still like.
const RECENT_POSTS: usize = 60;
/// First and longest wait before an unavailable engine is asked again.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// A world that was made: who lives in it, and the dice.
pub struct World {
    people: Vec<(UserId, Topic)>,
    recent: VecDeque<PostId>,
    actions: u64,
    rng: Rng,
}

/// Makes the world of this seed: people, follows, thresholds that make some of them hot, and some hundred posts.
///
/// # Errors
/// When the engine refuses a command or does not answer.
pub async fn seed(engine: &Engine, seed: u64) -> anyhow::Result<World> {
    let mut rng = Rng::with_seed(seed);
    let plan = Plan::new(&mut rng);
    let you = make_user(engine, YOU, "You").await?;
    let ids: Vec<UserId> = stream::iter(&plan.people)
        .map(|person| make_user(engine, &person.handle, &person.name))
        .buffered(SEEDING_COMMANDS)
        .try_collect()
        .await?;

    // The thresholds come first, so that the channel of the first post already follows them.
    let settings = TuningSettings {
        enter_followers: ENTER_FOLLOWERS,
        leave_followers: LEAVE_FOLLOWERS,
        flush_max_age_ms: FLUSH_MAX_AGE_MS,
        ..TuningSettings::default()
    };
    let tune = Command::Tune { expected: None, settings, by: ChangedBy::Operator(you) };
    execute_all(engine, vec![(you, tune)]).await.context("tuning the demo world")?;

    let follow = |(follower, followee): (UserId, UserId)| (follower, Command::Follow { user: followee, limit: 0 });
    let follows = plan.follows.iter().map(|&(follower, followee)| (ids[follower], ids[followee]));
    let yours = plan.your_follows.iter().map(|&followee| (you, ids[followee]));
    execute_all(engine, follows.chain(yours).map(follow).collect()).await.context("following in the demo world")?;

    let posts = plan.posts.into_iter().map(|(author, text)| (ids[author], Command::Publish { text: text.into() }));
    let committed = execute_all(engine, posts.collect()).await.context("posting in the demo world")?;

    let people = ids.into_iter().zip(plan.people).map(|(id, person)| (id, person.topic)).collect();
    let mut world = World { people, recent: VecDeque::with_capacity(RECENT_POSTS), actions: 0, rng };
    committed.iter().for_each(|committed| world.remember(committed));
    tracing::info!(people = world.people.len(), posts = committed.len(), "the demo world is made");
    Ok(world)
}

/// Lets the world live until `shutdown` says true or its sender is gone.
pub async fn live(engine: Engine, mut world: World, mut shutdown: watch::Receiver<bool>) {
    let stopped = async { shutdown.wait_for(|stop| *stop).await.map(|_| ()) };
    tokio::select! {
        _ = stopped => {}
        () = world.run(&engine) => {}
    }
}

async fn make_user(engine: &Engine, handle: &str, name: &str) -> anyhow::Result<UserId> {
    let handle: Handle = handle.parse().ok().with_context(|| format!("{handle:?} is no handle"))?;
    let user = engine.make_user(&handle, name).await.with_context(|| format!("making the demo user {handle}"))?;
    Ok(user.card.id)
}

async fn execute_all(engine: &Engine, commands: Vec<(UserId, Command)>) -> Result<Vec<Committed>, CommandError> {
    stream::iter(commands)
        .map(|(actor, command)| engine.execute(actor, command, None))
        .buffer_unordered(SEEDING_COMMANDS)
        .try_collect()
        .await
}

impl World {
    async fn run(&mut self, engine: &Engine) {
        loop {
            tokio::time::sleep(self.pause()).await;
            for (actor, command) in self.next_actions() {
                self.perform(engine, actor, command).await;
            }
        }
    }

    /// Times between posts as of people who know nothing of each other: exponential, with an upper bound.
    fn pause(&mut self) -> Duration {
        MEAN_PAUSE.mul_f64(-(1.0 - self.rng.f64()).ln()).min(LONGEST_PAUSE)
    }

    /// A post; up to three likes of recent posts; now and then a follow or the end of one, in equal parts, so
    /// that the graph keeps its size and authors near a threshold cross it either way.
    fn next_actions(&mut self) -> Vec<(UserId, Command)> {
        let (author, topic) = self.people[plan::any_author(&mut self.rng)];
        let text = texts::line(&mut self.rng, topic).into();
        let mut actions = vec![(author, Command::Publish { text })];
        for _ in 0..self.rng.usize(..4) {
            if let Some(&post) = self.rng.choice(&self.recent) {
                actions.push((self.anybody(), Command::Like { post }));
            }
        }
        if self.rng.u32(..6) == 0 {
            let (actor, user) = (self.anybody(), self.people[plan::any_author(&mut self.rng)].0);
            if actor != user {
                let follow = self.rng.bool();
                actions.push((
                    actor,
                    if follow { Command::Follow { user, limit: 0 } } else { Command::Unfollow { user } },
                ));
            }
        }
        actions
    }

    fn anybody(&mut self) -> UserId {
        self.people[self.rng.usize(..self.people.len())].0
    }

    /// Waits until the command is acknowledged or refused. Its key settles a try whose outcome was unknown.
    async fn perform(&mut self, engine: &Engine, actor: UserId, command: Command) {
        self.actions += 1;
        let key =
            ClientKey { key: format!("demo-{}", self.actions), fingerprint: u128::from(self.actions).to_be_bytes() };
        let mut wait = RETRY.0;
        loop {
            match engine.execute(actor, command.clone(), Some(key.clone())).await {
                Ok(committed) => return self.remember(&committed),
                // Whoever watches may have blocked one of the two, or removed the post.
                Err(CommandError::Rejected(reason)) => {
                    return tracing::debug!(%reason, "an action of the demo was refused");
                }
                Err(error @ CommandError::Unavailable(_)) => {
                    tracing::warn!(%error, wait_ms = wait.as_millis() as u64, "the demo world waits");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(RETRY.1);
                }
            }
        }
    }

    fn remember(&mut self, committed: &Committed) {
        if let Outcome::Posted { post, .. } = &committed.outcome {
            if self.recent.len() == RECENT_POSTS {
                self.recent.pop_front();
            }
            self.recent.push_back(post.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_engine::model::Millis;

    fn world() -> World {
        let person = |n| (UserId::new(Millis(1_763_000_000_000 + n), 0, 0), Topic::ALL[n as usize % 10]);
        let recent = (1..=5).map(PostId).collect();
        World { people: (0..plan::PEOPLE as u64).map(person).collect(), recent, actions: 0, rng: Rng::with_seed(1) }
    }

    #[test]
    fn every_step_is_one_post_and_a_few_modest_reactions() {
        let mut world = world();
        for _ in 0..1_000 {
            let actions = world.next_actions();
            let posts = actions.iter().filter(|(_, command)| matches!(command, Command::Publish { .. })).count();
            assert!(posts == 1 && actions.len() <= 5, "{actions:?}");
        }
    }

    #[test]
    fn people_post_every_second_or_two() {
        let mut world = world();
        let pauses: Vec<Duration> = (0..2_000).map(|_| world.pause()).collect();
        let mean = pauses.iter().sum::<Duration>() / pauses.len() as u32;
        assert!((Duration::from_millis(1_000)..Duration::from_millis(2_000)).contains(&mean), "{mean:?}");
        assert!(pauses.iter().all(|&pause| pause <= LONGEST_PAUSE));
    }

    #[test]
    fn a_living_world_can_be_spawned() {
        fn spawnable<T: Send + 'static>(_: fn(Engine, World, watch::Receiver<bool>) -> T) {}
        spawnable(live);
    }
}

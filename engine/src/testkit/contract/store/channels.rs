//! Channels and tuning: chosen inside the commit of a post and never changed (law 3).

use std::sync::Arc;

use super::world::World;
use crate::model::{
    ChangedBy, Channel, Command, Costs, Measured, Millis, Mode, Outcome, PostId, Rejection, TuningSettings, UserId,
};
use crate::ports::Store;

const HOUR_MS: u64 = 3_600_000;

pub(super) async fn a_new_store_has_the_default_tuning(store: Arc<dyn Store>) {
    let tuning = store.tuning().await.expect("there is a tuning");
    assert_eq!(
        (tuning.version, tuning.settings, tuning.changed_by),
        (1, TuningSettings::default(), ChangedBy::Default)
    );
    let listed = store.tunings(u64::MAX >> 1, 9).await.expect("versions are listed");
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].tuning, &*listed[0].changed_by), (tuning, "default"));
    assert_eq!(store.author(UserId(7)).await, Ok(None));
    assert_eq!(store.pull_authors(UserId(0), 9).await, Ok(vec![]));
}

pub(super) async fn tuning_versions_are_kept_and_checked(store: Arc<dyn Store>) {
    let (mut world, [ann]) = World::with_users(store, ["ann"]).await;
    let tune = |expected, enter_followers, by| {
        let settings = TuningSettings { enter_followers, leave_followers: 2, ..TuningSettings::default() };
        Command::Tune { expected, settings, by }
    };
    world.done(ann, tune(Some(1), 5, ChangedBy::Operator(ann))).await;
    assert_eq!(world.run(ann, tune(Some(1), 6, ChangedBy::Operator(ann))).await, Err(Rejection::VersionMismatch));
    assert_eq!(world.run(ann, tune(Some(3), 6, ChangedBy::Operator(ann))).await, Err(Rejection::VersionMismatch));
    world.done(ann, tune(None, 7, ChangedBy::Config)).await;
    let Outcome::Tuned(last) = world.done(ann, tune(Some(3), 8, ChangedBy::Operator(ann))).await else {
        panic!("a change of the tuning tells the new one")
    };
    assert_eq!(world.store.tuning().await, Ok(last));
    let listed = world.store.tunings(u64::MAX >> 1, 3).await.expect("versions are listed");
    let told: Vec<_> = listed.iter().map(|l| (l.tuning.version, l.tuning.settings.enter_followers)).collect();
    assert_eq!(told, [(4, 8), (3, 7), (2, 5)]);
    assert_eq!(listed.iter().map(|l| &*l.changed_by).collect::<Vec<_>>(), ["ann", "config", "ann"]);
    let rest = world.store.tunings(2, 3).await.expect("versions are listed");
    assert_eq!(rest.iter().map(|l| l.tuning.version).collect::<Vec<_>>(), [1]);
}

pub(super) async fn an_author_turns_hot_and_cools_down_with_hysteresis(store: Arc<dyn Store>) {
    let (mut world, [ann]) = World::with_users(store, ["ann"]).await;
    world.tune(4, 2).await;
    let mut fans = Vec::new();
    for n in 0..5 {
        fans.push(world.user(&format!("fan{n}")).await);
    }
    let mut channels = Vec::new();
    let mut following = 0;
    for wanted in [3, 4, 5, 2, 3, 1, 3, 4] {
        while following < wanted {
            world.follow(fans[following], ann).await;
            following += 1;
        }
        while following > wanted {
            following -= 1;
            // A block ends a follow as an unfollow does.
            let command = if following == 1 { Command::Block { user: ann } } else { Command::Unfollow { user: ann } };
            world.done(fans[following], command).await;
            world.done(fans[following], Command::Unblock { user: ann }).await;
        }
        let state = world.store.author(ann).await.expect("the store reads");
        assert_eq!(state, world.truth.author(ann));
        let post = world.post(ann).await;
        channels.push(world.truth.channel(post).expect("the post exists"));
    }
    use Channel::{Pull, Push};
    assert_eq!(channels, [Push, Pull, Pull, Pull, Pull, Push, Push, Pull]);
}

pub(super) async fn a_pin_outranks_the_followers(store: Arc<dyn Store>) {
    let (mut world, [ann, ben]) = World::with_users(store, ["ann", "ben"]).await;
    world.tune(1, 1).await;
    world.follow(ben, ann).await;
    for pin in [Some(Channel::Push), None, Some(Channel::Pull)] {
        for author in [ann, ben] {
            let Outcome::Pinned(state) = world.done(ben, Command::Pin { author, pin }).await else {
                panic!("a pin tells the author's state")
            };
            assert_eq!(world.store.author(author).await, Ok(Some(state)));
            world.post(author).await;
        }
    }
    let unknown = Command::Pin { author: UserId(7), pin: None };
    assert_eq!(world.run(ben, unknown).await, Err(Rejection::UnknownUser));
    world.check_events().await;
}

pub(super) async fn measured_costs_are_added_up_by_all_and_known_to_later_posts(store: Arc<dyn Store>) {
    let (mut world, [ann]) = World::with_users(store, ["ann"]).await;
    let sample = |fills| Measured { flush_ns: 1e6, deliveries: 1e3, merge_ns: 1e6, streams: 1e3, fills };
    let first = world.store.add_costs(&sample(50.0), Millis(HOUR_MS)).await.expect("the store adds");
    assert_eq!((first.measured(), first.at()), (sample(50.0), Millis(HOUR_MS)));
    // Nodes that add at the same time do not undo each other.
    let samples = [sample(3.0); 8];
    let added = samples.iter().map(|sample| world.store.add_costs(sample, Millis(HOUR_MS)));
    for added in futures::future::join_all(added).await {
        added.expect("the store adds");
    }
    let last = world.store.add_costs(&Measured::default(), Millis(HOUR_MS)).await.expect("the store adds");
    assert_eq!((last.measured().fills, last.measured().deliveries), (74.0, 9e3));
    // As in Costs itself, with the users there are.
    let expected = Costs::with(Some(last), &sample(100.0), 1, Millis(2 * HOUR_MS));
    let told = world.store.add_costs(&sample(100.0), Millis(2 * HOUR_MS)).await.expect("the store adds");
    let near = |one: Option<f64>, two: Option<f64>| one.zip(two).is_some_and(|(a, b)| (a - b).abs() < 1e-9 * b);
    assert!(near(told.balance(), expected.balance()), "{told:?}, not {expected:?}");
    // A post is the first that reads them.
    world.truth.measured(told);
    world.tune_with(TuningSettings { mode: Mode::Cost, ..TuningSettings::default() }).await;
    world.post(ann).await;
}

pub(super) async fn by_cost_the_rate_of_posts_decides_once_costs_are_known(store: Arc<dyn Store>) {
    use Channel::{Pull, Push};
    let (mut world, [ann, ben, cid]) = World::with_users(store, ["ann", "ben", "cid"]).await;
    world.follow(cid, ann).await;
    world.follow(cid, ben).await;
    let cost = TuningSettings { mode: Mode::Cost, enter_followers: 1, leave_followers: 1, ..TuningSettings::default() };
    world.tune_with(cost).await;
    // Nothing is known yet: the thresholds decide.
    assert_eq!(world.channel_of_post(ann).await, Pull);
    assert_eq!(world.channel_of_post(cid).await, Push);
    // The balance is at about four posts a day: a day has what was posted within this test.
    world.balance(4.0).await;
    let mut channels = Vec::new();
    for _ in 0..8 {
        channels.push(world.channel_of_post(ben).await);
    }
    assert_eq!(channels, [Push, Push, Push, Push, Push, Pull, Pull, Pull]);
    // Followers come and go without a change, and a pin outranks the costs.
    world.done(cid, Command::Unfollow { user: ben }).await;
    world.follow(cid, ben).await;
    assert_eq!(world.store.author(ben).await, Ok(world.truth.author(ben)));
    assert_eq!(world.channel_of_post(ben).await, Pull);
    world.done(cid, Command::Pin { author: ben, pin: Some(Push) }).await;
    assert_eq!(world.channel_of_post(ben).await, Push);
    // Ann was hot by followers, and is judged by cost at her next post.
    assert_eq!(world.store.author(ann).await.expect("the store reads").map(|state| state.channel()), Some(Pull));
    assert_eq!(world.channel_of_post(ann).await, Push);
    // A dearer flush moves the balance.
    world.balance(1.0).await;
    assert_eq!(world.channel_of_post(ann).await, Pull);
    world.tune(1_000, 1_000).await;
    assert_eq!(world.channel_of_post(ann).await, Push);
    world.check_events().await;
}

pub(super) async fn a_post_keeps_its_channel_and_pull_authors_are_listed(store: Arc<dyn Store>) {
    let (mut world, [ann, ben, cid, dan]) = World::with_users(store, ["ann", "ben", "cid", "dan"]).await;
    let mut pull = Vec::new();
    for author in [ann, ben, dan] {
        world.done(author, Command::Pin { author, pin: Some(Channel::Pull) }).await;
        world.post(author).await;
        pull.push(world.post(author).await);
    }
    world.post(cid).await;
    // Cooled down: later posts go out on push, the newest pull post stays known.
    world.done(ben, Command::Pin { author: ben, pin: None }).await;
    world.post(ben).await;
    assert_eq!(world.truth.pull_authors().len(), 3);
    for limit in [1, 2, 9] {
        assert_eq!(all_pull_authors(&world, limit).await, world.truth.pull_authors());
    }
    // Its removal may leave the older one or none, never a higher one.
    world.done(ann, Command::Remove { post: pull[0] }).await;
    assert_pull_authors(&world).await;
    world.check_events().await;
}

async fn all_pull_authors(world: &World, limit: usize) -> Vec<(UserId, PostId)> {
    let mut all: Vec<(UserId, PostId)> = Vec::new();
    loop {
        let after = all.last().map_or(UserId(0), |last| last.0);
        let page = world.store.pull_authors(after, limit).await.expect("the store lists");
        if page.is_empty() {
            return all;
        }
        assert!(page.len() <= limit && page[0].0 > after, "after {after}: {page:?}");
        all.extend(page);
    }
}

/// The store tells every author whose pull posts exist, at least as high as the newest of them, and at the most
/// as high as the newest there ever was.
pub(super) async fn assert_pull_authors(world: &World) {
    let told = all_pull_authors(world, 5).await;
    assert!(told.is_sorted_by(|one, two| one.0 < two.0));
    for (author, newest_ever) in world.truth.pull_authors() {
        let on_pull = |post: &PostId| world.truth.channel(*post) == Some(Channel::Pull);
        let newest = world.truth.posts_by(author).into_iter().find(on_pull);
        let told = told.iter().find(|told| told.0 == author).map(|told| told.1);
        assert!(told >= newest && told <= Some(newest_ever), "{author:?}: {newest:?} {told:?} {newest_ever:?}");
    }
    assert!(told.len() <= world.truth.pull_authors().len());
}

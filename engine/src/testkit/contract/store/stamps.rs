//! Stamps: what a view or a page of followers may have missed, and when a timeline grew backwards. Late followees
//! (law 2) rest on nothing else.

use std::sync::Arc;
use std::time::Duration;

use super::world::World;
use crate::model::{Command, FollowView, SlotRange, Stamp, UserId};
use crate::ports::Store;

async fn view(world: &World, reader: UserId) -> FollowView {
    world.store.view(reader).await.expect("the store gives a view")
}

/// A view that is later than a change of `stamp`, which was acknowledged. Somebody else's work that is still under way
/// may hold the stamps of reads back, but not for long.
async fn view_after(world: &World, reader: UserId, stamp: impl Fn(&FollowView) -> Stamp) -> FollowView {
    let later = async {
        loop {
            let view = view(world, reader).await;
            if stamp(&view) < view.stamp {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), later).await.expect("stamps of reads rise over acknowledged changes")
}

/// A view that is later than every follow in it.
pub(super) async fn late_view(world: &World, reader: UserId) -> FollowView {
    let newest = |view: &FollowView| view.follows.iter().map(|follow| follow.stamp).max().unwrap_or_default();
    view_after(world, reader, newest).await
}

fn stamp_of(view: &FollowView, followee: UserId) -> Stamp {
    let follow = view.follows.iter().find(|follow| follow.followee == followee);
    follow.expect("an acknowledged follow is in the view").stamp
}

pub(super) async fn a_follow_before_a_view_is_older_than_it_and_one_after_is_not(store: Arc<dyn Store>) {
    let (mut world, [ann]) = World::with_users(store, ["ann"]).await;
    let mut others = Vec::new();
    for n in 0..20 {
        others.push(world.user(&format!("user{n}")).await);
    }
    for (n, &other) in others.iter().enumerate() {
        let before = view(&world, ann).await;
        world.follow(ann, other).await;
        let after = view(&world, ann).await;
        let stamp = stamp_of(&after, other);
        assert!(stamp >= before.stamp, "{stamp:?} made after {:?}", before.stamp);
        view_after(&world, ann, |_| stamp).await;
        assert_eq!(after.follows.len(), n + 1);
        assert!(after.follows.is_sorted_by_key(|follow| follow.followee));
        for follow in &before.follows {
            assert_eq!(stamp_of(&after, follow.followee), follow.stamp, "other follows keep their stamp");
        }
    }
}

pub(super) async fn a_page_of_followers_lacks_only_follows_from_its_stamp_on(store: Arc<dyn Store>) {
    let (mut world, [ann, ben, cid]) = World::with_users(store, ["ann", "ben", "cid"]).await;
    let mut last = Stamp::default();
    for follower in [ben, cid] {
        let before = world.store.followers(ann, SlotRange::ALL, UserId(0), 9).await.expect("a page");
        world.follow(follower, ann).await;
        let stamp = stamp_of(&view(&world, follower).await, ann);
        view_after(&world, follower, |_| stamp).await;
        let after = world.store.followers(ann, SlotRange::ALL, UserId(0), 9).await.expect("a page");
        assert!(stamp >= before.stamp && stamp < after.stamp, "{:?} {stamp:?} {:?}", before.stamp, after.stamp);
        assert_eq!(after.readers, world.truth.followers(ann));
        assert!(last <= before.stamp, "stamps of reads never fall");
        last = after.stamp;
    }
}

pub(super) async fn refollowing_makes_a_new_stamp_and_repeating_keeps_it(store: Arc<dyn Store>) {
    let (mut world, [ann, ben]) = World::with_users(store, ["ann", "ben"]).await;
    world.follow(ann, ben).await;
    let first = view(&world, ann).await;
    let first = view_after(&world, ann, |_| stamp_of(&first, ben)).await;
    world.post(ben).await;
    world.follow(ann, ben).await;
    assert_eq!(stamp_of(&view(&world, ann).await, ben), stamp_of(&first, ben));
    world.done(ann, Command::Unfollow { user: ben }).await;
    assert!(view(&world, ann).await.follows.is_empty());
    world.follow(ann, ben).await;
    let again = view(&world, ann).await;
    assert!(stamp_of(&again, ben) >= first.stamp, "as late as any follow made after that view");
}

/// A token made at a view's stamp stays good exactly while the timeline has not grown backwards since.
pub(super) async fn a_view_tells_when_the_timeline_grew_backwards(store: Arc<dyn Store>) {
    let (mut world, [ann, ben, cid]) = World::with_users(store, ["ann", "ben", "cid"]).await;
    world.follow(ann, ben).await;
    world.follow(cid, ann).await;
    let post = world.post(ben).await;
    let unfollow = |user| Command::Unfollow { user };
    let steps = [
        // (who, does what, whose timelines may have grown)
        (ann, Command::Follow { user: ben, limit: 0 }, [false, false]),
        (ben, Command::Publish { text: "new posts come through the log".into() }, [false, false]),
        (ann, Command::Like { post }, [false, false]),
        (ann, Command::Mute { user: ben }, [false, false]),
        (ann, Command::Unmute { user: ben }, [true, false]),
        (ann, unfollow(ben), [false, false]),
        (ann, Command::Follow { user: ben, limit: 0 }, [true, false]),
        (cid, unfollow(ann), [false, false]),
        (cid, Command::Follow { user: ann, limit: 0 }, [false, true]),
        (cid, Command::Block { user: ann }, [false, false]),
        (cid, Command::Unblock { user: ann }, [true, true]),
        (ben, Command::Remove { post }, [false, false]),
    ];
    for (actor, command, grows) in steps {
        let settled = |reader| view_after(&world, reader, |view: &FollowView| view.widened);
        let before = [settled(ann).await, settled(cid).await];
        world.done(actor, command.clone()).await;
        let after = [view(&world, ann).await, view(&world, cid).await];
        for ((before, after), grew) in before.iter().zip(&after).zip(grows) {
            assert_eq!(after.widened >= before.stamp, grew, "{command:?}: {before:?} {after:?}");
        }
    }
}

pub(super) async fn pages_of_followers_cover_every_follower_of_the_slots_once(store: Arc<dyn Store>) {
    let (mut world, [ann]) = World::with_users(store, ["ann"]).await;
    for n in 0..60 {
        let follower = world.user(&format!("user{n}")).await;
        if n % 5 != 0 {
            world.follow(follower, ann).await;
        }
    }
    // The author follows back: nobody is among their own followers.
    let back = world.truth.followers(ann)[3];
    world.follow(ann, back).await;
    let all = world.truth.followers(ann);
    let bounds = [0, 1, 700, 701, 2_048, 3_000, SlotRange::ALL.end];
    let ranges = bounds.windows(2).map(|pair| SlotRange { start: pair[0], end: pair[1] });
    for limit in [1, 3, 1_000] {
        let mut covered = Vec::new();
        for slots in ranges.clone().chain([SlotRange::ALL]) {
            let mut readers: Vec<UserId> = Vec::new();
            let mut after = Some(UserId(0));
            while let Some(from) = after {
                let page = world.store.followers(ann, slots, from, limit).await.expect("the store gives a page");
                assert!(page.readers.len() <= limit && page.next.is_none_or(|next| next > from), "{page:?}");
                readers.extend(&page.readers);
                after = page.next;
            }
            let expected: Vec<UserId> = all.iter().copied().filter(|&reader| slots.holds(reader)).collect();
            assert_eq!(readers, expected, "{slots:?} in pages of {limit}");
            covered.extend(readers);
        }
        covered.sort_unstable();
        let twice: Vec<UserId> = all.iter().flat_map(|&reader| [reader; 2]).collect();
        assert_eq!(covered, twice, "once in its range and once in all");
    }
}

/// Each writer follows one after another and looks at its view in between, while others do the same.
pub(super) async fn views_never_miss_what_was_acknowledged_while_others_write(store: Arc<dyn Store>) {
    let (mut world, _) = World::with_users(store, []).await;
    let mut users = Vec::new();
    for n in 0..12 {
        users.push(world.user(&format!("user{n}")).await);
    }
    let mut writers = Vec::new();
    for &reader in &users {
        let others: Vec<UserId> = users.iter().copied().filter(|&user| user != reader).collect();
        let follow = |&user: &UserId| world.request(reader, Command::Follow { user, limit: 0 });
        let requests: Vec<_> = others.iter().map(follow).collect();
        let store = world.store.clone();
        writers.push(tokio::spawn(async move {
            for (n, request) in requests.iter().enumerate() {
                let before = store.view(reader).await.expect("the store gives a view");
                store.commit(request).await.expect("the follow is committed");
                let after = store.view(reader).await.expect("the store gives a view");
                let stamp = stamp_of(&after, others[n]);
                assert!(after.follows.len() == n + 1 && stamp >= before.stamp && before.stamp <= after.stamp);
                assert!(after.widened >= before.stamp);
            }
        }));
    }
    for writer in writers {
        writer.await.expect("views keep up with acknowledgements");
    }
    for author in users {
        let page = world.store.followers(author, SlotRange::ALL, UserId(0), 99).await.expect("a page");
        assert_eq!(page.readers.len(), 11);
    }
}

//! The oracle itself, held against what can be said by hand.

use super::*;

const ANN: UserId = UserId(1);
const BEN: UserId = UserId(2);

fn two() -> Truth {
    let mut truth = Truth::new();
    for (id, handle) in [(ANN, "ann"), (BEN, "ben")] {
        truth.make_user(id, &handle.parse().unwrap(), handle);
    }
    truth
}

fn posted(truth: &mut Truth, author: UserId, id: u64) {
    let card = truth.users[&author].card.clone();
    let post = Post { id: PostId(id), author: card, text: "x".into(), likes: 0 };
    truth.apply(author, &Command::Publish { text: "x".into() }, &Outcome::Posted { post, channel: Channel::Push });
}

#[test]
fn a_timeline_is_what_one_follows_and_oneself_newest_first() {
    let mut truth = two();
    posted(&mut truth, ANN, 10);
    posted(&mut truth, BEN, 11);
    posted(&mut truth, ANN, 12);
    assert_eq!(truth.home(ANN), [PostId(12), PostId(10)]);
    truth.apply(ANN, &Command::Follow { user: BEN, limit: 0 }, &Outcome::Done);
    assert_eq!(truth.home(ANN), [PostId(12), PostId(11), PostId(10)]);
    truth.apply(ANN, &Command::Mute { user: BEN }, &Outcome::Done);
    assert_eq!(truth.home(ANN), [PostId(12), PostId(10)]);
    assert_eq!(truth.home_all(ANN).len(), 3);
}

#[test]
fn to_the_blocked_the_blocker_looks_absent() {
    let mut truth = two();
    posted(&mut truth, ANN, 10);
    posted(&mut truth, BEN, 11);
    truth.apply(BEN, &Command::Follow { user: ANN, limit: 0 }, &Outcome::Done);
    let event = truth.apply(ANN, &Command::Block { user: BEN }, &Outcome::Done);
    assert_eq!(event, Some(Event::Blocked { user: ANN, target: BEN }));
    assert!(truth.following(BEN).is_empty());
    let by_ben = |command| truth.predict(BEN, &command);
    for command in [Command::Follow { user: ANN, limit: 0 }, Command::Mute { user: ANN }, Command::Block { user: ANN }]
    {
        assert_eq!(by_ben(command), Err(Rejection::UnknownUser));
    }
    assert_eq!(by_ben(Command::Like { post: PostId(10) }), Err(Rejection::UnknownPost));
    assert_eq!(by_ben(Command::Remove { post: PostId(10) }), Err(Rejection::UnknownPost));
    assert_eq!(by_ben(Command::Unfollow { user: ANN }), Ok(()));
    assert_eq!(truth.predict(ANN, &Command::Like { post: PostId(11) }), Err(Rejection::UnknownPost));
    assert_eq!(truth.predict(ANN, &Command::Follow { user: BEN, limit: 0 }), Err(Rejection::Blocked));
    assert_eq!(truth.predict(ANN, &Command::Mute { user: BEN }), Ok(()));
    assert_eq!(truth.visible_post(BEN, PostId(10)), None);
    assert!(truth.visible_post(ANN, PostId(10)).is_some());
}

#[test]
fn heat_is_reckoned_when_followers_change_and_keeps_its_memory() {
    let mut truth = two();
    let settings = TuningSettings { enter_followers: 1, leave_followers: 0, ..TuningSettings::default() };
    truth.tunings.push(settings);
    truth.apply(ANN, &Command::Follow { user: BEN, limit: 0 }, &Outcome::Done);
    truth.apply(ANN, &Command::Unfollow { user: BEN }, &Outcome::Done);
    assert!(truth.author(BEN).unwrap().heat.hot, "leave_followers = 0 is never left");
    assert!(!truth.author(ANN).unwrap().heat.hot);
}

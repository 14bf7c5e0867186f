//! Pages that are right, and pages that are wrong in one way each.

use std::time::Duration;

use super::*;
use crate::import::user_id;

const WORLD_ENDS: PostId = PostId(1_000);
const RUN_BEGINS: PostId = PostId(2_000);

fn reader_id() -> UserId {
    user_id(1)
}

fn author() -> UserId {
    user_id(2)
}

fn stranger() -> UserId {
    user_id(3)
}

/// A reader who follows one author; both they and a stranger have imported posts.
fn sample() -> Sample {
    let mut sample = Sample::new(1);
    sample.readers.push(Reader { user: 1, id: reader_id(), follows: vec![author()] });
    sample.posts.insert(reader_id(), vec![PostId(15)]);
    sample.posts.insert(author(), vec![PostId(10), PostId(20), PostId(30)]);
    sample.posts.insert(stranger(), vec![PostId(25)]);
    sample
}

/// A page that was asked for `after` the acknowledgement of everything in the ledger.
fn page(after: Duration, items: &[(u64, UserId)]) -> Observation {
    let sent = Instant::now() + after;
    let items = items.iter().map(|&(id, author)| Item { id: PostId(id), author, text: id }).collect();
    Observation {
        reader: 0,
        sent,
        answered: sent + Duration::from_millis(1),
        to_the_end: true,
        cut_short: false,
        items,
    }
}

const SOON: Duration = Duration::from_millis(10);
const LATE: Duration = Duration::from_secs(6);

fn told(sample: &Sample, ledger: &Ledger, page: &Observation) -> Vec<(Wrong, u64)> {
    let judge = Judge { sample, ledger, run_begins: RUN_BEGINS, world_ends: WORLD_ENDS };
    judge.faults(page).into_iter().map(|fault| (fault.wrong, fault.post.0)).collect()
}

#[test]
fn an_imported_timeline_is_right_or_told() {
    let (sample, ledger) = (sample(), Ledger::default());
    let a = author();
    let right = [(30, a), (20, a), (15, reader_id()), (10, a)];
    assert_eq!(told(&sample, &ledger, &page(LATE, &right)), []);
    assert_eq!(told(&sample, &ledger, &page(LATE, &[(30, a), (15, reader_id()), (10, a)])), [(Wrong::Missing, 20)]);
    assert_eq!(told(&sample, &ledger, &page(LATE, &right[..3])), [(Wrong::Missing, 10)]);
    let first = Observation { to_the_end: false, ..page(LATE, &right[..3]) };
    assert_eq!(told(&sample, &ledger, &first), [], "what lies below the page is not judged");
    let cut = Observation { cut_short: true, ..first };
    assert_eq!(told(&sample, &ledger, &cut), [(Wrong::CutShort, 15)]);
    let swapped = [(30, a), (15, reader_id()), (20, a), (10, a)];
    assert_eq!(told(&sample, &ledger, &page(LATE, &swapped)), [(Wrong::OutOfOrder, 20)]);
    let twice = [(30, a), (30, a), (20, a), (15, reader_id()), (10, a)];
    assert_eq!(told(&sample, &ledger, &page(LATE, &twice)), [(Wrong::OutOfOrder, 30)]);
    let strange = [(30, a), (25, stranger()), (20, a), (15, reader_id()), (10, a)];
    assert_eq!(told(&sample, &ledger, &page(LATE, &strange)), [(Wrong::Unexpected, 25)]);
    let made_up = [(30, a), (20, a), (15, reader_id()), (12, a), (10, a)];
    assert_eq!(told(&sample, &ledger, &page(LATE, &made_up)), [(Wrong::Unexpected, 12)]);
}

const OLD: [(fn() -> UserId, u64); 4] = [(author, 30), (author, 20), (reader_id, 15), (author, 10)];

fn with_old(first: &[(u64, UserId)]) -> Vec<(u64, UserId)> {
    first.iter().copied().chain(OLD.map(|(author, id)| (id, author()))).collect()
}

#[test]
fn anothers_post_may_be_late_and_ones_own_may_not() {
    let sample = sample();
    let mut ledger = Ledger::new(&sample);
    ledger.posted(2, author(), PostId(2_001), Instant::now());
    assert_eq!(told(&sample, &ledger, &page(SOON, &with_old(&[]))), []);
    assert_eq!(told(&sample, &ledger, &page(SOON, &with_old(&[(2_001, author())]))), []);
    assert_eq!(told(&sample, &ledger, &page(LATE, &with_old(&[]))), [(Wrong::Missing, 2_001)]);
    ledger.posted(1, reader_id(), PostId(2_002), Instant::now());
    assert_eq!(told(&sample, &ledger, &page(SOON, &with_old(&[]))), [(Wrong::Missing, 2_002)]);
}

#[test]
fn a_post_before_it_was_sent_or_of_nobody_is_unexpected() {
    let sample = sample();
    let mut ledger = Ledger::new(&sample);
    let served = with_old(&[(2_001, author())]);
    assert_eq!(told(&sample, &ledger, &page(SOON, &served)), [(Wrong::Unexpected, 2_001)]);
    let early = page(Duration::ZERO, &served);
    ledger.posted(2, author(), PostId(2_001), early.answered + SOON);
    assert_eq!(told(&sample, &ledger, &early), [(Wrong::Unexpected, 2_001)]);
}

#[test]
fn posts_of_earlier_runs_and_of_unknown_outcome_may_be_there() {
    let sample = sample();
    let mut ledger = Ledger::new(&sample);
    assert_eq!(told(&sample, &ledger, &page(SOON, &with_old(&[(1_500, author())]))), []);
    ledger.maybe_posted(author(), "lost");
    let mut served = page(LATE, &with_old(&[(2_005, author())]));
    served.items[0].text = crate::verify::text_hash("lost");
    assert_eq!(told(&sample, &ledger, &served), []);
    assert_eq!(told(&sample, &ledger, &page(LATE, &with_old(&[]))), []);
}

#[test]
fn a_removed_post_goes_within_the_time_in_which_it_must() {
    let sample = sample();
    let mut ledger = Ledger::new(&sample);
    ledger.posted(2, author(), PostId(2_001), Instant::now());
    ledger.removing(PostId(2_001));
    let (with, without) = (with_old(&[(2_001, author())]), with_old(&[]));
    for served in [&with, &without] {
        assert_eq!(told(&sample, &ledger, &page(LATE, served)), [], "in flight");
    }
    ledger.removed(PostId(2_001));
    assert_eq!(told(&sample, &ledger, &page(SOON, &with)), []);
    assert_eq!(told(&sample, &ledger, &page(LATE, &with)), [(Wrong::Unexpected, 2_001)]);
    assert_eq!(told(&sample, &ledger, &page(LATE, &without)), []);
}

#[test]
fn ones_own_follows_and_unfollows_show_at_once() {
    let sample = sample();
    let mut ledger = Ledger::new(&sample);
    let strange = (25, stranger());
    let with = [(30, author()), strange, (20, author()), (15, reader_id()), (10, author())];
    ledger.following(reader_id(), stranger(), true);
    for served in [&with_old(&[]), &with.to_vec()] {
        assert_eq!(told(&sample, &ledger, &page(SOON, served)), [], "in flight");
    }
    ledger.followed(reader_id());
    assert_eq!(told(&sample, &ledger, &page(SOON, &with)), []);
    assert_eq!(told(&sample, &ledger, &page(SOON, &with_old(&[]))), [(Wrong::Missing, 25)]);
    ledger.following(reader_id(), author(), false);
    ledger.followed(reader_id());
    let rest = [strange, (15, reader_id())];
    assert_eq!(told(&sample, &ledger, &page(SOON, &rest)), []);
    let unexpected = [(Wrong::Unexpected, 30), (Wrong::Unexpected, 20), (Wrong::Unexpected, 10)];
    assert_eq!(told(&sample, &ledger, &page(SOON, &with)), unexpected);
}

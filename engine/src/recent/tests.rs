//! The ring against a plain list of all events.

use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::*;
use crate::model::{Position, PostId, UserId};

const AUTHORS: u64 = 40;

/// What was appended: position, post, author.
#[derive(Default)]
struct Naive(Vec<(Position, PostId, UserId)>);

impl Naive {
    fn newest(&self, authors: &[UserId], after: Position, upto: Position) -> Vec<PostId> {
        let within = |p: Position| p > after && p <= upto;
        let mut ids: Vec<PostId> =
            self.0.iter().filter(|(p, _, a)| within(*p) && authors.contains(a)).map(|(_, id, _)| *id).collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids
    }
}

fn user(n: u64) -> UserId {
    UserId::new(crate::model::Millis(1_700_000_000_000 + n), (n % 1_024) as u16, 0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn the_ring_tells_what_was_logged_after_a_position_or_that_it_cannot(
        capacity in 2..200usize,
        steps in prop::collection::vec((0..AUTHORS, 0..4u64, 0..30u64), 1..600),
        asks in prop::collection::vec((0..600u64, prop::collection::vec(0..AUTHORS, 0..30), 1..60usize), 1..40),
    ) {
        let (ring, mut writer) = Ring::with_entries(capacity, Position(5));
        let mut naive = Naive::default();
        let mut last = std::collections::HashMap::new();
        let mut position = 5;
        for (n, (author, quiet, jitter)) in steps.iter().enumerate() {
            position += 1 + quiet;
            writer.advance(Position(position - 1));
            // Ids rise for each author, not over all.
            let id = (1_000 + n as u64 * 10 + jitter * 10).max(last.get(author).map_or(0, |id| id + 1)) * AUTHORS + author;
            last.insert(*author, id / AUTHORS);
            writer.append(Position(position), PostId(id), user(*author));
            naive.0.push((Position(position), PostId(id), user(*author)));
        }
        let snapshot = ring.snapshot();
        prop_assert_eq!(snapshot.position, Position(position));
        for (back, authors, limit) in asks {
            let after = Position(position.saturating_sub(back).max(5));
            let authors: Vec<UserId> = authors.into_iter().map(user).collect();
            let expected = naive.newest(&authors, after, Position(position));
            match snapshot.newest(&AuthorSet::new(authors.iter().copied()), after, limit) {
                Err(Lapped) => prop_assert!(after < ring.floor_position()),
                Ok(recent) => {
                    prop_assert!(after >= ring.floor_position());
                    prop_assert_eq!(&recent.ids, &expected.iter().copied().filter(|id| *id > recent.floor).collect::<Vec<_>>());
                    prop_assert!(recent.ids.len() == limit || recent.ids.len() == expected.len() || recent.floor > PostId::MIN);
                }
            }
            if let Some(&author) = authors.first()
                && let Ok(recent) = snapshot.of_author(author.into(), after, limit)
            {
                let mut expected = naive.newest(&[author], after, Position(position));
                expected.truncate(limit);
                prop_assert_eq!(recent.ids, expected);
            }
        }
        prop_assert!(ring.len() <= capacity);
    }
}

#[test]
fn readers_are_never_told_less_than_was_logged_while_the_writer_laps_them() {
    let (ring, mut writer) = Ring::with_entries(64, Position::ZERO);
    let done = AtomicBool::new(false);
    let authors: Vec<UserId> = (0..8).map(user).collect();
    let told = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|seed| {
                let (ring, done, authors) = (ring.clone(), &done, &authors);
                scope.spawn(move || {
                    let mut rng = fastrand::Rng::with_seed(seed);
                    let mut told = 0;
                    while !done.load(Ordering::Relaxed) {
                        let snapshot = ring.snapshot();
                        let back = rng.u64(0..80);
                        let after = Position(snapshot.position.0.saturating_sub(back));
                        let mine: Vec<UserId> = authors.iter().copied().filter(|_| rng.bool()).collect();
                        let Ok(recent) = snapshot.newest(&AuthorSet::new(mine.iter().copied()), after, 20) else {
                            continue;
                        };
                        // Event p is post p of author p % 8.
                        let all = (after.0 + 1..=snapshot.position.0)
                            .rev()
                            .filter(|p| mine.contains(&authors[(p % 8) as usize]));
                        let expected: Vec<PostId> = all.map(PostId).filter(|id| *id > recent.floor).collect();
                        assert_eq!(recent.ids, expected, "after {after:?} of {:?}", snapshot.position);
                        told += recent.ids.len();
                    }
                    told
                })
            })
            .collect();
        for p in 1..=2_000_000u64 {
            writer.append(Position(p), PostId(p), authors[(p % 8) as usize]);
        }
        done.store(true, Ordering::Relaxed);
        readers.into_iter().map(|r| r.join().unwrap()).sum::<usize>()
    });
    assert!(told > 1_000, "the readers must have read something: {told}");
}

#[test]
fn a_hole_raises_the_floor() {
    let (ring, mut writer) = Ring::with_entries(64, Position::ZERO);
    for p in 1..=10 {
        writer.append(Position(p), PostId(p), user(1));
    }
    writer.raise_floor(Position(11));
    writer.advance(Position(11));
    writer.append(Position(12), PostId(12), user(1));
    let (snapshot, authors) = (ring.snapshot(), AuthorSet::new([user(1)]));
    assert_eq!(snapshot.newest(&authors, Position(10), 10), Err(Lapped));
    assert_eq!(snapshot.newest(&authors, Position(11), 10).unwrap().ids, [PostId(12)]);
}

//! One writer and a reader over a ring of two entries, in every interleaving and memory order that loom explores.
//! Readers write nothing, so that a second one would add nothing but time.

use super::*;
use crate::model::{Position, PostId, UserId};

/// What must be told of an author who wrote post p in event p.
fn all(after: Position, upto: Position) -> Vec<PostId> {
    (after.0 + 1..=upto.0).rev().map(PostId).collect()
}

fn explore(appends: u64, ask: fn(&Snapshot, UserId, Position) -> Result<Recent, Lapped>) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.max_branches = 20_000;
    model.check(move || {
        let (ring, mut writer) = Ring::with_entries(2, Position::ZERO);
        let author = UserId(1 << 40);
        let reader = loom::thread::spawn(move || {
            let snapshot = ring.snapshot();
            let after = Position(snapshot.position.0.saturating_sub(1));
            if let Ok(recent) = ask(&snapshot, author, after) {
                assert_eq!(recent.ids, all(after, snapshot.position));
            }
        });
        for p in 1..=appends {
            writer.append(Position(p), PostId(p), author);
        }
        reader.join().unwrap();
    });
}

#[test]
fn loom_a_merge_while_the_ring_wraps() {
    explore(4, |snapshot, author, after| snapshot.newest(&AuthorSet::new([author]), after, 4));
}

#[test]
fn loom_a_stream_while_the_ring_wraps() {
    explore(4, |snapshot, author, after| snapshot.of_author(author.into(), after, 4));
}

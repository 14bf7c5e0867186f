//! One writer and readers over a ring of two entries, in every interleaving and memory order that loom explores.

use super::*;
use crate::model::{Position, PostId, UserId};

fn explore(appends: u64, readers: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let (ring, mut writer) = Ring::with_entries(2, Position::ZERO);
        let author = UserId(1 << 40);
        let threads: Vec<_> = (0..readers)
            .map(|_| {
                let ring = ring.clone();
                loom::thread::spawn(move || {
                    let snapshot = ring.snapshot();
                    let after = Position(snapshot.position.0.saturating_sub(1));
                    if let Ok(recent) = snapshot.newest(&AuthorSet::new([author]), after, 4) {
                        let expected: Vec<PostId> = (after.0 + 1..=snapshot.position.0).rev().map(PostId).collect();
                        assert_eq!(recent.ids, expected);
                    }
                    if let Ok(recent) = snapshot.of_author(author.into(), after, 4) {
                        let expected: Vec<PostId> = (after.0 + 1..=snapshot.position.0).rev().map(PostId).collect();
                        assert_eq!(recent.ids, expected);
                    }
                })
            })
            .collect();
        for p in 1..=appends {
            writer.append(Position(p), PostId(p), author);
        }
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn loom_one_reader_while_the_ring_wraps() {
    explore(4, 1);
}

#[test]
fn loom_two_readers() {
    explore(2, 2);
}

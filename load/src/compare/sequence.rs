//! What is done to every arm: one sequence of operations, drawn from a seed.

use std::sync::Arc;

use fastrand::Rng;

use super::graph::Graph;

/// Operations that are drawn; then they begin again, with other followees.
const LENGTH: usize = 1 << 20;
/// Steps from a followee to the one of the next lap: a prime, so that all users come.
const LAP: u64 = 7_919;
/// Readers that are there; the others come as these go.
const ACTIVE: f64 = 0.7;
/// Visits that go on to a second page.
const SECOND_PAGE: f64 = 0.3;
/// Pages to a post in the natural mix.
const PAGES_PER_POST: f64 = 50.0;

/// One thing that is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// A visit: the first page, perhaps the second.
    Read { reader: u32, second: bool },
    /// A post.
    Post { author: u32 },
    /// A follow.
    Follow { reader: u32, followee: u32 },
}

/// How often what is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mix {
    /// 50 pages to a post, 30% of visits with a second page.
    Natural,
    /// Of Pequod (NSDI 2014): 100 checks, 10 follows and 5 log-outs to a post. Who logs out is followed by somebody who was
    /// away; no arm is told of it.
    Twip,
}

/// The operations of a mix. Cheap to clone.
#[derive(Clone)]
pub struct Sequence {
    ops: Arc<[Op]>,
    users: u64,
}

impl Sequence {
    /// Draws the operations: authors as they posted, readers evenly from those who are there.
    pub fn draw(graph: &Graph, mix: Mix, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ mix as u64);
        let mut readers: Vec<u32> =
            (0..graph.handles.len() as u32).filter(|&user| !graph.followees[user as usize].is_empty()).collect();
        rng.shuffle(&mut readers);
        let active = ((readers.len() as f64 * ACTIVE) as usize).clamp(1, readers.len());
        let mut ops = Vec::with_capacity(LENGTH);
        while ops.len() < LENGTH {
            let author = graph.authors[rng.usize(..graph.authors.len())];
            let at = rng.usize(..active);
            let reader = readers[at];
            ops.push(match mix {
                Mix::Natural => {
                    let visits = PAGES_PER_POST / (1.0 + SECOND_PAGE);
                    if rng.f64() * (visits + 1.0) < 1.0 {
                        Op::Post { author }
                    } else {
                        Op::Read { reader, second: rng.f64() < SECOND_PAGE }
                    }
                }
                Mix::Twip => match rng.u32(..116) {
                    0 => Op::Post { author },
                    1..=10 if author != reader => Op::Follow { reader, followee: author },
                    11..=15 => {
                        // Where everybody is there, nobody can come.
                        let away = active + rng.usize(..=readers.len() - active);
                        if away < readers.len() {
                            readers.swap(at, away);
                        }
                        continue;
                    }
                    _ => Op::Read { reader, second: false },
                },
            });
        }
        Self { ops: ops.into(), users: graph.handles.len() as u64 }
    }

    /// The operation with this number.
    pub fn op(&self, number: u64) -> Op {
        let length = self.ops.len() as u64;
        match self.ops[(number % length) as usize] {
            Op::Follow { reader, followee } => {
                let other = ((u64::from(followee) + number / length * LAP) % self.users) as u32;
                if other == reader {
                    Op::Read { reader, second: false }
                } else {
                    Op::Follow { reader, followee: other }
                }
            }
            op => op,
        }
    }
}

//! The newest removals, in the order of the log: what the ring is for posts. Bounded (law 9); whoever is further behind
//! than they reach is told that there is a gap.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::limits::REMOVALS_KNOWN;
use crate::model::{Position, PostId, UserId};

/// A post that was removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Removed {
    /// The position of its removal.
    pub position: Position,
    /// The post.
    pub post: PostId,
    /// Its author.
    pub author: UserId,
}

/// The newest removals. The log's follower notes them; live streams read them.
#[derive(Debug)]
pub struct Removals(Mutex<Tail>);

#[derive(Debug)]
struct Tail {
    /// Oldest first.
    removed: VecDeque<Removed>,
    /// Every removal after this position is here.
    floor: Position,
}

impl Removals {
    /// None so far, of a node whose log begins after `position`.
    pub fn new(position: Position) -> Self {
        Self(Mutex::new(Tail { removed: VecDeque::new(), floor: position }))
    }

    /// The event at `position`, which is higher than every one before, says that the post was removed.
    pub fn note(&self, position: Position, post: PostId, author: UserId) {
        let mut tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.removed.len() == REMOVALS_KNOWN
            && let Some(oldest) = tail.removed.pop_front()
        {
            tail.floor = oldest.position;
        }
        tail.removed.push_back(Removed { position, post, author });
    }

    /// Every removal after this position is here.
    pub fn floor(&self) -> Position {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).floor
    }

    /// The first `limit` removals in `(after, upto]` whose authors are `of`; none where they do not reach back so far.
    pub fn between(
        &self,
        after: Position,
        upto: Position,
        limit: usize,
        of: impl Fn(UserId) -> bool,
    ) -> Option<Vec<Removed>> {
        let tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if after < tail.floor {
            return None;
        }
        let start = tail.removed.partition_point(|removed| removed.position <= after);
        let span = tail.removed.range(start..).take_while(|removed| removed.position <= upto);
        Some(span.filter(|removed| of(removed.author)).take(limit).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removals_are_told_in_order_as_far_as_they_reach() {
        let removals = Removals::new(Position(5));
        for n in 0..REMOVALS_KNOWN as u64 {
            removals.note(Position(10 + n), PostId(n), UserId(n % 2));
        }
        let posts = |after, upto, limit| {
            let told = removals.between(Position(after), Position(upto), limit, |author| author == UserId(1));
            told.map(|told| told.into_iter().map(|removed| removed.post.0).collect::<Vec<_>>())
        };
        assert_eq!(posts(4, 20, 9), None);
        assert_eq!(posts(5, 15, 9), Some(vec![1, 3, 5]));
        assert_eq!(posts(11, 15, 1), Some(vec![3]));
        removals.note(Position(1 << 40), PostId(7), UserId(1));
        assert_eq!(posts(5, 15, 9), None, "the oldest has gone");
        assert_eq!(posts(10, 15, 9), Some(vec![1, 3, 5]));
        assert_eq!(posts((1 << 40) - 1, 1 << 41, 9), Some(vec![7]));
    }
}

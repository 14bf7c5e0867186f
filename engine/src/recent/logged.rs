//! What was logged, in the order of the log: what live streams are told.

use super::authors::{AuthorSet, Tag};
use super::ring::{Lapped, Snapshot};
use crate::model::{Position, PostId};

/// Posts in the order in which they were logged.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Logged {
    /// Each with its position.
    pub posts: Vec<(Position, PostId)>,
    /// They are all up to here.
    pub upto: Position,
}

impl Snapshot<'_> {
    /// The first `limit` posts logged in `(after, self.position]` by `authors`. A tag's stranger may be among them.
    ///
    /// # Errors
    /// Where the ring does not reach back to `after`, or was overwritten meanwhile.
    pub fn logged(&self, authors: &AuthorSet, after: Position, limit: usize) -> Result<Logged, Lapped> {
        let mut posts = Vec::new();
        // Most who ask have nothing new. That is found out by the cheaper of two ways; the order only by a scan.
        if self.newest(authors, after, 1)?.ids.is_empty() {
            return Ok(Logged { posts, upto: self.position.max(after) });
        }
        let start = self.index_after(after)?;
        let mut slot = self.ring.slot(start);
        for index in start..self.end {
            let (id, link) = self.ring.entry(slot);
            if authors.has(Tag((link >> 32) as u32)) {
                posts.push((self.ring.position_at(index, self.position), id));
                if posts.len() == limit {
                    break;
                }
            }
            slot = if slot + 1 == self.ring.capacity() { 0 } else { slot + 1 };
        }
        if !self.ring.still_holds(start) {
            return Err(Lapped);
        }
        let upto = posts.last().filter(|_| posts.len() == limit).map_or(self.position, |last| last.0);
        Ok(Logged { posts, upto })
    }
}

#[cfg(all(test, not(tributary_loom)))]
mod tests {
    use super::*;
    use crate::model::UserId;
    use crate::recent::Ring;

    #[test]
    fn posts_come_in_the_order_of_the_log_and_in_parts() {
        let (ring, mut writer) = Ring::with_entries(8, Position::ZERO);
        let set = AuthorSet::new([UserId(1), UserId(2)]);
        // Ids fall while positions rise; every third is a stranger's.
        for n in 1..=12 {
            writer.append(Position(10 * n), PostId(100 - n), UserId(1 + n % 3));
        }
        let snapshot = ring.snapshot();
        let first = snapshot.logged(&set, Position(80), 2).unwrap();
        assert_eq!(first.posts, [(Position(90), PostId(91)), (Position(100), PostId(90))]);
        assert_eq!(first.upto, Position(100));
        let rest = snapshot.logged(&set, first.upto, 2).unwrap();
        assert_eq!((rest.posts, rest.upto), (vec![(Position(120), PostId(88))], Position(120)));
        assert_eq!(snapshot.logged(&set, Position(10), 2), Err(Lapped));
        let none = snapshot.logged(&AuthorSet::new([UserId(9)]), Position(80), 2).unwrap();
        assert_eq!((none.posts, none.upto), (Vec::new(), Position(120)));
        assert_eq!(
            snapshot.logged(&set, Position(500), 2).unwrap().upto,
            Position(500),
            "a position is never taken back"
        );
    }
}

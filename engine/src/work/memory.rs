//! A worker's memory of where its last segment for each reader ended, so that the next one joins on over rounds that
//! had nothing for the reader. It holds only while every round was grouped without a break: a segment that spanned a
//! round that was skipped would say that there was nothing in it.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::model::{Position, Stamp, UserId};

/// Rounds that are remembered at the most.
const ROUNDS: usize = 1 << 20;
/// Readers that are remembered at the most: some 40 bytes each.
const READERS: usize = 1 << 24;

/// One grouped round.
#[derive(Clone, Copy, Debug)]
struct Past {
    from: Position,
    stamp: Stamp,
}

/// Where each reader's segments ended, over an unbroken run of rounds. Readers are numbered densely.
#[derive(Debug, Default)]
pub struct Memory {
    numbers: FxHashMap<UserId, u32>,
    readers: Vec<UserId>,
    /// For each reader, the first round that its next segment spans.
    next_round: Vec<u64>,
    rounds: VecDeque<Past>,
    /// The number of the oldest round remembered.
    oldest: u64,
    end: Position,
}

impl Memory {
    /// The stamp of a round that had no posts for anybody: true whatever the follows.
    pub const ANY_STAMP: Stamp = Stamp(u64::MAX);

    /// The dense number of a reader, new or known. A reader that is new has had nothing in any round of the run.
    #[inline]
    pub fn number(&mut self, reader: UserId) -> u32 {
        *self.numbers.entry(reader).or_insert_with(|| {
            self.readers.push(reader);
            self.next_round.push(0);
            (self.readers.len() - 1) as u32
        })
    }

    /// The reader with this number.
    pub fn reader(&self, number: u32) -> UserId {
        self.readers[number as usize]
    }

    /// Readers known.
    pub fn len(&self) -> usize {
        self.readers.len()
    }

    /// Whether no reader is known.
    pub fn is_empty(&self) -> bool {
        self.readers.is_empty()
    }

    /// A round of `(from, to]` has been grouped, with followers read at `stamp` or later. Where it does not join on
    /// to the last, the memory begins anew.
    pub fn grouped(&mut self, from: Position, to: Position, stamp: Stamp) {
        if from != self.end {
            self.forget();
        }
        if self.rounds.len() == ROUNDS {
            self.rounds.pop_front();
            self.oldest += 1;
        }
        // A segment has the stamp of the first round it spans, for stamps rise; but those of rounds without posts.
        for past in self.rounds.iter_mut().rev().take_while(|past| past.stamp == Self::ANY_STAMP) {
            past.stamp = stamp;
        }
        self.rounds.push_back(Past { from, stamp });
        self.end = to;
    }

    /// A break: the next round begins a new run.
    pub fn forget(&mut self) {
        // Numbers stay as they are, for lists of them may be at hand; a new run spans nothing of the old one.
        self.oldest += self.rounds.len() as u64;
        self.rounds.clear();
    }

    /// Forgets all, where too many readers are known. Only between rounds: numbers given before mean nothing then.
    pub fn bound(&mut self) {
        if self.readers.len() > READERS {
            *self = Self::default();
        }
    }

    /// Where the reader's segment that ends with the last grouped round begins, and its stamp: those of the first
    /// round that it spans. The next one begins behind it.
    #[inline]
    pub fn span(&mut self, number: u32) -> (Position, Stamp) {
        let next = &mut self.next_round[number as usize];
        let first = (*next).max(self.oldest) - self.oldest;
        *next = self.oldest + self.rounds.len() as u64;
        let last = self.rounds.len() - 1;
        let past = self.rounds[(first as usize).min(last)];
        (past.from, past.stamp)
    }

    /// Readers whose next segment would begin at or before `position`: quiet for so long.
    pub fn quiet_since(&self, position: Position) -> Vec<u32> {
        let begun = self.rounds.partition_point(|past| past.from <= position) as u64;
        let first_kept = self.oldest + begun;
        (0..self.readers.len() as u32).filter(|&n| self.next_round[n as usize].max(self.oldest) < first_kept).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_spans_the_rounds_that_had_nothing_for_the_reader() {
        let mut memory = Memory::default();
        let (a, b) = (memory.number(UserId(1)), memory.number(UserId(2)));
        memory.grouped(Position(10), Position(20), Stamp(5));
        assert_eq!(memory.span(a), (Position(10), Stamp(5)));
        memory.grouped(Position(20), Position(30), Stamp(6));
        memory.grouped(Position(30), Position(40), Stamp(7));
        assert_eq!(memory.span(a), (Position(20), Stamp(6)), "the stamp is that of the first round it spans");
        assert_eq!(memory.span(b), (Position(10), Stamp(5)));
        let c = memory.number(UserId(3));
        assert_eq!(memory.span(c), (Position(10), Stamp(5)), "an unknown reader has had nothing in the whole run");
        assert_eq!(memory.quiet_since(Position(30)), [] as [u32; 0]);
        memory.grouped(Position(40), Position(50), Stamp(8));
        assert_eq!(memory.quiet_since(Position(40)), [a, b, c]);
    }

    #[test]
    fn a_round_without_posts_takes_the_stamp_of_the_next() {
        let mut memory = Memory::default();
        let a = memory.number(UserId(1));
        memory.grouped(Position(0), Position(10), Memory::ANY_STAMP);
        memory.grouped(Position(10), Position(20), Memory::ANY_STAMP);
        memory.grouped(Position(20), Position(30), Stamp(6));
        assert_eq!(memory.span(a), (Position(0), Stamp(6)));
    }

    #[test]
    fn after_a_break_a_segment_begins_where_its_own_round_does() {
        let mut memory = Memory::default();
        let (a, b) = (memory.number(UserId(1)), memory.number(UserId(2)));
        memory.grouped(Position(10), Position(20), Stamp(5));
        memory.span(a);
        memory.grouped(Position(25), Position(30), Stamp(6));
        assert_eq!(memory.span(a), (Position(25), Stamp(6)));
        assert_eq!(memory.span(b), (Position(25), Stamp(6)));
        memory.forget();
        memory.grouped(Position(30), Position(40), Stamp(7));
        assert_eq!(memory.span(a), (Position(30), Stamp(7)));
    }
}

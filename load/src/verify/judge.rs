//! The judgement: what a page of a sampled reader must hold, what it may hold, and what it does hold. Pure.
//!
//! A command in flight while the page was read may or may not show. What was acknowledged before the page was asked
//! for must: at once where it is the reader's own, and otherwise within [`SEEN_WITHIN`].

use std::cmp::Reverse;
use std::time::Instant;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use tributary_engine::model::{PostId, UserId};

use super::ledger::{Ledger, Span};
use super::{Reader, SEEN_WITHIN, Sample};

/// A post on a page.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Item {
    /// The post.
    pub id: PostId,
    /// Its author.
    pub author: UserId,
    /// Its text, hashed.
    pub text: u64,
}

/// The beginning of a reader's home timeline, as it was served.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Place among the sampled readers.
    pub reader: usize,
    /// Before it was asked for.
    pub sent: Instant,
    /// After it had come.
    pub answered: Instant,
    /// Whether it is all there is.
    pub to_the_end: bool,
    /// Whether a page was not full, and yet had another after it.
    pub cut_short: bool,
    /// In the order in which they came.
    pub items: Vec<Item>,
}

/// What is wrong with an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// It must be there, and is not.
    Missing,
    /// It is there, and must not be.
    Unexpected,
    /// It is not below the entry before it: out of order, or there twice.
    OutOfOrder,
    /// The page ends with it, though it is not full and there is more.
    CutShort,
}

/// One difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// What is wrong.
    pub wrong: Wrong,
    /// With which post.
    pub post: PostId,
    /// By whom.
    pub author: UserId,
}

/// What is known of something at the time of a page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Yes,
    Maybe,
    No,
}

/// Judges pages.
pub struct Judge<'a> {
    /// What the world says.
    pub sample: &'a Sample,
    /// What was commanded.
    pub ledger: &'a Ledger,
    /// Where ids of the run begin. Posts between the last of the world and these are by earlier runs: they may be there.
    pub run_begins: PostId,
    /// The last second of the world, as an id above all of its posts.
    pub world_ends: PostId,
}

impl Judge<'_> {
    /// Everything that is wrong with a page.
    pub fn faults(&self, page: &Observation) -> Vec<Fault> {
        let reader = &self.sample.readers[page.reader];
        let mut faults = Vec::new();
        for pair in page.items.windows(2).filter(|pair| pair[0].id <= pair[1].id) {
            faults.push(Fault { wrong: Wrong::OutOfOrder, post: pair[1].id, author: pair[1].author });
        }
        if let Some(last) = page.items.last().filter(|_| page.cut_short) {
            faults.push(Fault { wrong: Wrong::CutShort, post: last.id, author: last.author });
        }
        let authors = self.authors(reader, page);
        for item in &page.items {
            let follows = authors.get(&item.author).copied().unwrap_or(Known::No);
            if follows == Known::No || self.exists(reader, item, page) == Known::No {
                faults.push(Fault { wrong: Wrong::Unexpected, post: item.id, author: item.author });
            }
        }
        let found: FxHashSet<PostId> = page.items.iter().map(|item| item.id).collect();
        for (post, author) in self.required(reader, &authors, page).filter(|(post, _)| !found.contains(post)) {
            faults.push(Fault { wrong: Wrong::Missing, post, author });
        }
        faults.sort_by_key(|fault| Reverse(fault.post));
        faults
    }

    /// The posts that must be on a page, newest first.
    pub fn expected(&self, page: &Observation) -> Vec<PostId> {
        let reader = &self.sample.readers[page.reader];
        let authors = self.authors(reader, page);
        let mut expected: Vec<PostId> = self.required(reader, &authors, page).map(|(post, _)| post).collect();
        expected.sort_unstable_by_key(|&post| Reverse(post));
        expected
    }

    fn required<'b>(
        &'b self,
        reader: &'b Reader,
        authors: &'b FxHashMap<UserId, Known>,
        page: &'b Observation,
    ) -> impl Iterator<Item = (PostId, UserId)> + 'b {
        let floor = match page.items.last() {
            Some(last) if !page.to_the_end => last.id,
            None if !page.to_the_end => PostId::MAX,
            _ => PostId::MIN,
        };
        let followed = authors.iter().filter(|(_, follows)| **follows == Known::Yes);
        followed.flat_map(move |(&author, _)| self.must(reader, author, floor, page).map(move |post| (post, author)))
    }

    /// Everybody whose posts may be there.
    fn authors(&self, reader: &Reader, page: &Observation) -> FxHashMap<UserId, Known> {
        let mut authors: FxHashMap<UserId, Known> = reader.follows.iter().map(|&author| (author, Known::Yes)).collect();
        for command in self.ledger.follows_of(reader.id) {
            let before = authors.get(&command.author).copied().unwrap_or(Known::No);
            let after = if command.follows { Known::Yes } else { Known::No };
            let known = match own(command.span, page) {
                Known::Yes => after,
                Known::Maybe if before != after => Known::Maybe,
                Known::Maybe | Known::No => before,
            };
            authors.insert(command.author, known);
        }
        authors.insert(reader.id, Known::Yes);
        authors
    }

    /// The posts by an author, above `floor`, that must be on the page.
    fn must(&self, reader: &Reader, author: UserId, floor: PostId, page: &Observation) -> impl Iterator<Item = PostId> {
        let imported = self.sample.posts.get(&author).map_or(&[][..], Vec::as_slice);
        let imported = imported[imported.partition_point(|&post| post <= floor)..].iter().copied();
        let written = self.ledger.posts_of(author).iter();
        let written = written.filter(move |(id, span)| *id > floor && seen(reader, author, *span, page) == Known::Yes);
        let stands = |post: &PostId| self.ledger.removal(*post).is_none_or(|span| span.sent > page.answered);
        imported.chain(written.map(|(id, _)| *id)).filter(stands)
    }

    /// Whether a post that is on the page exists.
    fn exists(&self, reader: &Reader, item: &Item, page: &Observation) -> Known {
        let removed = self.ledger.removal(item.id).map_or(Known::No, |span| seen(reader, item.author, span, page));
        if removed == Known::Yes {
            return Known::No;
        }
        if item.id < self.world_ends {
            let imported =
                self.sample.posts.get(&item.author).is_some_and(|posts| posts.binary_search(&item.id).is_ok());
            return if imported { Known::Yes } else { Known::No };
        }
        if item.id < self.run_begins || self.ledger.is_doubtful(item.author, item.text) {
            return Known::Maybe;
        }
        let written = self.ledger.posts_of(item.author).iter().find(|(id, _)| *id == item.id);
        written.map_or(Known::No, |(_, span)| seen(reader, item.author, *span, page))
    }
}

/// Whether a reader's own command shows on a page.
fn own(span: Span, page: &Observation) -> Known {
    match span.acked {
        _ if span.sent > page.answered => Known::No,
        Some(acked) if acked < page.sent => Known::Yes,
        _ => Known::Maybe,
    }
}

/// Whether a command by `actor` shows on a page of `reader`.
fn seen(reader: &Reader, actor: UserId, span: Span, page: &Observation) -> Known {
    match own(span, page) {
        Known::Yes if actor != reader.id => {
            let late = span.acked.is_some_and(|acked| acked + SEEN_WITHIN >= page.sent);
            if late { Known::Maybe } else { Known::Yes }
        }
        known => known,
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;

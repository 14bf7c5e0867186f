//! The textbook's merges of a home timeline, which benchmarks put beside the engine's: a table of the newest post of each
//! author, every post naming the author's one before, as in "Twitter on one machine" (T. Hume, 2023).

use std::collections::BinaryHeap;

use crate::model::PostId;

const END: u32 = u32::MAX;

/// Posts chained by author. Authors are named by index.
pub struct Chains {
    heads: Vec<u32>,
    posts: Vec<(u64, u32)>,
}

impl Chains {
    /// Nobody of so many `authors` has posted yet; there is room for so many `posts`.
    pub fn new(authors: usize, posts: usize) -> Self {
        Self { heads: vec![END; authors], posts: Vec::with_capacity(posts) }
    }

    /// A post, newer than all before; at most 2^32 - 1 of them.
    pub fn push(&mut self, author: u32, id: PostId) {
        let previous = std::mem::replace(&mut self.heads[author as usize], self.posts.len() as u32);
        self.posts.push((id.0, previous));
    }

    /// How many have posted.
    pub fn authors(&self) -> usize {
        self.heads.iter().filter(|head| **head != END).count()
    }

    /// Chain and heap: a heap of everybody's newest, pop and push until the page is full. Ids, newest first.
    pub fn merge(&self, authors: &[u32], count: usize, page: &mut Vec<u64>) {
        page.clear();
        let heads = authors.iter().map(|&author| self.heads[author as usize]).filter(|&head| head != END);
        let mut heap: BinaryHeap<(u64, u32)> = heads.map(|head| self.posts[head as usize]).collect();
        while page.len() < count {
            let Some((id, previous)) = heap.pop() else { break };
            page.push(id);
            if previous != END {
                heap.push(self.posts[previous as usize]);
            }
        }
    }

    /// Collect everything, sort, truncate (as Thunder does). Ids, newest first.
    pub fn collect(&self, authors: &[u32], count: usize, page: &mut Vec<u64>) {
        page.clear();
        for &author in authors {
            let mut next = self.heads[author as usize];
            while next != END {
                let (id, previous) = self.posts[next as usize];
                page.push(id);
                next = previous;
            }
        }
        page.sort_unstable_by(|a, b| b.cmp(a));
        page.truncate(count);
    }
}

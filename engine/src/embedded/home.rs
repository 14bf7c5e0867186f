//! The pull truth (law 1): home(u) merged from the authors' own indices, newest first.
//!
//! A heap holds each author's newest post that is not yet taken, and each author's range stands just below it. So a
//! page costs one seek an author and one step a post, whatever the authors have written.

use std::collections::BinaryHeap;

use redb::ReadTransaction;

use super::fault::Fault;
use super::lists;
use super::reads;
use super::tables::{FOLLOWS, POSTS_BY};
use crate::model::{PostId, UserId};

/// Whom the reader follows, and the reader: the authors of the unfiltered home timeline.
pub(super) fn authors(t: &ReadTransaction, reader: UserId) -> Result<Vec<UserId>, Fault> {
    let follows = lists::all(&t.open_table(FOLLOWS)?, reader)?;
    Ok(follows.into_iter().map(|entry| entry.user).chain([reader]).collect())
}

/// The authors whose posts the reader may see.
pub(super) fn visible_authors(t: &ReadTransaction, reader: UserId) -> Result<Vec<UserId>, Fault> {
    let view = reads::view(t, reader)?;
    let followees = view.follows.iter().map(|follow| follow.followee);
    Ok(followees.chain([reader]).filter(|author| view.shows(reader, *author)).collect())
}

/// Up to `limit` posts below `before` by `authors`, newest first.
pub(super) fn merge(
    t: &ReadTransaction,
    authors: &[UserId],
    before: PostId,
    limit: usize,
) -> Result<Vec<PostId>, Fault> {
    let table = t.open_table(POSTS_BY)?;
    let mut below = Vec::with_capacity(authors.len());
    let mut newest = BinaryHeap::with_capacity(authors.len());
    for author in authors {
        let mut posts = table.range((author.0, 0)..(author.0, before.0))?;
        if let Some(row) = posts.next_back() {
            newest.push((row?.0.value().1, below.len()));
            below.push(posts);
        }
    }
    let mut merged = Vec::with_capacity(limit.min(1_024));
    while merged.len() < limit
        && let Some(mut top) = newest.peek_mut()
    {
        let (post, author) = *top;
        merged.push(PostId(post));
        match below[author].next_back() {
            Some(row) => top.0 = row?.0.value().1,
            None => {
                std::collections::binary_heap::PeekMut::pop(top);
            }
        }
    }
    Ok(merged)
}

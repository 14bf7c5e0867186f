//! Bulk import: a batch a transaction, sorted so that each list and row is written once a batch. Commits are only made
//! visible; [`finish`] makes all of them durable. Repeating a batch changes nothing, and no events are made: an
//! import is for a store that no node serves, and ends with a new epoch. Channels are chosen by the thresholds, for
//! nobody has measured what is imported.

use std::collections::BTreeMap;

use redb::ReadableTable;

use super::codec::{PostRow, UserRow};
use super::fault::Fault;
use super::lists::{self, Entry};
use super::tables::META_EPOCH;
use super::writing::{Need, Writing};
use crate::model::{Channel, Epoch, PostId, Stamp, UserId};
use crate::ports::{ImportedPost, ImportedUser};

pub(super) fn users(w: &mut Writing<'_>, users: &[ImportedUser]) -> Result<(), Fault> {
    for ImportedUser { id, handle } in users {
        match w.user(*id)? {
            Some(row) if row.handle == *handle => continue,
            Some(row) => return Err(conflict(format!("user {id} is {} already, not {handle}", row.handle))),
            None => {}
        }
        let holder = w.handles.insert(handle.as_str(), id.0)?.map(|holder| holder.value());
        if let Some(holder) = holder {
            return Err(conflict(format!("the handle {handle} belongs to user {holder} already")));
        }
        w.put_user(*id, &UserRow::new(handle.clone(), handle.as_str()))?;
    }
    w.must(Need::Visible);
    Ok(())
}

pub(super) fn follows(w: &mut Writing<'_>, follows: &[(UserId, Vec<UserId>)]) -> Result<(), Fault> {
    let (stamp, thresholds) = (w.present(), w.tuning()?.settings);
    let mut edges = Vec::new();
    for (reader, followees) in follows {
        let mut row = w.user(*reader)?.ok_or_else(|| unknown(*reader))?;
        let mut entries: Vec<Entry> =
            followees.iter().filter(|user| *user != reader).map(|&user| Entry { user, stamp }).collect();
        entries.sort_unstable_by_key(|entry| entry.user);
        entries.dedup_by_key(|entry| entry.user);
        let added = lists::insert(&mut w.follows, *reader, &entries)?;
        if !added.is_empty() {
            row.following += added.len() as u64;
            w.put_user(*reader, &row)?;
            edges.extend(added.into_iter().map(|followee| (followee, *reader)));
        }
    }
    edges.sort_unstable();
    for audience in edges.chunk_by(|a, b| a.0 == b.0) {
        let author = audience[0].0;
        let mut row = w.user(author)?.ok_or_else(|| unknown(author))?;
        let entries: Vec<Entry> = audience.iter().map(|&(_, user)| Entry { user, stamp: Stamp::default() }).collect();
        lists::insert(&mut w.followers, author, &entries)?;
        row.followers += entries.len() as u64;
        row.heat = row.heat.by_followers(row.followers, &thresholds);
        w.put_user(author, &row)?;
    }
    w.must(Need::Visible);
    Ok(())
}

pub(super) fn posts(w: &mut Writing<'_>, posts: &[ImportedPost]) -> Result<(), Fault> {
    let thresholds = w.tuning()?.settings;
    let mut by_author: BTreeMap<UserId, Vec<&ImportedPost>> = BTreeMap::new();
    for post in posts {
        by_author.entry(post.author).or_default().push(post);
    }
    let mut rows = Vec::with_capacity(posts.len());
    for (author, posts) in by_author {
        let mut row = w.user(author)?.ok_or_else(|| unknown(author))?;
        row.heat = row.heat.by_followers(row.followers, &thresholds);
        let channel = row.heat.channel();
        let mut newest = PostId::MIN;
        for post in posts {
            // Ids rise within an author: only those up to the last can be there already.
            if post.id <= row.last_post && w.posts_by.get((author.0, post.id.0))?.is_some() {
                continue;
            }
            w.posts_by.insert((author.0, post.id.0), ())?;
            rows.push((post, channel));
            newest = newest.max(post.id);
        }
        if newest == PostId::MIN {
            continue;
        }
        row.last_post = row.last_post.max(newest);
        w.put_user(author, &row)?;
        if channel == Channel::Pull {
            let present = w.pull_authors.get(author.0)?.map_or(0, |id| id.value());
            w.pull_authors.insert(author.0, newest.0.max(present))?;
        }
    }
    rows.sort_unstable_by_key(|(post, _)| post.id);
    for (ImportedPost { id, author, text }, channel) in rows {
        let row = PostRow { author: *author, channel, text }.encode();
        if w.posts.insert(id.0, row.as_slice())?.is_some() {
            return Err(conflict(format!("two posts have the id {id}")));
        }
    }
    w.must(Need::Visible);
    Ok(())
}

/// Gives the history a new identity, drops what was derived from the old one, and makes everything durable.
pub(super) fn finish(w: &mut Writing<'_>) -> Result<Epoch, Fault> {
    let epoch = new_epoch();
    w.meta.insert(META_EPOCH, epoch.0)?;
    w.checkpoints.retain(|_, _| false)?;
    w.must(Need::Durable);
    Ok(epoch)
}

/// A random identity of a history.
pub(super) fn new_epoch() -> Epoch {
    Epoch(fastrand::u64(1..=i64::MAX as u64))
}

fn unknown(user: UserId) -> Fault {
    conflict(format!("user {user} is unknown: import the users first"))
}

fn conflict(why: String) -> Fault {
    Fault::Conflict(why)
}

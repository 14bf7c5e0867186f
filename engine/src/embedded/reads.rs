//! Point reads and short lists, each over one snapshot.

use std::ops::ControlFlow;

use bytes::Bytes;
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};
use rustc_hash::FxHashMap;

use super::codec::{PostRow, UserRow, from_json};
use super::fault::Fault;
use super::lists;
use super::tables::{
    BLOCKED_BY, BLOCKS, CHECKPOINTS, FOLLOWERS, FOLLOWS, HANDLES, LIKE_COUNTS, LIKES, META, META_SEQUENCE, MUTES,
    NOTES, POSTS, POSTS_BY, PULL_AUTHORS, Pairs, SUBJECTS, TUNINGS, USERS,
};
use crate::limits::FOLLOWERS_PAGE;
use crate::model::{
    AuthorState, ChangedBy, FollowView, Following, Handle, Identity, Post, PostId, SlotRange, Stamp, Tuning, User,
    UserCard, UserId,
};
use crate::ports::{Followers, ListedTuning, UserList};

/// A number of the store; 0 where it was never set.
pub(super) fn number(t: &ReadTransaction, name: &str) -> Result<u64, Fault> {
    Ok(t.open_table(META)?.get(name)?.map_or(0, |value| value.value()))
}

/// The stamp of this snapshot: above every change that it holds, not above any that it lacks.
fn stamp(t: &ReadTransaction) -> Result<Stamp, Fault> {
    Ok(Stamp(number(t, META_SEQUENCE)? + 1))
}

fn user_row(t: &ReadTransaction, id: UserId) -> Result<Option<UserRow>, Fault> {
    t.open_table(USERS)?.get(id.0)?.map(|row| UserRow::decode(row.value())).transpose()
}

pub(super) fn users(t: &ReadTransaction, ids: &[UserId]) -> Result<Vec<Option<User>>, Fault> {
    let table = t.open_table(USERS)?;
    let one = |id: &UserId| table.get(id.0)?.map(|row| Ok(UserRow::decode(row.value())?.user(*id))).transpose();
    ids.iter().map(one).collect()
}

pub(super) fn has_users(t: &ReadTransaction) -> Result<bool, Fault> {
    Ok(!t.open_table(USERS)?.is_empty()?)
}

pub(super) fn all_users(t: &ReadTransaction, after: UserId, limit: usize) -> Result<Vec<UserId>, Fault> {
    let users = t.open_table(USERS)?.range(after.0.saturating_add(1)..)?;
    users.take(limit).map(|row| Ok(UserId(row?.0.value()))).collect()
}

pub(super) fn user_by_handle(t: &ReadTransaction, handle: &Handle) -> Result<Option<User>, Fault> {
    let Some(id) = t.open_table(HANDLES)?.get(handle.as_str())?.map(|id| UserId(id.value())) else { return Ok(None) };
    Ok(user_row(t, id)?.map(|row| row.user(id)))
}

pub(super) fn user_of_identity(t: &ReadTransaction, identity: &Identity) -> Result<Option<User>, Fault> {
    let key = (&*identity.provider, &*identity.subject);
    let Some(id) = t.open_table(SUBJECTS)?.get(key)?.map(|id| UserId(id.value())) else { return Ok(None) };
    Ok(user_row(t, id)?.map(|row| row.user(id)))
}

pub(super) fn user_list(
    t: &ReadTransaction,
    user: UserId,
    list: UserList,
    after: UserId,
    limit: usize,
) -> Result<Vec<UserId>, Fault> {
    let chunks = match list {
        UserList::Followers => FOLLOWERS,
        UserList::Following => FOLLOWS,
        UserList::Mutes => return pairs(t, MUTES, user, after, limit),
        UserList::Blocks => return pairs(t, BLOCKS, user, after, limit),
    };
    let mut users = Vec::new();
    lists::scan(&t.open_table(chunks)?, user, after, |entry| {
        if users.len() == limit {
            return ControlFlow::Break(());
        }
        users.push(entry.user);
        ControlFlow::Continue(())
    })?;
    Ok(users)
}

fn pairs(t: &ReadTransaction, table: Pairs, owner: UserId, after: UserId, limit: usize) -> Result<Vec<UserId>, Fault> {
    let range = t.open_table(table)?.range((owner.0, after.0.saturating_add(1))..=(owner.0, u64::MAX))?;
    range.take(limit).map(|row| Ok(UserId(row?.0.value().1))).collect()
}

pub(super) fn view(t: &ReadTransaction, reader: UserId) -> Result<FollowView, Fault> {
    let all = |table| pairs(t, table, reader, UserId(0), usize::MAX).map(Vec::into_boxed_slice);
    let follows = lists::all(&t.open_table(FOLLOWS)?, reader)?;
    Ok(FollowView {
        follows: follows.into_iter().map(|e| Following { followee: e.user, stamp: e.stamp }).collect(),
        mutes: all(MUTES)?,
        blocks: all(BLOCKS)?,
        blocked_by: all(BLOCKED_BY)?,
        stamp: stamp(t)?,
        widened: user_row(t, reader)?.map_or(Stamp::default(), |row| row.widened),
    })
}

/// Looks at no more than [`FOLLOWERS_PAGE`] followers, so that a narrow range of slots in a huge audience comes in
/// short pages instead of one long one.
pub(super) fn followers(
    t: &ReadTransaction,
    author: UserId,
    slots: SlotRange,
    after: UserId,
    limit: usize,
) -> Result<Followers, Fault> {
    let (mut readers, mut seen, mut last, mut next) = (Vec::new(), 0, after, None);
    lists::scan(&t.open_table(FOLLOWERS)?, author, after, |entry| {
        if readers.len() >= limit || seen >= FOLLOWERS_PAGE {
            next = Some(last);
            return ControlFlow::Break(());
        }
        seen += 1;
        last = entry.user;
        if slots.holds(entry.user) {
            readers.push(entry.user);
        }
        ControlFlow::Continue(())
    })?;
    Ok(Followers { readers, next, stamp: stamp(t)? })
}

pub(super) fn posts(t: &ReadTransaction, ids: &[PostId]) -> Result<Vec<Option<Post>>, Fault> {
    let (posts, users, counts) = (t.open_table(POSTS)?, t.open_table(USERS)?, t.open_table(LIKE_COUNTS)?);
    let mut cards: FxHashMap<UserId, UserCard> = FxHashMap::default();
    let mut found = Vec::with_capacity(ids.len());
    for &id in ids {
        let Some(row) = posts.get(id.0)? else {
            found.push(None);
            continue;
        };
        let row = PostRow::decode(row.value())?;
        let author = match cards.get(&row.author) {
            Some(card) => card.clone(),
            None => {
                let user = users.get(row.author.0)?.ok_or(Fault::Malformed("a post's author is unknown"))?;
                let card = UserRow::decode(user.value())?.card(row.author);
                cards.insert(row.author, card.clone());
                card
            }
        };
        let likes = counts.get(id.0)?.map_or(0, |count| count.value());
        found.push(Some(Post { id, author, text: row.text.into(), likes }));
    }
    Ok(found)
}

pub(super) fn posts_by(
    t: &ReadTransaction,
    authors: &[UserId],
    before: PostId,
    limit: usize,
) -> Result<Vec<Vec<PostId>>, Fault> {
    let table = t.open_table(POSTS_BY)?;
    let newest = |author: &UserId| {
        let range = table.range((author.0, 0)..(author.0, before.0))?.rev();
        range.take(limit).map(|row| Ok(PostId(row?.0.value().1))).collect()
    };
    authors.iter().map(newest).collect()
}

/// The work is bounded by the reader's own likes: those of removed posts are passed over.
pub(super) fn likes(t: &ReadTransaction, reader: UserId, limit: usize) -> Result<Vec<PostId>, Fault> {
    let (likes, posts) = (t.open_table(LIKES)?, t.open_table(POSTS)?);
    let mut newest = Vec::new();
    for row in likes.range((reader.0, 0)..=(reader.0, u64::MAX))?.rev() {
        if newest.len() == limit {
            break;
        }
        let post = row?.0.value().1;
        if posts.get(post)?.is_some() {
            newest.push(PostId(post));
        }
    }
    Ok(newest)
}

pub(super) fn liked(t: &ReadTransaction, reader: UserId, ids: &[PostId]) -> Result<Vec<PostId>, Fault> {
    let (likes, posts) = (t.open_table(LIKES)?, t.open_table(POSTS)?);
    let mut liked = Vec::new();
    for &post in ids {
        if likes.get((reader.0, post.0))?.is_some() && posts.get(post.0)?.is_some() {
            liked.push(post);
        }
    }
    Ok(liked)
}

pub(super) fn checkpoint(t: &ReadTransaction, reader: UserId) -> Result<Option<Bytes>, Fault> {
    Ok(t.open_table(CHECKPOINTS)?.get(reader.0)?.map(|row| Bytes::copy_from_slice(row.value())))
}

pub(super) fn pull_authors(t: &ReadTransaction, after: UserId, limit: usize) -> Result<Vec<(UserId, PostId)>, Fault> {
    let range = t.open_table(PULL_AUTHORS)?.range(after.0.saturating_add(1)..)?;
    let author = |row: Result<_, redb::StorageError>| {
        let (author, newest): (redb::AccessGuard<'_, u64>, redb::AccessGuard<'_, u64>) = row?;
        Ok((UserId(author.value()), PostId(newest.value())))
    };
    range.take(limit).map(author).collect()
}

pub(super) fn author(t: &ReadTransaction, id: UserId) -> Result<Option<AuthorState>, Fault> {
    let Some(row) = user_row(t, id)? else { return Ok(None) };
    let heat = row.heat.with_followers(row.followers, &tuning(t)?.settings);
    Ok(Some(AuthorState { card: row.card(id), followers: row.followers, heat }))
}

pub(super) fn tuning(t: &ReadTransaction) -> Result<Tuning, Fault> {
    let table = t.open_table(TUNINGS)?;
    let (_, newest) = table.last()?.ok_or(Fault::Malformed("there is no tuning"))?;
    from_json(newest.value())
}

pub(super) fn tunings(t: &ReadTransaction, before: u64, limit: usize) -> Result<Vec<ListedTuning>, Fault> {
    let mut listed = Vec::new();
    for row in t.open_table(TUNINGS)?.range(..before)?.rev().take(limit) {
        let tuning: Tuning = from_json(row?.1.value())?;
        let changed_by = match tuning.changed_by {
            ChangedBy::Default => "default".into(),
            ChangedBy::Config => "config".into(),
            ChangedBy::Operator(id) => {
                // Operators are users, and users are never removed; an id that is none is shown as it is.
                user_row(t, id)?.map_or_else(|| id.to_string().into(), |row| row.handle.as_str().into())
            }
        };
        listed.push(ListedTuning { tuning, changed_by });
    }
    Ok(listed)
}

pub(super) fn note(t: &ReadTransaction, name: &str) -> Result<Option<String>, Fault> {
    Ok(t.open_table(NOTES)?.get(name)?.map(|text| text.value().to_owned()))
}

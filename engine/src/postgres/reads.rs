//! Point reads and pages, each one statement over one snapshot.

use tokio_postgres::Row;

use super::fault::Fault;
use super::rows::{
    UserRow, column, handle, limit, number, numbers, post_id, post_keys, stamp, unsigned, user_id, user_ids, user_key,
    user_keys,
};
use super::sql;
use super::store::Inner;
use crate::limits::{FOLLOWERS_PAGE, READER_SLOTS};
use crate::model::{FollowView, Following, Handle, Post, PostId, SlotRange, Stamp, User, UserCard, UserId};
use crate::ports::{Followers, StoreError};

/// Places what rows tell about some of what was asked, in the order in which it was asked.
fn placed<T: Clone>(asked: usize, told: Vec<(usize, T)>) -> Vec<Option<T>> {
    let mut places = vec![None; asked];
    for (place, value) in told {
        places[place] = Some(value);
    }
    places
}

/// The place, from 0, of what a row is about.
fn place(row: &Row, asked: usize) -> Result<usize, Fault> {
    let place = number(row, 0)? as usize;
    place.checked_sub(1).filter(|&place| place < asked).ok_or(Fault::Malformed("a row is about nothing asked for"))
}

/// The view of a row of [`VIEW`](sql::VIEW).
pub(super) fn view(row: &Row) -> Result<FollowView, Fault> {
    let end = stamp(row, 7)?;
    // What was seen is of before the snapshot's end; a higher stamp is of another system.
    let own = |stamp: Stamp| if stamp < end { stamp } else { Stamp::default() };
    let follows = user_ids(row, 0)?.into_iter().zip(numbers(row, 1)?);
    Ok(FollowView {
        follows: follows.map(|(followee, made)| Following { followee, stamp: own(Stamp(made)) }).collect(),
        mutes: user_ids(row, 2)?,
        blocks: user_ids(row, 3)?,
        blocked_by: user_ids(row, 4)?,
        widened: own(stamp(row, 5)?),
        stamp: stamp(row, 6)?,
    })
}

/// Columns of `UserRow` after the first.
const USER_BY_HANDLE: &str = "SELECT id, handle, name, followers, following, hot, pin, last_post FROM users
    WHERE shard = $1 AND id = $2";
/// In the order of the key: shard by shard.
const ALL_USERS: &str = "SELECT id FROM users WHERE (shard, id) > ($1, $2) ORDER BY shard, id LIMIT $3";
const IDENTITY: &str = "SELECT user_id FROM identities WHERE shard = $1 AND handle = $2";

impl Inner {
    pub(super) async fn users(&self, ids: &[UserId]) -> Result<Vec<Option<User>>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let (shards, keys) = user_keys(ids);
        let read = |row: &Row| {
            // The columns of a user follow the place.
            let card = UserCard {
                id: user_id(row, 1)?,
                handle: handle(row.try_get(2)?)?,
                name: row.try_get::<_, &str>(3)?.into(),
            };
            let user = User { card, followers: number(row, 4)?, following: number(row, 5)? };
            Ok((place(row, ids.len())?, user))
        };
        Ok(placed(ids.len(), self.read("reading users", sql::USERS, &[&shards, &keys], read).await?))
    }

    pub(super) async fn user_row(&self, doing: &'static str, user: UserId) -> Result<Option<UserRow>, StoreError> {
        let (shard, id) = user_key(user);
        Ok(self.read(doing, USER_BY_HANDLE, &[&shard, &id], UserRow::read).await?.pop())
    }

    pub(super) async fn all_users(&self, after: UserId, count: usize) -> Result<Vec<UserId>, StoreError> {
        let (shard, id) = user_key(after);
        self.read("reading all users", ALL_USERS, &[&shard, &id, &limit(count)], |row| user_id(row, 0)).await
    }

    /// Two look-ups: the handle's shard is not the user's. Neither of the rows ever changes what was looked up.
    pub(super) async fn user_by_handle(&self, handle: &Handle) -> Result<Option<User>, StoreError> {
        const DOING: &str = "reading a user by handle";
        let shard = super::lists::handle_shard(handle);
        let found = self.read(DOING, IDENTITY, &[&shard, &handle.as_str()], |row| user_id(row, 0)).await?;
        let Some(&id) = found.first() else { return Ok(None) };
        Ok(self.user_row(DOING, id).await?.map(UserRow::user))
    }

    pub(super) async fn posts(&self, ids: &[PostId]) -> Result<Vec<Option<Post>>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let (shards, keys) = post_keys(ids);
        let read = |row: &Row| {
            let author = UserCard {
                id: user_id(row, 4)?,
                handle: handle(row.try_get(5)?)?,
                name: row.try_get::<_, &str>(6)?.into(),
            };
            let text = row.try_get::<_, &str>(2)?.into();
            let post = Post { id: post_id(row, 1)?, author, text, likes: number(row, 3)? };
            Ok((place(row, ids.len())?, post))
        };
        Ok(placed(ids.len(), self.read("reading posts", sql::POSTS, &[&shards, &keys], read).await?))
    }

    pub(super) async fn posts_by(
        &self,
        authors: &[UserId],
        before: PostId,
        count: usize,
    ) -> Result<Vec<Vec<PostId>>, StoreError> {
        let mut newest = vec![Vec::new(); authors.len()];
        if authors.is_empty() {
            return Ok(newest);
        }
        let below = vec![column(before.0); authors.len()];
        for (place, post) in self.posts_below("reading the posts of authors", authors, &below, 0, count).await? {
            newest[place].push(post);
        }
        for posts in &mut newest {
            posts.sort_unstable_by(|one, two| two.cmp(one));
        }
        Ok(newest)
    }

    /// Up to `count` posts of each author in (above, below), with the author's place.
    pub(super) async fn posts_below(
        &self,
        doing: &'static str,
        authors: &[UserId],
        below: &[i64],
        above: i64,
        count: usize,
    ) -> Result<Vec<(usize, PostId)>, StoreError> {
        let (shards, keys) = user_keys(authors);
        let read = |row: &Row| Ok((place(row, authors.len())?, post_id(row, 1)?));
        self.read(doing, sql::POSTS_BY, &[&shards, &keys, &below, &above, &limit(count)], read).await
    }

    pub(super) async fn view(&self, reader: UserId) -> Result<FollowView, StoreError> {
        let (shard, id) = user_key(reader);
        self.read_one("reading a follow view", sql::VIEW, &[&shard, &id], view).await
    }

    /// Looks at no more than [`FOLLOWERS_PAGE`] followers, so that a narrow range of slots in a huge audience comes in
    /// short pages instead of one long one; and at no more than will probably fill the page.
    pub(super) async fn followers(
        &self,
        author: UserId,
        slots: SlotRange,
        after: UserId,
        count: usize,
    ) -> Result<Followers, StoreError> {
        let (shard, id) = user_key(author);
        let width = usize::from(slots.end.saturating_sub(slots.start)).max(1);
        let probable = count.saturating_mul(usize::from(READER_SLOTS)) / width;
        let looks = probable.saturating_add(1).min(FOLLOWERS_PAGE);
        let (start, end) = (slots.start as i16, slots.end as i16);
        let (most, told) = (limit(looks), limit(count));
        let params: super::lent::Params<'_> = &[&shard, &id, &column(after.0), &most, &start, &end, &told];
        self.read_one("reading followers", sql::FOLLOWERS, params, |row| {
            let readers = user_ids(row, 0)?.into_vec();
            let next = if readers.len() >= count {
                readers.last().copied()
            } else if number(row, 1)? as usize >= looks {
                row.try_get::<_, Option<i64>>(2)?.map(unsigned).transpose()?.map(UserId)
            } else {
                None
            };
            Ok(Followers { readers, next, stamp: stamp(row, 3)? })
        })
        .await
    }
}

//! Rows and parameters: ids and numbers as signed columns, and the rows that several statements read.

use tokio_postgres::Row;

use super::fault::Fault;
use crate::model::{Channel, Epoch, Handle, Heat, Position, PostId, Stamp, User, UserCard, UserId};

/// A number as a column; one that no column holds is above all that are kept.
pub(super) fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A count as a LIMIT.
pub(super) fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A user's shard and id.
pub(super) fn user_key(user: UserId) -> (i16, i64) {
    (user.shard() as i16, column(user.0))
}

/// A post's shard and id.
pub(super) fn post_key(post: PostId) -> (i16, i64) {
    (post.shard() as i16, column(post.0))
}

/// Shards and ids of many users, as two arrays.
pub(super) fn user_keys(users: &[UserId]) -> (Vec<i16>, Vec<i64>) {
    users.iter().map(|&user| user_key(user)).unzip()
}

/// Shards and ids of many posts, as two arrays.
pub(super) fn post_keys(posts: &[PostId]) -> (Vec<i16>, Vec<i64>) {
    posts.iter().map(|&post| post_key(post)).unzip()
}

/// What a signed column says: no number or id of ours is negative.
pub(super) fn unsigned(value: i64) -> Result<u64, Fault> {
    u64::try_from(value).map_err(|_| Fault::Malformed("a number is negative"))
}

/// The number in a column.
pub(super) fn number(row: &Row, column: usize) -> Result<u64, Fault> {
    unsigned(row.try_get(column)?)
}

/// The numbers of an array.
pub(super) fn numbers(row: &Row, column: usize) -> Result<Vec<u64>, Fault> {
    row.try_get::<_, Vec<i64>>(column)?.into_iter().map(unsigned).collect()
}

pub(super) fn user_id(row: &Row, column: usize) -> Result<UserId, Fault> {
    number(row, column).map(UserId)
}

pub(super) fn post_id(row: &Row, column: usize) -> Result<PostId, Fault> {
    number(row, column).map(PostId)
}

pub(super) fn position(row: &Row, column: usize) -> Result<Position, Fault> {
    number(row, column).map(Position)
}

pub(super) fn stamp(row: &Row, column: usize) -> Result<Stamp, Fault> {
    number(row, column).map(Stamp)
}

/// The epoch in a column.
pub(super) fn epoch(row: &Row, column: usize) -> Result<Epoch, Fault> {
    number(row, column).map(Epoch)
}

/// The users of an array.
pub(super) fn user_ids(row: &Row, column: usize) -> Result<Box<[UserId]>, Fault> {
    Ok(numbers(row, column)?.into_iter().map(UserId).collect())
}

pub(super) fn handle(text: &str) -> Result<Handle, Fault> {
    text.parse().map_err(|()| Fault::Malformed("a handle is malformed"))
}

/// A random identity of a history.
pub(super) fn new_epoch() -> Epoch {
    Epoch(fastrand::u64(1..=i64::MAX as u64))
}

/// A user with everything that commands need, as in `users`: id, handle, name, followers, following, hot, pin,
/// last post.
#[derive(Clone, Debug)]
pub(super) struct UserRow {
    pub(super) card: UserCard,
    pub(super) followers: u64,
    pub(super) following: u64,
    pub(super) heat: Heat,
    pub(super) last_post: PostId,
}

impl UserRow {
    /// Reads the eight columns.
    pub(super) fn read(row: &Row) -> Result<Self, Fault> {
        let pin = row.try_get::<_, Option<bool>>(6)?.map(|pull| if pull { Channel::Pull } else { Channel::Push });
        let card = UserCard {
            id: user_id(row, 0)?,
            handle: handle(row.try_get(1)?)?,
            name: row.try_get::<_, &str>(2)?.into(),
        };
        Ok(Self {
            card,
            followers: number(row, 3)?,
            following: number(row, 4)?,
            heat: Heat { hot: row.try_get(5)?, pin },
            last_post: post_id(row, 7)?,
        })
    }

    pub(super) fn user(self) -> User {
        User { card: self.card, followers: self.followers, following: self.following }
    }
}

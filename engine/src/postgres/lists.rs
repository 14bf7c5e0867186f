//! Lists of users, likes, and the making of users.

use tokio_postgres::error::SqlState;

use super::fault::Fault;
use super::rows::{column, limit, post_id, user_id, user_key};
use super::sql;
use super::store::Inner;
use crate::limits::{LOGICAL_SHARDS, TRANSACTION_ATTEMPTS};
use crate::model::{Handle, PostId, User, UserId};
use crate::ports::{StoreError, UserList};

/// Handle and user in one statement: only who gets the handle is made. Handle's shard, handle, user's shard, id, name.
const MAKE: &str = "WITH named AS (
        INSERT INTO identities (shard, handle, user_id) VALUES ($1, $2, $4) ON CONFLICT DO NOTHING RETURNING user_id)
    INSERT INTO users (shard, id, handle, name) SELECT $3, user_id, $2, $5 FROM named";
const HAS_USERS: &str = "SELECT EXISTS (SELECT FROM users)";

/// The logical shard of a handle: FNV-1a, the same on every machine.
pub(super) fn handle_shard(handle: &Handle) -> i16 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    (handle.as_str().bytes().fold(0xCBF2_9CE4_8422_2325, step) % u64::from(LOGICAL_SHARDS)) as i16
}

impl Inner {
    pub(super) async fn make_user(&self, wanted: &Handle, name: &str) -> Result<User, StoreError> {
        const DOING: &str = "making a user";
        let shard = handle_shard(wanted);
        let mut id = UserId::new(self.clock.now(), shard as u16, 0);
        for _ in 0..TRANSACTION_ATTEMPTS {
            if let Some(user) = self.user_by_handle(wanted).await? {
                return Ok(user);
            }
            let lent = self.lend().await.map_err(|fault| fault.during(DOING))?;
            match lent.query(MAKE, &[&shard, &wanted.as_str(), &shard, &column(id.0), &name]).await {
                // Made by this call, or by another one at the same time: told by the next look-up.
                Ok(_) => {}
                Err(fault) if fault.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                    // Another user was made in this shard and millisecond: the same scheme as a post's.
                    id = UserId(PostId::after(PostId(id.0), self.clock.now(), shard as u16).0);
                }
                Err(fault) => return Err(fault.during(DOING)),
            }
        }
        Err(Fault::Conflict("others make users in the same shard all the time: try again".into()).during(DOING))
    }

    pub(super) async fn has_users(&self) -> Result<bool, StoreError> {
        self.read_one("looking for users", HAS_USERS, &[], |row| Ok(row.try_get(0)?)).await
    }

    pub(super) async fn user_list(
        &self,
        user: UserId,
        list: UserList,
        after: UserId,
        count: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        let statement = match list {
            UserList::Followers => sql::LIST_FOLLOWERS,
            UserList::Following => sql::LIST_FOLLOWING,
            UserList::Mutes => sql::LIST_MUTES,
            UserList::Blocks => sql::LIST_BLOCKS,
        };
        let (shard, id) = user_key(user);
        let params: super::lent::Params<'_> = &[&shard, &id, &column(after.0), &limit(count)];
        self.read("reading a list of users", statement, params, |row| user_id(row, 0)).await
    }

    /// Those of removed posts too, which nobody can see: to look for each post would cost more than it saves.
    pub(super) async fn likes(&self, reader: UserId, count: usize) -> Result<Vec<PostId>, StoreError> {
        let (shard, id) = user_key(reader);
        self.read("reading likes", sql::LIKES, &[&shard, &id, &limit(count)], |row| post_id(row, 0)).await
    }

    pub(super) async fn liked(&self, reader: UserId, posts: &[PostId]) -> Result<Vec<PostId>, StoreError> {
        let (shard, id) = user_key(reader);
        let asked: Vec<i64> = posts.iter().map(|post| column(post.0)).collect();
        let read = |row: &tokio_postgres::Row| post_id(row, 0);
        let told = self.read("reading which posts are liked", sql::LIKED, &[&shard, &id, &asked], read).await?;
        Ok(posts.iter().copied().filter(|post| told.contains(post)).collect())
    }
}

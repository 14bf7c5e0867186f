//! Identities: whom the users of sign-in providers are here.

use tokio_postgres::error::SqlState;

use super::fault::Fault;
use super::lists::handle_shard;
use super::rows::{UserRow, column, user_id, user_key};
use super::store::Inner;
use crate::limits::TRANSACTION_ATTEMPTS;
use crate::model::{Handle, Identity, PostId, User, UserId};
use crate::ports::StoreError;

const SUBJECT: &str = "SELECT user_id FROM subjects WHERE provider = $1 AND subject = $2";
/// Handle, identity and user in one statement: all of them or, where the handle is taken, nothing. An identity or an id
/// that is there already is an error, which undoes the rest. Provider, subject, handle's shard and user's, handle, id,
/// name.
const MAKE: &str = "WITH named AS (
        INSERT INTO identities (shard, handle, user_id) VALUES ($3, $4, $5) ON CONFLICT DO NOTHING RETURNING user_id),
    linked AS (
        INSERT INTO subjects (provider, subject, user_id) SELECT $1, $2, user_id FROM named RETURNING user_id)
    INSERT INTO users (shard, id, handle, name) SELECT $3, user_id, $4, $6 FROM linked RETURNING id";
/// Provider, subject, user's shard, user.
const LINK: &str = "INSERT INTO subjects (provider, subject, user_id)
    SELECT $1, $2, id FROM users WHERE shard = $3 AND id = $4 ON CONFLICT DO NOTHING";

impl Inner {
    async fn linked(&self, doing: &'static str, identity: &Identity) -> Result<Option<User>, StoreError> {
        let key: super::lent::Params<'_> = &[&&*identity.provider, &&*identity.subject];
        let Some(id) = self.read(doing, SUBJECT, key, |row| user_id(row, 0)).await?.pop() else { return Ok(None) };
        Ok(self.user_row(doing, id).await?.map(UserRow::user))
    }

    pub(super) async fn user_of_identity(
        &self,
        identity: &Identity,
        handles: &[Handle],
        name: &str,
    ) -> Result<User, StoreError> {
        const DOING: &str = "making the user of an identity";
        let (provider, subject) = (&*identity.provider, &*identity.subject);
        for handle in handles {
            let shard = handle_shard(handle);
            let mut id = UserId::new(self.clock.now(), shard as u16, 0);
            for _ in 0..TRANSACTION_ATTEMPTS {
                if let Some(user) = self.linked(DOING, identity).await? {
                    return Ok(user);
                }
                let lent = self.lend().await.map_err(|fault| fault.during(DOING))?;
                let row: super::lent::Params<'_> =
                    &[&provider, &subject, &shard, &handle.as_str(), &column(id.0), &name];
                match lent.query(MAKE, row).await {
                    Ok(made) if made.is_empty() => break,
                    // Told by the next look-up.
                    Ok(_) => {}
                    Err(fault) if fault.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                        // Another one has made the identity's user, or a user in this shard and millisecond.
                        id = UserId(PostId::after(PostId(id.0), self.clock.now(), shard as u16).0);
                    }
                    Err(fault) => return Err(fault.during(DOING)),
                }
            }
        }
        // A handle may have been lost to another sign-in of the same identity.
        let made = self.linked(DOING, identity).await?;
        made.ok_or_else(|| Fault::Conflict("none of the handles is free".into()).during(DOING))
    }

    pub(super) async fn link_identity(&self, identity: &Identity, user: UserId) -> Result<Option<User>, StoreError> {
        const DOING: &str = "linking an identity";
        let (shard, id) = user_key(user);
        self.write(DOING, LINK, &[&&*identity.provider, &&*identity.subject, &shard, &id]).await?;
        self.linked(DOING, identity).await
    }
}

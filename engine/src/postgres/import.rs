//! Bulk import: a batch a transaction. Rows go by binary COPY into a temporary table of the session and from there, in
//! the order of the keys, into place; what is there already stays. No events are made: an import is for a store that no
//! node serves, and ends with a new epoch.

use std::sync::Arc;

use tokio_postgres::Row;

use super::commands::TUNING;
use super::copy::Rows;
use super::fault::Fault;
use super::lent::Lent;
use super::lists::handle_shard;
use super::rows::{column, new_epoch, number, post_key, user_key};
use super::store::Inner;
use super::tuning;
use crate::limits::IMPORT_TIMEOUT;
use crate::model::{Epoch, TuningSettings, UserId};
use crate::ports::{ImportedPost, ImportedUser, StoreError};

/// A batch is one statement over all of its rows: look-ups by key for each, whatever the planner, who does not know the
/// temporary table, may guess.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = '30min'; SET LOCAL work_mem = '64MB';
    SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;";

const STAGED_USERS: &str = "CREATE TEMPORARY TABLE IF NOT EXISTS staged_users
    (shard smallint, id bigint, handle_shard smallint, handle text) ON COMMIT DELETE ROWS";
const COPY_USERS: &str = "COPY staged_users FROM STDIN (FORMAT binary)";
const PUT_USERS: &str = "WITH named AS (
        INSERT INTO identities (shard, handle, user_id) SELECT handle_shard, handle, id FROM staged_users
        ORDER BY handle_shard, handle ON CONFLICT DO NOTHING)
    INSERT INTO users (shard, id, handle, name) SELECT shard, id, handle, handle FROM staged_users
    ORDER BY shard, id ON CONFLICT DO NOTHING";
/// Users that are there under another handle, and handles that are another's.
const WRONG_USERS: &str =
    "SELECT id, handle, (SELECT handle FROM users WHERE users.shard = s.shard AND users.id = s.id),
        (SELECT user_id FROM identities AS i WHERE i.shard = s.handle_shard AND i.handle = s.handle)
    FROM staged_users AS s
    WHERE handle <> (SELECT handle FROM users WHERE users.shard = s.shard AND users.id = s.id)
    OR id <> (SELECT user_id FROM identities AS i WHERE i.shard = s.handle_shard AND i.handle = s.handle) LIMIT 1";

const STAGED_FOLLOWS: &str = "CREATE TEMPORARY TABLE IF NOT EXISTS staged_follows
    (shard smallint, follower bigint, followee_shard smallint, followee bigint, slot smallint) ON COMMIT DELETE ROWS";
const COPY_FOLLOWS: &str = "COPY staged_follows FROM STDIN (FORMAT binary)";
/// Both tables hold the same follows, so the new ones of one are those of the other. A user's two counters change at
/// once: a statement changes a row once. How many users should have been counted, and how many were.
const PUT_FOLLOWS: &str = "WITH edges AS (
        INSERT INTO follows (shard, follower, followee, stamp)
        SELECT shard, follower, followee, pg_current_xact_id()::text::bigint FROM staged_follows
        ORDER BY shard, follower, followee ON CONFLICT DO NOTHING RETURNING follower, followee),
    mirrored AS (
        INSERT INTO followers (shard, followee, follower, slot)
        SELECT followee_shard, followee, follower, slot FROM staged_follows
        ORDER BY followee_shard, followee, follower ON CONFLICT DO NOTHING),
    new AS (
        SELECT id, sum(following)::bigint AS following, sum(followers)::bigint AS followers FROM (
            SELECT follower AS id, count(*) AS following, 0 AS followers FROM edges GROUP BY follower
            UNION ALL SELECT followee, 0, count(*) FROM edges GROUP BY followee) AS both_sides
        GROUP BY id),
    counted AS (
        UPDATE users SET following = users.following + new.following, followers = users.followers + new.followers,
        hot = users.followers + new.followers >= CASE WHEN users.hot THEN $2::bigint ELSE $1::bigint END
        FROM new WHERE users.shard = ((new.id >> 12) & 1023)::smallint AND users.id = new.id RETURNING 1)
    SELECT (SELECT count(*) FROM new), (SELECT count(*) FROM counted)";
const UNKNOWN_USER: &str = "SELECT id FROM (
        SELECT shard, follower AS id FROM staged_follows UNION SELECT followee_shard, followee FROM staged_follows) AS named
    WHERE NOT EXISTS (SELECT FROM users WHERE users.shard = named.shard AND users.id = named.id) LIMIT 1";

const STAGED_POSTS: &str = "CREATE TEMPORARY TABLE IF NOT EXISTS staged_posts
    (shard smallint, id bigint, author bigint, text text) ON COMMIT DELETE ROWS";
const COPY_POSTS: &str = "COPY staged_posts FROM STDIN (FORMAT binary)";
/// The authors' heat under the present tuning.
const HEAT: &str = "UPDATE users SET hot = followers >= CASE WHEN hot THEN $2::bigint ELSE $1::bigint END
    FROM (SELECT DISTINCT shard, author FROM staged_posts) AS named
    WHERE users.shard = named.shard AND users.id = named.author
    AND hot <> (followers >= CASE WHEN hot THEN $2::bigint ELSE $1::bigint END)";
/// How many were staged, and how many written.
const PUT_POSTS: &str = "WITH written AS (
        INSERT INTO posts (shard, id, author, pull, text)
        SELECT s.shard, s.id, s.author, coalesce(u.pin, u.hot), s.text FROM staged_posts AS s,
        LATERAL (SELECT pin, hot FROM users WHERE users.shard = s.shard AND users.id = s.author LIMIT 1) AS u
        ORDER BY s.shard, s.id ON CONFLICT DO NOTHING RETURNING shard, id, author, pull),
    raised AS (
        UPDATE users SET last_post = greatest(last_post, new.id)
        FROM (SELECT shard, author, max(id) AS id FROM written GROUP BY shard, author) AS new
        WHERE users.shard = new.shard AND users.id = new.author),
    pulled AS (
        INSERT INTO pull_authors (author, newest) SELECT author, max(id) FROM written WHERE pull GROUP BY author
        ON CONFLICT (author) DO UPDATE SET newest = greatest(pull_authors.newest, excluded.newest))
    SELECT (SELECT count(*) FROM staged_posts), (SELECT count(*) FROM written)";
/// Posts whose id another author has, or whose author is unknown.
const WRONG_POST: &str = "SELECT s.id, s.author, p.author FROM staged_posts AS s
    LEFT JOIN posts AS p ON p.shard = s.shard AND p.id = s.id WHERE p.author IS DISTINCT FROM s.author LIMIT 1";

const FINISH: &str = "BEGIN; TRUNCATE user_feed; UPDATE epoch SET id = ";
/// Statistics for the planner, and maps of what is visible to all, so that indices alone answer from the start.
const TIDY: [&str; 6] = ["users", "identities", "posts", "follows", "followers", "pull_authors"];

/// A transaction of an import.
struct Batch {
    lent: Lent,
}

impl Batch {
    async fn begin(inner: &Inner, staged: &str) -> Result<Self, Fault> {
        let lent = inner.lend().await?;
        lent.spoil(true);
        lent.client().batch_execute(&format!("{BEGIN} {staged}")).await?;
        Ok(Self { lent })
    }

    async fn copy(&self, rows: Rows, sql: &str) -> Result<(), Fault> {
        rows.copy(self.lent.client(), sql).await
    }

    async fn tuning(&self) -> Result<TuningSettings, Fault> {
        Ok(tuning::present(&self.lent.client().query(TUNING, &[]).await?)?.settings)
    }

    /// The first row that a statement gives.
    async fn first(&self, sql: &str, params: super::lent::Params<'_>) -> Result<Option<Row>, Fault> {
        Ok(self.lent.client().query(sql, params).await?.into_iter().next())
    }

    /// The two counts that a statement gives.
    async fn counts(&self, sql: &str, params: super::lent::Params<'_>) -> Result<(u64, u64), Fault> {
        let row = self.lent.client().query_one(sql, params).await?;
        Ok((number(&row, 0)?, number(&row, 1)?))
    }

    async fn commit(self) -> Result<(), Fault> {
        self.lent.client().batch_execute("COMMIT").await?;
        self.lent.spoil(false);
        Ok(())
    }
}

impl Inner {
    pub(super) async fn import_users(self: &Arc<Self>, users: &[ImportedUser]) -> Result<(), StoreError> {
        let (inner, users) = (self.clone(), users.to_vec());
        Self::apart("importing users", IMPORT_TIMEOUT, async move {
            let batch = Batch::begin(&inner, STAGED_USERS).await?;
            let mut rows = Rows::new();
            for ImportedUser { id, handle } in &users {
                let (shard, id) = user_key(*id);
                rows.row(4).small(shard).big(id).small(handle_shard(handle)).text(handle.as_str());
            }
            batch.copy(rows, COPY_USERS).await?;
            batch.lent.client().execute(PUT_USERS, &[]).await?;
            if let Some(wrong) = batch.first(WRONG_USERS, &[]).await? {
                let (id, handle): (i64, &str) = (wrong.try_get(0)?, wrong.try_get(1)?);
                let there: Option<&str> = wrong.try_get(2)?;
                return Err(Fault::Conflict(match there.filter(|there| *there != handle) {
                    Some(there) => format!("user {id} is {there} already, not {handle}"),
                    None => {
                        let holder = wrong.try_get::<_, Option<i64>>(3)?.unwrap_or_default();
                        format!("the handle {handle} belongs to user {holder} already")
                    }
                }));
            }
            batch.commit().await
        })
        .await
    }

    pub(super) async fn import_follows(self: &Arc<Self>, follows: &[(UserId, Vec<UserId>)]) -> Result<(), StoreError> {
        let inner = self.clone();
        let mut rows = Rows::new();
        for (reader, followees) in follows {
            for followee in followees.iter().filter(|followee| *followee != reader) {
                let ((shard, id), (followee_shard, followee)) = (user_key(*reader), user_key(*followee));
                rows.row(5).small(shard).big(id).small(followee_shard).big(followee).small(reader.slot() as i16);
            }
        }
        Self::apart("importing follows", IMPORT_TIMEOUT, async move {
            let batch = Batch::begin(&inner, STAGED_FOLLOWS).await?;
            batch.copy(rows, COPY_FOLLOWS).await?;
            let tuning = batch.tuning().await?;
            let thresholds = (column(tuning.enter_followers), column(tuning.leave_followers));
            let (named, counted) = batch.counts(PUT_FOLLOWS, &[&thresholds.0, &thresholds.1]).await?;
            if named != counted {
                let unknown = batch.first(UNKNOWN_USER, &[]).await?.map(|row| number(&row, 0)).transpose()?;
                return Err(unknown_user(unknown.unwrap_or_default()));
            }
            batch.commit().await
        })
        .await
    }

    pub(super) async fn import_posts(self: &Arc<Self>, posts: &[ImportedPost]) -> Result<(), StoreError> {
        const DOING: &str = "importing posts";
        let (inner, mut rows) = (self.clone(), Rows::new());
        for ImportedPost { id, author, text } in posts {
            let (shard, post) = post_key(*id);
            if id.shard() != author.shard() {
                let why = format!("the id of post {id} is not of its author's shard");
                return Err(Fault::Conflict(why).during(DOING));
            }
            rows.row(4).small(shard).big(post).big(column(author.0)).text(text);
        }
        Self::apart(DOING, IMPORT_TIMEOUT, async move {
            let batch = Batch::begin(&inner, STAGED_POSTS).await?;
            batch.copy(rows, COPY_POSTS).await?;
            let tuning = batch.tuning().await?;
            let (enter, leave) = (column(tuning.enter_followers), column(tuning.leave_followers));
            batch.lent.client().execute(HEAT, &[&enter, &leave]).await?;
            let (staged, written) = batch.counts(PUT_POSTS, &[]).await?;
            if staged != written
                && let Some(wrong) = batch.first(WRONG_POST, &[]).await?
            {
                return Err(match wrong.try_get::<_, Option<i64>>(2)? {
                    Some(_) => Fault::Conflict(format!("two posts have the id {}", number(&wrong, 0)?)),
                    None => unknown_user(number(&wrong, 1)?),
                });
            }
            batch.commit().await
        })
        .await
    }

    pub(super) async fn finish_import(self: &Arc<Self>) -> Result<Epoch, StoreError> {
        let inner = self.clone();
        Self::apart("finishing an import", IMPORT_TIMEOUT, async move {
            let lent = inner.lend().await?;
            // VACUUM runs in no transaction, and without a time-out: the connection is not given back.
            lent.spoil(true);
            lent.client().batch_execute("SET statement_timeout = 0").await?;
            for table in TIDY {
                lent.client().batch_execute(&format!("VACUUM (ANALYZE) {table}")).await?;
            }
            let epoch = new_epoch();
            lent.client().batch_execute(&format!("{FINISH}{}; COMMIT", epoch.0)).await?;
            Ok(epoch)
        })
        .await
    }
}

fn unknown_user(user: u64) -> Fault {
    Fault::Conflict(format!("user {user} is unknown: import the users first"))
}

//! Commands about posts: publish, remove, like, unlike. A post's channel is chosen here, once (law 3).
//!
//! Publishing locks the author's row, so an author's ids rise in the order of the commits. What changes a post or its
//! counter locks the post's row, so a counter told by an event is that of its commit.

use futures::future::{try_join3, try_join4};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::commands::{At, Hint, LOCK_USER, Verdict};
use super::fault::Fault;
use super::rows::{column, limit, number, post_id, post_key, user_id, user_key};
use super::sql::CHOICE;
use super::transaction::{Changes, Stop, kept};
use super::tuning::{Choice, user};
use crate::limits::RATE_POSTS;
use crate::model::{Channel, Event, Outcome, Post, PostId, Rejection, UserId};

/// The highest id in use among those of one shard and millisecond: shard, first, last.
const HIGHEST: &str = "SELECT id FROM posts WHERE shard = $1 AND id BETWEEN $2 AND $3 ORDER BY id DESC LIMIT 1";
const PUT_POST: &str = "INSERT INTO posts (shard, id, author, pull, text) VALUES ($1, $2, $3, $4, $5)";
const PUT_PULL: &str = "INSERT INTO pull_authors (author, newest) VALUES ($1, $2)
    ON CONFLICT (author) DO UPDATE SET newest = greatest(pull_authors.newest, excluded.newest)";

const LOCK_POST: &str = "SELECT author FROM posts WHERE shard = $1 AND id = $2 FOR UPDATE";
const REMOVE_POST: &str = "DELETE FROM posts WHERE shard = $1 AND id = $2";
const REMOVE_COUNTER: &str = "DELETE FROM post_counters WHERE shard = $1 AND post = $2";
/// A user and a post: whether the user exists, a block stands between user and author, the user likes it; its likes.
/// Shard and id of the user, shard and id of the post.
const BETWEEN: &str = "SELECT EXISTS (SELECT FROM users WHERE shard = $1 AND id = $2),
    EXISTS (SELECT FROM blocks WHERE shard = $1 AND blocker = $2
            AND blocked = (SELECT author FROM posts WHERE shard = $3 AND id = $4))
    OR EXISTS (SELECT FROM blocked_by WHERE shard = $1 AND blocked = $2
               AND blocker = (SELECT author FROM posts WHERE shard = $3 AND id = $4)),
    EXISTS (SELECT FROM likes WHERE shard = $1 AND liker = $2 AND post = $4),
    coalesce((SELECT likes FROM post_counters WHERE shard = $3 AND post = $4), 0)";
const PUT_LIKE: &str = "INSERT INTO likes (shard, liker, post) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
const REMOVE_LIKE: &str = "DELETE FROM likes WHERE shard = $1 AND liker = $2 AND post = $3";
const PUT_COUNTER: &str = "INSERT INTO post_counters (shard, post, likes) VALUES ($1, $2, $3)
    ON CONFLICT (shard, post) DO UPDATE SET likes = excluded.likes";

/// Whether an attempt failed because another author of the shard has taken the id in the same millisecond. So rare
/// that the insert is sent together with COMMIT, and the whole command done again.
pub(super) fn is_taken(fault: &Fault) -> bool {
    let Fault::Postgres(error) = fault else { return false };
    // The constraint is named after the partition: posts_0_pkey.
    error.as_db_error().is_some_and(|error| {
        *error.code() == SqlState::UNIQUE_VIOLATION && error.table().is_some_and(|table| table.starts_with("posts_"))
    })
}

pub(super) async fn publish(at: At<'_>, text: &str, hint: &mut Hint) -> Result<Verdict, Stop> {
    let (author, now) = (at.request.actor, at.now);
    let lent = at.transaction.lent();
    let statements = lent.prepare(&[LOCK_USER, CHOICE, HIGHEST]).await?;
    let (shard, id) = user_key(author);
    // What was taken, and the last id of its millisecond.
    let taken = hint.taken.unwrap_or(PostId::MIN);
    let (first, last) = (column(taken.0), column(PostId::new(taken.created_at(), author.shard(), 4_095).0));
    let user_params: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&shard, &id];
    let looks = limit(RATE_POSTS);
    let choice_params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&shard, &id, &looks];
    let highest_params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&shard, &first, &last];
    let highest = async {
        match hint.taken {
            Some(_) => lent.run(&statements[2], &highest_params).await,
            None => Ok(Vec::new()),
        }
    };
    let reads = try_join3(lent.run(&statements[0], &user_params), lent.run(&statements[1], &choice_params), highest);
    let mut chosen = None;
    let verdict = at
        .decide(reads, |(users, choice, highest)| {
            let mut row = user(&users)?.ok_or(Rejection::UnknownUser)?;
            let used = highest.first().map(|row| post_id(row, 0)).transpose()?.unwrap_or(taken);
            let id = PostId::after(row.last_post.max(used), now, author.shard());
            chosen = Some(id);
            row.heat = Choice::read(&choice)?.heat_at_post(&row, id);
            row.last_post = id;
            let channel = row.heat.channel();
            let mut changes = Changes::default();
            changes.put_user(&row, false);
            let (shard, post) = post_key(id);
            let pull = channel == Channel::Pull;
            changes.write(PUT_POST, kept![shard, post, column(author.0), pull, text.to_owned()]);
            if pull {
                changes.write(PUT_PULL, kept![column(author.0), post]);
            }
            let audience = u32::try_from(row.followers).unwrap_or(u32::MAX);
            changes.emit(Event::Posted { post: id, author, channel, audience });
            let post = Post { id, author: row.card, text: text.into(), likes: 0 };
            Ok((Outcome::Posted { post, channel }, changes))
        })
        .await;
    hint.taken = chosen;
    verdict
}

/// A user and a post, its row locked.
struct Between {
    author: Option<UserId>,
    user_exists: bool,
    blocked: bool,
    liked: bool,
    likes: u64,
}

/// Reads what stands between the actor and a post, and decides.
async fn between(
    at: At<'_>,
    post: PostId,
    rules: impl FnOnce(Between) -> Result<Changes, Stop>,
) -> Result<Verdict, Stop> {
    let lent = at.transaction.lent();
    let statements = lent.prepare(&[LOCK_POST, BETWEEN]).await?;
    let ((user_shard, user), (shard, id)) = (user_key(at.request.actor), post_key(post));
    let post_params: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&shard, &id];
    let all_params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] = [&user_shard, &user, &shard, &id];
    let nothing = || async { Ok(()) };
    let reads =
        try_join4(lent.run(&statements[0], &post_params), lent.run(&statements[1], &all_params), nothing(), nothing());
    at.decide(reads, |(posts, found, (), ())| {
        let between = read_between(&posts, &found)?;
        rules(between).map(|changes| (Outcome::Done, changes))
    })
    .await
}

fn read_between(posts: &[Row], found: &[Row]) -> Result<Between, Fault> {
    let found = found.first().ok_or(Fault::Malformed("a row that is always there is missing"))?;
    Ok(Between {
        author: posts.first().map(|row| user_id(row, 0)).transpose()?,
        user_exists: found.try_get(0)?,
        blocked: found.try_get(1)?,
        liked: found.try_get(2)?,
        likes: number(found, 3)?,
    })
}

pub(super) async fn remove(at: At<'_>, post: PostId) -> Result<Verdict, Stop> {
    let actor = at.request.actor;
    between(at, post, |between| {
        let author = between.author.ok_or(Rejection::UnknownPost)?;
        if author != actor {
            return Err(if between.blocked { Rejection::UnknownPost } else { Rejection::NotAuthor }.into());
        }
        let mut changes = Changes::default();
        let (shard, id) = post_key(post);
        changes.write(REMOVE_POST, kept![shard, id]);
        changes.write(REMOVE_COUNTER, kept![shard, id]);
        changes.emit(Event::Removed { post, author });
        Ok(changes)
    })
    .await
}

pub(super) async fn like(at: At<'_>, post: PostId) -> Result<Verdict, Stop> {
    let user = at.request.actor;
    between(at, post, |between| {
        if !between.user_exists {
            return Err(Rejection::UnknownUser.into());
        }
        if between.author.is_none() || between.blocked {
            return Err(Rejection::UnknownPost.into());
        }
        let mut changes = Changes::default();
        if !between.liked {
            let likes = between.likes + 1;
            let ((user_shard, liker), (shard, id)) = (user_key(user), post_key(post));
            changes.write(PUT_LIKE, kept![user_shard, liker, id]);
            changes.write(PUT_COUNTER, kept![shard, id, column(likes)]);
            changes.emit(Event::Liked { user, post, likes });
        }
        Ok(changes)
    })
    .await
}

pub(super) async fn unlike(at: At<'_>, post: PostId) -> Result<Verdict, Stop> {
    let user = at.request.actor;
    between(at, post, |between| {
        let mut changes = Changes::default();
        if between.liked {
            let ((user_shard, liker), (shard, id)) = (user_key(user), post_key(post));
            changes.write(REMOVE_LIKE, kept![user_shard, liker, id]);
            // Likes outlive a removed post; its counter does not.
            if between.author.is_some() {
                let likes = between.likes.saturating_sub(1);
                changes.write(PUT_COUNTER, kept![shard, id, column(likes)]);
                changes.emit(Event::Unliked { user, post, likes });
            }
        }
        Ok(changes)
    })
    .await
}

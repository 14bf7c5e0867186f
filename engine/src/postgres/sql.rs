//! The statements of the hot paths, where the plans of all of them are held by a test: each looks into one partition
//! of a table by an index, and none scans or joins. What looks like a join is a look-up by key for each element of an
//! array: `LIMIT` within keeps the planner from making anything else of it.

/// A page of users: shards, ids.
pub const USERS: &str =
    "SELECT asked.place, u.* FROM unnest($1::smallint[], $2::bigint[]) WITH ORDINALITY AS asked(shard, id, place),
    LATERAL (SELECT id, handle, name, followers, following, hot, pin, last_post FROM users
             WHERE users.shard = asked.shard AND users.id = asked.id LIMIT 1) AS u";

/// A page of posts with their authors, who are of the same shard: shards, ids.
pub const POSTS: &str = "SELECT asked.place, asked.id, p.text,
    coalesce((SELECT likes FROM post_counters WHERE shard = asked.shard AND post = asked.id), 0), u.id, u.handle, u.name
    FROM unnest($1::smallint[], $2::bigint[]) WITH ORDINALITY AS asked(shard, id, place),
    LATERAL (SELECT author, text FROM posts WHERE posts.shard = asked.shard AND posts.id = asked.id LIMIT 1) AS p,
    LATERAL (SELECT id, handle, name FROM users WHERE users.shard = asked.shard AND users.id = p.author LIMIT 1) AS u";

/// The newest posts of authors: shards, ids, below, above, of each at the most.
pub const POSTS_BY: &str = "SELECT asked.place, p.id
    FROM unnest($1::smallint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS asked(shard, author, below, place),
    LATERAL (SELECT posts.id FROM posts WHERE posts.shard = asked.shard AND posts.author = asked.author
             AND posts.id < asked.below AND posts.id > $4 ORDER BY posts.id DESC LIMIT $5) AS p";

/// Whom a reader follows: shard, reader.
pub const FOLLOWEES: &str = "SELECT followee FROM follows WHERE shard = $1 AND follower = $2";

/// A reader's view in one snapshot: shard, reader. A stamp from another system, of a dump that was restored, may lie
/// above this one's present: every row seen was committed before the snapshot's end, which is told for that.
pub const VIEW: &str = "SELECT
    ARRAY(SELECT followee FROM follows WHERE shard = $1 AND follower = $2 ORDER BY followee),
    ARRAY(SELECT stamp FROM follows WHERE shard = $1 AND follower = $2 ORDER BY followee),
    ARRAY(SELECT muted FROM mutes WHERE shard = $1 AND muter = $2 ORDER BY muted),
    ARRAY(SELECT blocked FROM blocks WHERE shard = $1 AND blocker = $2 ORDER BY blocked),
    ARRAY(SELECT blocker FROM blocked_by WHERE shard = $1 AND blocked = $2 ORDER BY blocker),
    coalesce((SELECT widened FROM users WHERE shard = $1 AND id = $2), 0),
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint";

/// A page of followers within slots: shard, author, after, looked at at the most, first slot, end of slots, told at the
/// most. How many were looked at, and the last of them.
pub const FOLLOWERS: &str = "WITH seen AS MATERIALIZED (
        SELECT follower, slot FROM followers WHERE shard = $1 AND followee = $2 AND follower > $3
        ORDER BY follower LIMIT $4)
    SELECT ARRAY(SELECT follower FROM seen WHERE slot >= $5 AND slot < $6 ORDER BY follower LIMIT $7),
    (SELECT count(*) FROM seen), (SELECT max(follower) FROM seen),
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint";

/// Lists of users, by rising id: shard, owner, after, at the most.
pub const LIST_FOLLOWERS: &str =
    "SELECT follower FROM followers WHERE shard = $1 AND followee = $2 AND follower > $3 ORDER BY follower LIMIT $4";
/// As above.
pub const LIST_FOLLOWING: &str =
    "SELECT followee FROM follows WHERE shard = $1 AND follower = $2 AND followee > $3 ORDER BY followee LIMIT $4";
/// As above.
pub const LIST_MUTES: &str =
    "SELECT muted FROM mutes WHERE shard = $1 AND muter = $2 AND muted > $3 ORDER BY muted LIMIT $4";
/// As above.
pub const LIST_BLOCKS: &str =
    "SELECT blocked FROM blocks WHERE shard = $1 AND blocker = $2 AND blocked > $3 ORDER BY blocked LIMIT $4";

/// The newest posts that a reader likes: shard, reader, at the most.
pub const LIKES: &str = "SELECT post FROM likes WHERE shard = $1 AND liker = $2 ORDER BY post DESC LIMIT $3";

/// Which of these posts a reader likes: shard, reader, posts. Each is looked up: `= ANY` would read all that the reader
/// ever liked.
pub const LIKED: &str = "SELECT l.post FROM unnest($3::bigint[]) AS asked(post),
    LATERAL (SELECT likes.post FROM likes WHERE shard = $1 AND liker = $2 AND likes.post = asked.post LIMIT 1) AS l";

/// Events by number: after, at the most; with their epoch and the number before the oldest that is kept.
pub const EVENTS: &str = "SELECT epoch.id, log_positions.floor,
    ARRAY(SELECT number FROM outbox WHERE number > $1 ORDER BY number LIMIT $2),
    ARRAY(SELECT event FROM outbox WHERE number > $1 ORDER BY number LIMIT $2)
    FROM epoch, log_positions";

/// What the channel of an author's post is chosen by: the present tuning, and where it says so the costs and the newest
/// posts: shard, author, posts at the most. What its mode does not need is not looked at.
pub const CHOICE: &str = "SELECT tuning,
    CASE WHEN cost THEN (SELECT text FROM notes WHERE name = 'costs') END,
    CASE WHEN cost THEN ARRAY(SELECT id FROM posts WHERE shard = $1 AND author = $2 ORDER BY id DESC LIMIT $3) END
    FROM (SELECT tuning, tuning->'settings'->>'mode' = 'cost' AS cost FROM tuning ORDER BY version DESC LIMIT 1) AS present";

/// A reader's checkpoint.
pub const CHECKPOINT: &str = "SELECT feed FROM user_feed WHERE reader = $1";

-- The write side: what users and operators have said. Everything else can be computed from it (law 1).
--
-- Ids are 41 bits of time, 10 of the logical shard, 12 of a sequence, so an id names its shard, and a post's id
-- its author's. The client writes the shard into a column of its own: a table is partitioned by it, every
-- statement names it, and so looks into one partition. Keys begin with the shard, for a partition's key must hold
-- what it is partitioned by, and so that an index alone answers a query that names it.

-- Who there is, with everything that a command about the user needs in one row; it is the row that commands lock.
-- fillfactor: counters change in place (HOT), for no index holds what changes.
CREATE TABLE users (
    shard smallint NOT NULL,
    id bigint NOT NULL,
    handle text NOT NULL,
    name text NOT NULL,
    followers bigint NOT NULL DEFAULT 0,
    following bigint NOT NULL DEFAULT 0,
    -- Whether the author counts as hot, with hysteresis.
    hot boolean NOT NULL DEFAULT false,
    -- The operator's choice: true pull, false push, null none.
    pin boolean,
    -- The newest post id ever, removed or not: the next one exceeds it.
    last_post bigint NOT NULL DEFAULT 0,
    -- The transaction in which the timeline last grew backwards in time: follow, unmute, unblock.
    widened bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (shard, id)
) PARTITION BY HASH (shard);

-- Handle to user. The shard is the handle's own, for a handle is all that a sign-in has.
CREATE TABLE identities (
    shard smallint NOT NULL,
    handle text NOT NULL COLLATE "C",
    user_id bigint NOT NULL,
    PRIMARY KEY (shard, handle)
) PARTITION BY HASH (shard);

-- What was written. The key serves hydration by id.
CREATE TABLE posts (
    shard smallint NOT NULL,
    id bigint NOT NULL,
    author bigint NOT NULL,
    -- The channel, chosen when the post was committed and never changed (law 3): pull or push.
    pull boolean NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (shard, id)
) PARTITION BY HASH (shard);

-- An author's newest posts: streams and pull pages, by this index alone.
CREATE INDEX posts_by_author ON posts (shard, author, id);

-- Whom a user follows, by rising id, with the transaction that made the follow: a view, by the index alone.
CREATE TABLE follows (
    shard smallint NOT NULL,
    follower bigint NOT NULL,
    followee bigint NOT NULL,
    stamp bigint NOT NULL,
    PRIMARY KEY (shard, follower, followee) INCLUDE (stamp)
) PARTITION BY HASH (shard);

-- The mirror: who follows an author, by the author's shard. The slot is the reader's, so that a worker reads its share.
-- It is not part of the order: pages of followers come by rising id. Ordered by slot, each page of a huge audience
-- would have to sort all that is left of it (16 pages of 65,536 followers: 16 times a million rows); ordered by id, a
-- worker passes over the slots of others once, in the index.
CREATE TABLE followers (
    shard smallint NOT NULL,
    followee bigint NOT NULL,
    follower bigint NOT NULL,
    slot smallint NOT NULL,
    PRIMARY KEY (shard, followee, follower) INCLUDE (slot)
) PARTITION BY HASH (shard);

-- Who likes what, newest posts first. Outlives a removed post, which nobody can see.
CREATE TABLE likes (
    shard smallint NOT NULL,
    liker bigint NOT NULL,
    post bigint NOT NULL,
    PRIMARY KEY (shard, liker, post)
) PARTITION BY HASH (shard);

-- Whom a user mutes.
CREATE TABLE mutes (
    shard smallint NOT NULL,
    muter bigint NOT NULL,
    muted bigint NOT NULL,
    PRIMARY KEY (shard, muter, muted)
) PARTITION BY HASH (shard);

-- Whom a user blocks.
CREATE TABLE blocks (
    shard smallint NOT NULL,
    blocker bigint NOT NULL,
    blocked bigint NOT NULL,
    PRIMARY KEY (shard, blocker, blocked)
) PARTITION BY HASH (shard);

-- The mirror, by the shard of the blocked: a view of a reader looks into one partition of each table.
CREATE TABLE blocked_by (
    shard smallint NOT NULL,
    blocked bigint NOT NULL,
    blocker bigint NOT NULL,
    PRIMARY KEY (shard, blocked, blocker)
) PARTITION BY HASH (shard);

-- Likes of a post: beside the post, so that a like does not write the text again. No row: none.
CREATE TABLE post_counters (
    shard smallint NOT NULL,
    post bigint NOT NULL,
    likes bigint NOT NULL,
    PRIMARY KEY (shard, post)
) PARTITION BY HASH (shard);

-- Eight partitions each: enough to spread tables over disks and to keep the locks of a statement few.
-- Users and counters leave room in their pages for rows that change in place.
DO $$
DECLARE
    name text;
    part integer;
    room text;
BEGIN
    FOREACH name IN ARRAY ARRAY['users', 'identities', 'posts', 'follows', 'followers', 'likes', 'mutes', 'blocks',
                                'blocked_by', 'post_counters'] LOOP
        room := CASE WHEN name IN ('users', 'post_counters') THEN ' WITH (fillfactor = 70)' ELSE '' END;
        FOR part IN 0..7 LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 8, REMAINDER %s)%s',
                           name || '_' || part, name, part, room);
        END LOOP;
    END LOOP;
END
$$;

-- Sessions: families of refresh tokens. A token says whose it is, which family it belongs to, and a secret of its own;
-- of the latter two only digests are kept. One row a family, whatever it has spent: a token of a known family that is
-- not the good one was spent before.

CREATE TABLE sessions (
    shard smallint NOT NULL,
    user_id bigint NOT NULL,
    family bytea NOT NULL,
    -- The good token.
    token bytea NOT NULL,
    -- Whether the user signed in as an operator.
    operator boolean NOT NULL,
    -- When the good token ends, and the session with it: Unix milliseconds.
    expires_at bigint NOT NULL,
    PRIMARY KEY (shard, user_id, family)
) PARTITION BY HASH (shard);
-- For the janitor.
CREATE INDEX sessions_by_end ON sessions (expires_at);

DO $$
DECLARE
    part integer;
BEGIN
    FOR part IN 0..7 LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF sessions FOR VALUES WITH (MODULUS 8, REMAINDER %s)',
                       'sessions_' || part, part);
    END LOOP;
END
$$;

-- Begins a session, unless it was begun before, and leaves its user `most` of them: of more, those go that end first.
-- In a function, as in V4: what follows the lock sees what its last holder committed, so the bound holds.
CREATE FUNCTION begin_session(
    of_shard smallint, of_user bigint, new_family bytea, new_token bytea, by_operator boolean, ends_at bigint, most bigint
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM users WHERE shard = of_shard AND id = of_user FOR NO KEY UPDATE;
    INSERT INTO sessions (shard, user_id, family, token, operator, expires_at)
    VALUES (of_shard, of_user, new_family, new_token, by_operator, ends_at) ON CONFLICT DO NOTHING;
    DELETE FROM sessions USING (
        SELECT family FROM sessions WHERE shard = of_shard AND user_id = of_user
        ORDER BY family = new_family DESC, expires_at DESC, family OFFSET most) AS surplus
    WHERE sessions.shard = of_shard AND sessions.user_id = of_user AND sessions.family = surplus.family;
END
$$;

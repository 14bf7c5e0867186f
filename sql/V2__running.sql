-- What keeps the store running: the outbox and its numbers, keys of commands, tuning, the history's identity, leases.

-- The outbox: an event is inserted by the transaction that it tells of, after that transaction holds its locks, so ids
-- of dependent changes rise in the order of their commits. Ids of others do not, and ids have gaps: an id is no
-- position. The number is given later, to committed rows only, without a gap.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY,
    number bigint,
    event bytea NOT NULL
);
-- What waits for its number, in the order in which it gets it. Empty most of the time.
CREATE INDEX outbox_unnumbered ON outbox (id) WHERE number IS NULL;
-- The log by number: what is to be published, a number missing for a second, a node's warm-up.
CREATE UNIQUE INDEX outbox_numbered ON outbox (number) WHERE number IS NOT NULL;

-- The last number given, the last that was published, and the number before the oldest event that is kept. One row;
-- its lock makes numbering one after the other.
CREATE TABLE log_positions (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    numbered bigint NOT NULL DEFAULT 0,
    published bigint NOT NULL DEFAULT 0,
    floor bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);
INSERT INTO log_positions DEFAULT VALUES;

-- The identity of this history, and the server and timeline that it was last seen on: on another (a restored backup, a
-- promoted replica) it is another history. One row, which the program writes when it migrates.
CREATE TABLE epoch (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id bigint NOT NULL,
    system_identifier bigint NOT NULL,
    timeline integer NOT NULL
);

-- What each key of each actor came to (law 7), for a day.
CREATE TABLE idempotency (
    actor bigint NOT NULL,
    key bytea NOT NULL,
    fingerprint bytea NOT NULL,
    -- Unix milliseconds.
    made_at bigint NOT NULL,
    outcome jsonb NOT NULL,
    PRIMARY KEY (actor, key)
);
-- For the janitor.
CREATE INDEX idempotency_by_age ON idempotency (made_at);

-- Every version of the tuning. The program writes version 1, whose row is locked by whoever makes another.
CREATE TABLE tuning (
    version bigint PRIMARY KEY,
    tuning jsonb NOT NULL
);

-- Who holds what role, until when by the server's clock.
CREATE TABLE leases (
    role text NOT NULL,
    holder bigint NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (role, holder)
);

-- Small facts, by name.
CREATE TABLE notes (
    name text PRIMARY KEY,
    text text NOT NULL
);

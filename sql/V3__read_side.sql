-- The read side: derived, and lost at the price of time only.

-- One packed checkpoint a reader. Packed already: to compress it again is work for nothing.
CREATE TABLE user_feed (
    reader bigint PRIMARY KEY,
    feed bytea NOT NULL
);
ALTER TABLE user_feed ALTER COLUMN feed SET STORAGE EXTERNAL;

-- Every author that ever posted on pull, with its newest pull post: nodes list them all, by rising id.
CREATE TABLE pull_authors (
    author bigint PRIMARY KEY,
    newest bigint NOT NULL
) WITH (fillfactor = 70);

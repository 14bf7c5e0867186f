-- Who comes in through sign-in providers. (The table `identities` is older: it has the handles.)

-- Provider and the name that it gives to one of its users, which never changes, to the user here. A user may have many.
-- Looked up once at a sign-in, by the whole key: not partitioned, for it has no acting user before it is read.
CREATE TABLE subjects (
    provider text NOT NULL COLLATE "C",
    subject text NOT NULL COLLATE "C",
    user_id bigint NOT NULL,
    PRIMARY KEY (provider, subject)
);

//! Sessions: families of refresh tokens. A store keeps digests only, so whoever reads it cannot refresh.

use super::id::UserId;
use super::time::Millis;

/// SHA-256 of a secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Digest(pub [u8; 32]);

/// Names a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionId {
    /// Who signed in.
    pub user: UserId,
    /// Digest of what all tokens of the family share.
    pub family: Digest,
}

/// A session as it begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewSession {
    /// Its name, new.
    pub id: SessionId,
    /// Digest of the first token.
    pub token: Digest,
    /// Whether the user signed in as an operator.
    pub operator: bool,
    /// When the token ends, and the session with it.
    pub expires_at: Millis,
}

/// A token that is to be spent for the next of its family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refresh {
    /// The session.
    pub id: SessionId,
    /// Digest of the token to spend.
    pub spent: Digest,
    /// Digest of the next token. Random, so that whoever finds it kept knows that this very refresh kept it.
    pub next: Digest,
    /// When the next token ends, and the session with it; but an operator's session ends when it was to end as it began.
    pub expires_at: Millis,
}

/// What a refresh came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refreshed {
    /// The next token is the good one.
    Next {
        /// Whether the user signed in as an operator.
        operator: bool,
    },
    /// The token had been spent before: the session is ended.
    Reused,
    /// There is no such session, or no longer.
    Unknown,
}

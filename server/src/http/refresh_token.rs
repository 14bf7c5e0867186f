//! Refresh tokens, as clients hold them: whose it is, what its family shares, and 256 random bits of its own, in
//! base64url. The store has digests of the latter two.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use tributary_engine::model::{Digest, SessionId, UserId};

use super::problem::Fault;

const BYTES: usize = 8 + 16 + 32;
/// Characters of a token.
const CHARS: usize = (BYTES * 8).div_ceil(6);

/// A refresh token. It has no `Debug`: it is a secret.
pub struct RefreshToken {
    user: UserId,
    family: [u8; 16],
    secret: [u8; 32],
}

impl RefreshToken {
    /// The first token of a new family.
    pub fn begin(user: UserId) -> Result<Self, Fault> {
        Ok(Self { user, family: random()?, secret: random()? })
    }

    /// Another token of the same family.
    pub fn next(&self) -> Result<Self, Fault> {
        Ok(Self { secret: random()?, ..*self })
    }

    /// The token of this text; none where it is of another form.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != CHARS {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (user, bytes) = bytes.split_first_chunk()?;
        let (family, secret) = bytes.split_first_chunk()?;
        Some(Self { user: UserId(u64::from_be_bytes(*user)), family: *family, secret: secret.try_into().ok()? })
    }

    /// The token's text.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode([&self.user.0.to_be_bytes()[..], &self.family, &self.secret].concat())
    }

    /// The session that it belongs to, as the store knows it.
    pub fn session(&self) -> SessionId {
        SessionId { user: self.user, family: Digest(Sha256::digest(self.family).into()) }
    }

    /// What the store knows of the token.
    pub fn digest(&self) -> Digest {
        Digest(Sha256::digest(self.secret).into())
    }
}

fn random<const N: usize>() -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Fault::unavailable(format!("no random bytes: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(user: u64) -> RefreshToken {
        RefreshToken::begin(UserId(user)).ok().unwrap()
    }

    #[test]
    fn a_token_survives_its_text() {
        for user in [0, 7, u64::MAX] {
            let token = begun(user);
            let text = token.text();
            let again = RefreshToken::parse(&text).unwrap();
            assert_eq!(
                (again.session(), again.digest(), again.text()),
                (token.session(), token.digest(), text.clone())
            );
            assert!(text.len() == CHARS && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
        }
    }

    #[test]
    fn tokens_of_a_family_share_its_session_and_nothing_else_does() {
        let first = begun(7);
        let (next, other) = (first.next().ok().unwrap(), begun(7));
        assert_eq!(first.session(), next.session());
        assert_ne!(first.digest(), next.digest());
        assert_ne!(first.session(), other.session());
        let stored = [first.session().family.0, first.digest().0].concat();
        assert!(!stored.windows(16).any(|bytes| bytes == first.family || bytes == &first.secret[..16]));
    }

    #[test]
    fn what_is_no_token_is_none() {
        let good = begun(7).text();
        let longer = format!("{good}A");
        let ends_badly = format!("{}B", &good[..CHARS - 1]);
        let umlauts = "ä".repeat(CHARS).chars().take(CHARS / 2).collect::<String>() + "a";
        for text in ["", "=", &good[1..], &longer, &ends_badly, &umlauts, &"=".repeat(CHARS), &"+".repeat(CHARS)] {
            assert!(RefreshToken::parse(text).is_none(), "{text}");
        }
    }
}

//! Access tokens: JWTs signed with HMAC-SHA-256 under a key that all nodes share. A token that was verified
//! once is remembered by its digest until it expires; the memory is bounded (law 9).

use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tributary_engine::model::{Handle, UserId};
use tributary_engine::ports::Clock;

use super::settings::Settings;

const ISSUER: &str = "tributary";
/// Tokens that are remembered at the most.
const REMEMBERED: u64 = 100_000;
/// Longer ones are not ours.
const TOKEN_BYTES: usize = 2_048;

/// Who makes a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The user.
    pub id: UserId,
    /// Whether the user may do what operators do.
    pub operator: bool,
    /// When the token expires, in seconds since 1970.
    pub expires_s: u64,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenError {
    /// It was good once.
    Expired,
    /// It was never ours.
    Invalid,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    handle: Handle,
    operator: bool,
    iat: u64,
    exp: u64,
    iss: String,
}

/// Makes and verifies access tokens.
pub struct Tokens {
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
    header: Header,
    ttl_s: u64,
    operators: Vec<Handle>,
    verified: Cache<[u8; 32], Caller>,
}

impl Tokens {
    /// With the key that signs tokens on all nodes.
    pub fn new(key: &[u8; 32], settings: &Settings) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        let mut header = Header::new(Algorithm::HS256);
        let digest = Sha256::digest(key);
        header.kid = Some(digest[..4].iter().map(|byte| format!("{byte:02x}")).collect());
        Self {
            signing: EncodingKey::from_secret(key),
            verifying: DecodingKey::from_secret(key),
            validation,
            header,
            ttl_s: settings.access_ttl_s,
            operators: settings.operators.clone(),
            verified: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(Duration::from_secs(settings.access_ttl_s.max(1)))
                .build(),
        }
    }

    /// How long a token made now is good for.
    pub fn ttl_s(&self) -> u64 {
        self.ttl_s
    }

    /// A token for a user.
    pub fn issue(&self, user: UserId, handle: &Handle, operator: bool) -> String {
        let now = now_s();
        let claims = Claims {
            sub: user.to_string(),
            handle: handle.clone(),
            operator,
            iat: now,
            exp: now + self.ttl_s,
            iss: ISSUER.to_owned(),
        };
        jsonwebtoken::encode(&self.header, &claims, &self.signing).expect("the claims are JSON and the key signs HS256")
    }

    /// Whose token it is.
    pub fn verify(&self, token: &str) -> Result<Caller, TokenError> {
        if token.len() > TOKEN_BYTES {
            return Err(TokenError::Invalid);
        }
        let digest = Sha256::digest(token).into();
        if let Some(caller) = self.verified.get(&digest) {
            return if now_s() < caller.expires_s { Ok(caller) } else { Err(TokenError::Expired) };
        }
        let token = jsonwebtoken::decode::<Claims>(token, &self.verifying, &self.validation).map_err(|error| {
            if matches!(error.kind(), ErrorKind::ExpiredSignature) { TokenError::Expired } else { TokenError::Invalid }
        })?;
        let claims = token.claims;
        if token.header.kid != self.header.kid {
            return Err(TokenError::Invalid);
        }
        let caller = Caller {
            id: claims.sub.parse().map_err(|()| TokenError::Invalid)?,
            operator: claims.operator || self.operators.contains(&claims.handle),
            expires_s: claims.exp,
        };
        self.verified.insert(digest, caller);
        Ok(caller)
    }
}

fn now_s() -> u64 {
    Clock::System.now().0 / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::settings::Bounds;

    fn tokens(key: u8, access_ttl_s: u64, operators: &[&str]) -> Tokens {
        let settings = Settings {
            api: true,
            dev_login: true,
            operators: operators.iter().map(|handle| handle.parse().unwrap()).collect(),
            access_ttl_s,
            follows: 0,
            posts_per_minute: 0,
            requests_per_second: 0,
            trusted_proxies: Vec::new(),
            pages: |_| None,
            bounds: Bounds::default(),
        };
        Tokens::new(&[key; 32], &settings)
    }

    fn signed(header: &Header, claims: &serde_json::Value) -> Result<Caller, TokenError> {
        let token = jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(&[1; 32])).unwrap();
        tokens(1, 900, &[]).verify(&token)
    }

    fn claims() -> serde_json::Value {
        let exp = now_s() + 60;
        serde_json::json!({"sub": "7", "handle": "ann", "operator": false, "iat": 1, "exp": exp, "iss": ISSUER})
    }

    #[test]
    fn a_token_names_its_user_and_whether_it_is_an_operator() {
        let ann: Handle = "ann".parse().unwrap();
        for (operators, asked, operator) in
            [(&[][..], false, false), (&[][..], true, true), (&["ann"][..], false, true)]
        {
            let tokens = tokens(1, 900, operators);
            let token = tokens.issue(UserId(7), &ann, asked);
            for _ in 0..2 {
                let caller = tokens.verify(&token).unwrap();
                assert_eq!((caller.id, caller.operator), (UserId(7), operator));
                assert!((now_s() + 899..=now_s() + 900).contains(&caller.expires_s));
            }
        }
    }

    #[test]
    fn a_token_is_good_until_it_expires_and_on_all_nodes_of_the_key() {
        let ann: Handle = "ann".parse().unwrap();
        let token = tokens(1, 900, &[]).issue(UserId(7), &ann, false);
        assert!(tokens(1, 900, &[]).verify(&token).is_ok());
        assert_eq!(tokens(2, 900, &[]).verify(&token), Err(TokenError::Invalid));
        let mut old = claims();
        old["exp"] = (now_s() - 1).into();
        assert_eq!(signed(&tokens(1, 1, &[]).header, &old), Err(TokenError::Expired));
    }

    #[test]
    fn only_exactly_our_tokens_are_accepted() {
        let header = tokens(1, 900, &[]).header;
        assert!(signed(&header, &claims()).is_ok());
        assert_eq!(signed(&Header::new(Algorithm::HS256), &claims()), Err(TokenError::Invalid), "no kid");
        assert_eq!(signed(&Header { alg: Algorithm::HS512, ..header.clone() }, &claims()), Err(TokenError::Invalid));
        for (name, value) in [("iss", "other".into()), ("sub", "-7".into()), ("sub", 7.into()), ("exp", "soon".into())]
        {
            let mut changed = claims();
            changed[name] = value;
            assert_eq!(signed(&header, &changed), Err(TokenError::Invalid), "{name}");
        }
        for name in ["sub", "exp", "iss", "handle", "operator"] {
            let mut missing = claims();
            missing.as_object_mut().unwrap().remove(name);
            assert_eq!(signed(&header, &missing), Err(TokenError::Invalid), "{name}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiI3In0.";
        for text in ["", ".", "..", "a.b.c", none, &"a".repeat(100_000), "ä.ö.ü"] {
            assert_eq!(tokens(1, 900, &[]).verify(text), Err(TokenError::Invalid));
        }
    }
}

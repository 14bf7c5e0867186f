//! Access tokens: JWTs, signed by HS256 or EdDSA with the first key of those that all nodes share. A token names its
//! key, so whatever any of the keys signed is good until it expires. A token that was verified once is remembered by
//! its digest until then; the memory is bounded (law 9).

use std::time::Duration;

use ed25519_dalek::pkcs8::EncodePrivateKey;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tributary_engine::model::{Handle, UserId};
use tributary_engine::ports::Clock;

use super::settings::Settings;
use crate::config::TokenKey;

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

/// A key, and what its tokens look like.
struct Key {
    header: Header,
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
}

impl Key {
    fn new(key: &TokenKey) -> Self {
        let (algorithm, signing, verifying, named) = match key {
            TokenKey::Hs256(key) => {
                (Algorithm::HS256, EncodingKey::from_secret(key), DecodingKey::from_secret(key), *key)
            }
            TokenKey::EdDsa(key) => {
                let public = key.verifying_key().to_bytes();
                let private = key.to_pkcs8_der().expect("a key of Ed25519 is of a fixed form");
                let signing = EncodingKey::from_ed_der(private.as_bytes());
                (Algorithm::EdDSA, signing, DecodingKey::from_ed_der(&public), public)
            }
        };
        let mut header = Header::new(algorithm);
        header.kid = Some(Sha256::digest(named)[..4].iter().map(|byte| format!("{byte:02x}")).collect());
        // Its own algorithm and no other: a token cannot choose how it is verified.
        let mut validation = Validation::new(algorithm);
        validation.leeway = 0;
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        Self { header, signing, verifying, validation }
    }
}

/// Makes and verifies access tokens.
pub struct Tokens {
    /// The first signs; there is one at least.
    keys: Vec<Key>,
    ttl_s: u64,
    operators: Vec<Handle>,
    verified: Cache<[u8; 32], Caller>,
}

impl Tokens {
    /// With the keys of the nodes, at least one. The first signs.
    pub fn new(keys: &[TokenKey], settings: &Settings) -> Self {
        Self {
            keys: keys.iter().map(Key::new).collect(),
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
        let Key { header, signing, .. } = self.keys.first().expect("there is a key at least");
        jsonwebtoken::encode(header, &claims, signing).expect("the claims are JSON and the key is of its algorithm")
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
        // A token that names no key is none of ours: each of our keys has a name.
        let named = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?.kid;
        let key = self.keys.iter().find(|key| key.header.kid == named).ok_or(TokenError::Invalid)?;
        let token = jsonwebtoken::decode::<Claims>(token, &key.verifying, &key.validation).map_err(|error| {
            if matches!(error.kind(), ErrorKind::ExpiredSignature) { TokenError::Expired } else { TokenError::Invalid }
        })?;
        let claims = token.claims;
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
        tokens_with(&[TokenKey::Hs256([key; 32])], access_ttl_s, operators)
    }

    fn tokens_with(keys: &[TokenKey], access_ttl_s: u64, operators: &[&str]) -> Tokens {
        let settings = Settings {
            api: true,
            dev_login: true,
            sign_in: Default::default(),
            operators: operators.iter().map(|handle| handle.parse().unwrap()).collect(),
            access_ttl_s,
            refresh_ttl_s: access_ttl_s,
            follows: 0,
            posts_per_minute: 0,
            requests_per_second: 0,
            cors_origins: crate::config::Origins::Only(Vec::new()),
            trusted_proxies: Vec::new(),
            unbounded_peers: Vec::new(),
            pages: |_| None,
            bounds: Bounds::default(),
        };
        Tokens::new(keys, &settings)
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
        assert_eq!(signed(&tokens(1, 1, &[]).keys[0].header, &old), Err(TokenError::Expired));
    }

    #[test]
    fn only_exactly_our_tokens_are_accepted() {
        let header = tokens(1, 900, &[]).keys.remove(0).header;
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
    fn tokens_of_every_key_are_good_and_those_of_a_removed_one_are_not() {
        let hs256 = TokenKey::Hs256([1; 32]);
        let ed_dsa = |seed| TokenKey::EdDsa(ed25519_dalek::SigningKey::from_bytes(&[seed; 32]));
        let ann: Handle = "ann".parse().unwrap();
        let good = Ok((UserId(7), true));
        let verified = |by: &Tokens, of: &Tokens| {
            by.verify(&of.issue(UserId(7), &ann, true)).map(|caller| (caller.id, caller.operator))
        };
        for [old, new] in [[hs256.clone(), ed_dsa(2)], [ed_dsa(2), ed_dsa(3)], [ed_dsa(3), hs256]] {
            let with =
                |keys: &[&TokenKey]| tokens_with(&keys.iter().map(|key| (*key).clone()).collect::<Vec<_>>(), 900, &[]);
            let (before, added, first, after) =
                (with(&[&old]), with(&[&old, &new]), with(&[&new, &old]), with(&[&new]));
            for (one, other) in [(&before, &added), (&added, &first), (&first, &after)] {
                assert_eq!(verified(one, other), good);
                assert_eq!(verified(other, one), good);
            }
            assert_eq!(verified(&after, &added), Err(TokenError::Invalid));
            assert_eq!(verified(&before, &first), Err(TokenError::Invalid));
        }
    }

    #[test]
    fn a_token_cannot_choose_how_it_is_verified() {
        let key = ed25519_dalek::SigningKey::from_bytes(&[2; 32]);
        let public = key.verifying_key().to_bytes();
        let tokens = tokens_with(&[TokenKey::EdDsa(key), TokenKey::Hs256([1; 32])], 900, &[]);
        let named = |place: usize| tokens.keys[place].header.kid.clone();
        // The public key is no secret: as one of HS256 it must open nothing.
        let header = Header { alg: Algorithm::HS256, kid: named(0), ..Header::default() };
        let forged = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(&public)).unwrap();
        assert_eq!(tokens.verify(&forged), Err(TokenError::Invalid));
        let header = Header { alg: Algorithm::EdDSA, kid: named(1), ..Header::default() };
        let forged = jsonwebtoken::encode(&header, &claims(), &tokens.keys[0].signing).unwrap();
        assert_eq!(tokens.verify(&forged), Err(TokenError::Invalid), "another key than it names");
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiI3In0.";
        for text in ["", ".", "..", "a.b.c", none, &"a".repeat(100_000), "ä.ö.ü"] {
            assert_eq!(tokens(1, 900, &[]).verify(text), Err(TokenError::Invalid));
        }
    }
}

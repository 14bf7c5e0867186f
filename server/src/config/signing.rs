//! The keys behind tokens and cursors, out of those in the file that all nodes share ([`key_file`](super::key_file)).
//! Each use has a key of its own, derived from it, so that what signs a cursor can never sign a token.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use tributary_engine::timeline::Signer;

use super::Config;
use super::key_file::{self, SigningKey};

/// A key for access tokens.
#[derive(Clone)]
pub enum TokenKey {
    /// A secret for HS256.
    Hs256([u8; 32]),
    /// A private key for EdDSA.
    EdDsa(ed25519_dalek::SigningKey),
}

/// The keys of a node.
#[derive(Clone)]
pub struct Keys {
    /// The first signs access tokens, each of them verifies some.
    pub tokens: Vec<TokenKey>,
    /// Signs cursors and `fresh` tokens.
    pub signer: Signer,
    /// Sign what is remembered while somebody is away at a sign-in provider; the first for new ones.
    pub sign_in: Vec<[u8; 32]>,
    /// Tells which keys these are, and nothing of them: the first is the one that signs.
    pub fingerprints: Vec<String>,
}

impl Keys {
    /// The keys of this node. Where the file is missing, it is made with one.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds something else.
    pub fn load(config: &Config) -> Result<Self> {
        let path = &config.auth.signing_key_file;
        let keys = key_file::read_or_make(path);
        Ok(Self::of(&keys.with_context(|| format!("auth.signing_key_file: {}", path.display()))?))
    }

    fn of(keys: &[SigningKey]) -> Self {
        let mut cursors = keys.iter().map(|key| derive(key, b"tributary cursors"));
        let signer = Signer::new(&cursors.next().expect("a file has a key at least"));
        let fingerprint = |key: &SigningKey| URL_SAFE_NO_PAD.encode(&derive(key, b"tributary fingerprint")[..16]);
        Self {
            tokens: keys.iter().map(token_key).collect(),
            signer: cursors.fold(signer, |signer, key| signer.and_opens(&key)),
            sign_in: keys.iter().map(|key| derive(key, b"tributary sign-in")).collect(),
            fingerprints: keys.iter().map(fingerprint).collect(),
        }
    }
}

fn token_key(key: &SigningKey) -> TokenKey {
    match key {
        SigningKey::Random(_) => TokenKey::Hs256(derive(key, b"tributary access tokens")),
        SigningKey::Ed25519(key) => TokenKey::EdDsa(key.clone()),
    }
}

fn derive(key: &SigningKey, label: &[u8]) -> [u8; 32] {
    let secret = match key {
        SigningKey::Random(bytes) => bytes,
        SigningKey::Ed25519(key) => key.as_bytes(),
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(label);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use tributary_engine::model::UserId;
    use tributary_engine::timeline::ListId;

    use super::*;

    #[test]
    fn each_use_has_a_key_of_its_own() {
        let key = SigningKey::Random([7; 32]);
        assert_ne!(derive(&key, b"a"), derive(&key, b"b"));
        assert_ne!(derive(&key, b"a"), derive(&SigningKey::Random([8; 32]), b"a"));
    }

    #[test]
    fn the_first_key_signs_and_all_verify() {
        let ed25519 = SigningKey::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[8; 32]));
        let (old, new) = (SigningKey::Random([7; 32]), ed25519);
        let keys = |keys: &[&SigningKey]| Keys::of(&keys.iter().map(|key| (*key).clone()).collect::<Vec<_>>());
        let (before, added, first) = (keys(&[&old]), keys(&[&old, &new]), keys(&[&new, &old]));
        let list = ListId::Home(UserId(5));
        let opens = |by: &Keys, of: &Keys| by.signer.open(list, &of.signer.seal(list, [7])) == Some([7]);
        assert!(opens(&added, &before) && opens(&before, &added), "the new key does not sign yet");
        assert!(opens(&first, &added) && opens(&added, &first) && !opens(&before, &first));
        assert!(matches!(&added.tokens[..], [TokenKey::Hs256(_), TokenKey::EdDsa(_)]));
        assert!(matches!(&first.tokens[..], [TokenKey::EdDsa(_), TokenKey::Hs256(_)]));
        assert_eq!(before.fingerprints[..], added.fingerprints[..1]);
        assert!(added.fingerprints.iter().rev().eq(&first.fingerprints));
    }
}

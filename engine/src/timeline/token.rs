//! Cursors and `fresh` tokens: a few numbers or bytes, signed, bound to their list.
//!
//! Form: base64url(version, LEB128 numbers or bytes, first 16 bytes of HMAC-SHA256 (RFC 2104) over the list and all before).
//! The list itself is not in the token, so one of another list, another reader or another engine is simply not valid.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::packed::{put_number, take_number};
use crate::model::UserId;

const VERSION: u8 = 1;
const TAG_BYTES: usize = 16;
/// No token of numbers is longer: five of them.
const TOKEN_CHARS: usize = token_chars(5 * 10);

/// Characters of a token that says `bytes` bytes, at the most: a version, the bytes and the tag, in base64.
pub const fn token_chars(bytes: usize) -> usize {
    (1 + bytes + TAG_BYTES).div_ceil(3) * 4
}

/// Which list a cursor belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListId {
    /// The reader's home timeline.
    Home(UserId),
    /// The `fresh` token of the reader's home timeline.
    Fresh(UserId),
    /// What came to the reader's home timeline since a token.
    Since(UserId),
    /// An author's posts, as a caller sees them.
    Posts { caller: UserId, author: UserId },
    /// One of a user's lists of users, as a caller sees it; `list` numbers them.
    Users { caller: UserId, user: UserId, list: u8 },
    /// The versions of the tuning.
    Tunings,
    /// The popular posts, whoever asks.
    Popular,
}

impl ListId {
    fn bytes(self) -> [u8; 17] {
        let (kind, a, b) = match self {
            Self::Home(reader) => (1, reader.0, 0),
            Self::Fresh(reader) => (2, reader.0, 0),
            Self::Since(reader) => (3, reader.0, 0),
            Self::Posts { caller, author } => (4, caller.0, author.0),
            Self::Tunings => (5, 0, 0),
            Self::Popular => (6, 0, 0),
            Self::Users { caller, user, list } => (16 + list, caller.0, user.0),
        };
        let mut bytes = [kind; 17];
        bytes[1..9].copy_from_slice(&a.to_le_bytes());
        bytes[9..].copy_from_slice(&b.to_le_bytes());
        bytes
    }
}

/// Makes and checks tokens. Every node has every key of the others: while keys are rotated there are several.
#[derive(Clone)]
pub struct Signer {
    /// Seals.
    keyed: Hmac<Sha256>,
    /// Open too.
    others: Vec<Hmac<Sha256>>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(secret)")
    }
}

impl Signer {
    /// A signer with this key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self { keyed: keyed(key), others: Vec::new() }
    }

    /// The signer, which also opens what signers with this key seal.
    #[must_use]
    pub fn and_opens(mut self, key: &[u8; 32]) -> Self {
        self.others.push(keyed(key));
        self
    }

    /// The token that says `numbers` about `list`.
    pub fn seal<const N: usize>(&self, list: ListId, numbers: [u64; N]) -> String {
        let mut token = Vec::with_capacity(TOKEN_CHARS);
        token.push(VERSION);
        for number in numbers {
            put_number(&mut token, number);
        }
        self.sealed(list, token)
    }

    /// The numbers of a token of `list`; none for anything that none of the keys did [`seal`](Self::seal) for it.
    pub fn open<const N: usize>(&self, list: ListId, token: &str) -> Option<[u64; N]> {
        let bytes = self.open_bytes(list, token, TOKEN_CHARS)?;
        let mut rest = &bytes[..];
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = take_number(&mut rest)?;
        }
        rest.is_empty().then_some(numbers)
    }

    /// The token that says `bytes` about `list`.
    pub fn seal_bytes(&self, list: ListId, bytes: &[u8]) -> String {
        let mut token = Vec::with_capacity(1 + bytes.len() + TAG_BYTES);
        token.push(VERSION);
        token.extend_from_slice(bytes);
        self.sealed(list, token)
    }

    fn sealed(&self, list: ListId, mut payload: Vec<u8>) -> String {
        let tag = mac(&self.keyed, list, &payload).finalize().into_bytes();
        payload.extend_from_slice(&tag[..TAG_BYTES]);
        BASE64.encode(payload)
    }

    /// The bytes of a token of `list`; none where it is longer than `chars`, and for anything that none of the keys did
    /// seal for it.
    pub fn open_bytes(&self, list: ListId, token: &str, chars: usize) -> Option<Vec<u8>> {
        if token.len() > chars {
            return None;
        }
        let bytes = BASE64.decode(token).ok()?;
        let (payload, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
        let mut keys = std::iter::once(&self.keyed).chain(&self.others);
        keys.find(|keyed| mac(keyed, list, payload).verify_truncated_left(tag).is_ok())?;
        let (&version, said) = payload.split_first()?;
        (version == VERSION).then(|| said.to_vec())
    }
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn mac(keyed: &Hmac<Sha256>, list: ListId, payload: &[u8]) -> Hmac<Sha256> {
    let mut mac = keyed.clone();
    mac.update(&list.bytes());
    mac.update(payload);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_valid_for_its_list_and_key_alone() {
        let signer = Signer::new(&[1; 32]);
        let token = signer.seal(ListId::Home(UserId(5)), [7, u64::MAX, 0]);
        assert_eq!(signer.open(ListId::Home(UserId(5)), &token), Some([7, u64::MAX, 0]));
        assert_eq!(signer.open::<3>(ListId::Home(UserId(6)), &token), None);
        assert_eq!(signer.open::<3>(ListId::Fresh(UserId(5)), &token), None);
        assert_eq!(signer.open::<2>(ListId::Home(UserId(5)), &token), None);
        assert_eq!(Signer::new(&[2; 32]).open::<3>(ListId::Home(UserId(5)), &token), None);
    }

    #[test]
    fn while_keys_are_rotated_nodes_open_what_the_others_seal() {
        let (old, new) = ([1; 32], [2; 32]);
        let list = ListId::Home(UserId(5));
        let before = Signer::new(&old);
        let added = Signer::new(&old).and_opens(&new);
        let first = Signer::new(&new).and_opens(&old);
        let after = Signer::new(&new);
        let opens = |by: &Signer, of: &Signer| by.open(list, &of.seal(list, [7])) == Some([7]);
        for (one, other) in [(&before, &added), (&added, &first), (&first, &after)] {
            assert!(opens(one, other) && opens(other, one));
        }
        assert!(!opens(&after, &added) && !opens(&before, &first), "what is not known is refused");
    }

    #[test]
    fn bytes_survive_and_have_the_length_that_is_told() {
        let signer = Signer::new(&[1; 32]);
        for count in [0, 1, 2, 3, 5_000] {
            let bytes = vec![7; count];
            let token = signer.seal_bytes(ListId::Popular, &bytes);
            assert!(token.len() <= token_chars(count));
            assert_eq!(signer.open_bytes(ListId::Popular, &token, token_chars(count)), Some(bytes));
            assert_eq!(signer.open_bytes(ListId::Popular, &token, token.len() - 1), None);
            assert_eq!(signer.open_bytes(ListId::Tunings, &token, token.len()), None);
            let changed = format!("{}{}", &token[1..2], &token[1..]);
            assert_eq!(signer.open_bytes(ListId::Popular, &changed, token.len()).filter(|_| changed != token), None);
        }
    }

    #[test]
    fn a_changed_token_is_refused_at_every_place() {
        let signer = Signer::new(&[1; 32]);
        let list = ListId::Posts { caller: UserId(1), author: UserId(2) };
        let token = signer.seal(list, [300, 7]);
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(signer.open::<2>(list, &changed), None, "{at}");
        }
        for hostile in ["", "=", "AAAA", "ä", &token[1..], &"A".repeat(100_000)] {
            assert_eq!(signer.open::<2>(list, hostile), None);
        }
    }
}

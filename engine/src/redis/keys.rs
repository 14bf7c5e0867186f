//! The names of our keys: everything stands under `<prefix>:`, so that several installations share a server.
//!
//! | key | value |
//! |---|---|
//! | `<prefix>:tributary` | the version of this layout |
//! | `<prefix>:w:<reader>` | a reader's window, with a time to live; without one it has no fill |
//! | `<prefix>:r:<caller>` | a caller's rate, with a time to live |
//! | `<prefix>:popular` | the popular posts, with a time to live, on the server of the first slot |
//!
//! Readers are decimal, so that an operator finds them. Eight binary bytes would save 11 bytes a window: nothing
//! beside a window's three thousand.

use std::io::Write;

use super::error::OpenError;
use crate::model::UserId;

/// The version of the layout, and of what the values are.
pub(super) const VERSION: &str = "1";

/// Makes and reads keys.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: Box<str>,
    windows: Box<[u8]>,
}

impl Keys {
    /// # Errors
    /// A prefix with characters that mean something in a pattern, or end it.
    pub fn new(prefix: &str) -> Result<Self, OpenError> {
        let valid = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.');
        if prefix.is_empty() || prefix.len() > 32 || !prefix.bytes().all(valid) {
            return Err(OpenError::KeyPrefix(prefix.to_owned()));
        }
        Ok(Self { prefix: prefix.into(), windows: format!("{prefix}:w:").into_bytes().into() })
    }

    pub fn marker(&self) -> String {
        format!("{}:tributary", self.prefix)
    }

    pub fn popular(&self) -> String {
        format!("{}:popular", self.prefix)
    }

    pub fn window(&self, reader: UserId) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.windows.len() + 19);
        self.write_window(reader, &mut key);
        key
    }

    /// Makes `key` the reader's, in the memory it has.
    pub fn write_window(&self, reader: UserId, key: &mut Vec<u8>) {
        key.clear();
        key.extend_from_slice(&self.windows);
        write!(key, "{reader}").expect("a vector takes what is written");
    }

    pub fn rate(&self, caller: &[u8]) -> Vec<u8> {
        [self.prefix.as_bytes(), b":r:", caller].concat()
    }

    /// Whose window a key is.
    pub fn reader(&self, key: &[u8]) -> Option<UserId> {
        let digits = std::str::from_utf8(key.strip_prefix(&*self.windows)?).ok()?;
        digits.parse().ok()
    }

    /// Whether a key is one of ours, of whatever kind.
    pub fn is_ours(&self, key: &[u8]) -> bool {
        let rest = key.strip_prefix(self.prefix.as_bytes()).unwrap_or_default();
        self.reader(key).is_some() || rest.starts_with(b":r:") || [&b":popular"[..], b":tributary"].contains(&rest)
    }

    /// The pattern of everything under the prefix.
    pub fn all(&self) -> String {
        format!("{}:*", self.prefix)
    }

    /// The pattern of the windows.
    pub fn all_windows(&self) -> String {
        format!("{}:w:*", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::fuzz;

    #[test]
    fn a_key_is_nobodys_or_ends_with_its_readers_digits() {
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/key");
        let keys = Keys::new("t-1").unwrap();
        let seeds =
            vec![keys.window(UserId(7)), keys.window(UserId(i64::MAX as u64)), keys.rate(b"a"), b"t-1:w:007".to_vec()];
        fuzz(kept, seeds, |input| {
            let Some(reader) = keys.reader(input) else { return false };
            assert!(input.starts_with(b"t-1:w:") && reader.0 > 0 && i64::try_from(reader.0).is_ok());
            let zeros = input.len() - keys.window(reader).len();
            let digits = &input[b"t-1:w:".len()..];
            assert!(digits[..zeros].iter().all(|b| *b == b'0') && &digits[zeros..] == reader.to_string().as_bytes());
            true
        });
    }

    #[test]
    fn a_key_tells_its_reader_and_nobody_elses() {
        let keys = Keys::new("trib-1").unwrap();
        let reader = UserId(1_234_567_890_123_456_789);
        assert_eq!(keys.window(reader), b"trib-1:w:1234567890123456789");
        assert_eq!(keys.reader(&keys.window(reader)), Some(reader));
        for other in ["trib-1:w:", "trib-1:w:12x", "trib-1:r:12", "trib-11:w:12", "trib-1:tributary", ""] {
            assert_eq!(keys.reader(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn our_keys_are_told_from_others() {
        let keys = Keys::new("trib-1").unwrap();
        let ours = [keys.marker().into(), keys.popular().into(), keys.window(UserId(7)), keys.rate(b"a\0b")];
        assert!(ours.iter().all(|key: &Vec<u8>| keys.is_ours(key)));
        for other in ["trib-1:w:", "trib-1:x", "trib-1", "trib-1:popular:1", "trib-11:popular", ":popular", ""] {
            assert!(!keys.is_ours(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_prefix_that_is_a_pattern_is_refused() {
        for prefix in ["", "a:b", "a*", "a[b]", "ü", "a b", &"x".repeat(33)] {
            assert!(Keys::new(prefix).is_err(), "{prefix}");
        }
    }
}

//! Validators: what an answer says, digested, so that a client that has it already is told no more than that (304).
//!
//! They are weak. Two readings of one timeline differ in the bytes of `next` and `fresh`, which say where the log
//! stood, and in the coding that a client takes; what a client sees is the same. `If-None-Match` compares weakly anyway.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderValue};
use sha2::{Digest, Sha256};

use super::respond::{self, Answer};

/// Bytes of a digest that are kept: two answers of one address have the same by chance once in 2^96.
const KEPT: usize = 12;

/// Digests what an answer says, number by number.
#[derive(Clone)]
pub struct Validator(Sha256);

impl Validator {
    /// Of nothing yet. Where `mark` is another, every validator is.
    pub fn new(mark: &str) -> Self {
        Self(Sha256::new_with_prefix(mark))
    }

    /// Says one more number. Their order and count are fixed by those before.
    pub fn say(&mut self, number: u64) {
        self.0.update(number.to_le_bytes());
    }

    /// The validator, as `ETag` has it.
    pub fn etag(self) -> HeaderValue {
        weak(self.0)
    }
}

/// The validator of these bytes.
pub fn of_bytes(bytes: &[u8]) -> HeaderValue {
    weak(Sha256::new_with_prefix(bytes))
}

fn weak(digest: Sha256) -> HeaderValue {
    let digest = digest.finalize();
    let tag = format!("W/\"{}\"", URL_SAFE_NO_PAD.encode(&digest[..KEPT]));
    HeaderValue::try_from(tag).expect("base64 in quotes is a header's value")
}

/// Whether an answer with this `ETag` is one that these values of `If-None-Match` name.
pub fn names(if_none_match: &[HeaderValue], etag: &HeaderValue) -> bool {
    if_none_match.iter().any(|value| lists(value.as_bytes(), opaque(etag.as_bytes())))
}

/// Whether a list of entity tags, or `*`, has this one. What is malformed ends it: nothing behind it is believed.
fn lists(mut list: &[u8], wanted: &[u8]) -> bool {
    if list.trim_ascii() == b"*" {
        return true;
    }
    loop {
        list = list.trim_ascii_start();
        if let Some(rest) = list.strip_prefix(b",") {
            list = rest;
            continue;
        }
        let Some(quoted) = opaque(list).strip_prefix(b"\"") else { return false };
        let Some(end) = quoted.iter().position(|&b| b == b'"') else { return false };
        let tag = &opaque(list)[..end + 2];
        if tag == wanted {
            return true;
        }
        match quoted[end + 1..].trim_ascii_start() {
            [b',', rest @ ..] => list = rest,
            _ => return false,
        }
    }
}

/// A tag without the mark of a weak one.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// 304: the answer without what the client has.
pub fn not_modified(answer: &mut Answer) {
    *answer.status_mut() = StatusCode::NOT_MODIFIED;
    *answer.body_mut() = respond::whole(Bytes::new());
    answer.headers_mut().remove(CONTENT_TYPE);
    answer.headers_mut().remove(CONTENT_ENCODING);
}

/// Whether a client may have the answer already: it is a good one, and has a validator.
pub fn validator(answer: &Answer) -> Option<&HeaderValue> {
    (answer.status() == StatusCode::OK).then(|| answer.headers().get(ETAG)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_tags_is_compared_weakly() {
        let etag = HeaderValue::from_static("W/\"a,b\"");
        let has = |value: &'static str| names(&[HeaderValue::from_static(value)], &etag);
        for good in
            ["*", " * ", "W/\"a,b\"", "\"a,b\"", "\"x\", W/\"y\",\"a,b\"", ", ,\"x\" ,\t\"a,b\"", "\"a,b\",junk"]
        {
            assert!(has(good), "{good:?}");
        }
        for bad in [
            "",
            ",",
            "a,b",
            "\"a\"",
            "\"a,b",
            "W/",
            "w/\"a,b\"",
            "\"x\" \"a,b\"",
            "x, \"a,b\"",
            "*, \"x\"",
            "W/W/\"a,b\"",
        ] {
            assert!(!has(bad), "{bad:?}");
        }
        let two = [HeaderValue::from_static("\"x\""), HeaderValue::from_static("\"a,b\"")];
        assert!(names(&two, &etag) && !names(&[], &etag));
    }

    #[test]
    fn whatever_is_sent_is_read_and_only_what_is_named_is_found() {
        const PIECES: [&str; 8] = ["\"", "W/", ",", " ", "\"a\"", "*", "\t", "x"];
        let etag = HeaderValue::from_static("\"wanted\"");
        for _ in 0..20_000 {
            let any: String = (0..fastrand::usize(..12)).map(|_| PIECES[fastrand::usize(..PIECES.len())]).collect();
            let value = |text: &str| [HeaderValue::try_from(text).unwrap()];
            assert!(!names(&value(&any), &etag) || any.trim() == "*", "{any:?}");
            assert!(names(&value(&format!("\"a\", W/\"wanted\", {any}")), &etag), "{any:?}");
        }
    }

    #[test]
    fn what_is_said_decides() {
        let tag = |numbers: &[u64]| {
            let mut validator = Validator::new("a");
            numbers.iter().for_each(|&number| validator.say(number));
            validator.etag()
        };
        assert_ne!(tag(&[]), Validator::new("b").etag());
        assert_eq!(tag(&[1, 2]), tag(&[1, 2]));
        assert_ne!(tag(&[1, 2]), tag(&[2, 1]));
        assert_ne!(tag(&[1]), tag(&[1, 0]));
        assert_eq!(of_bytes(b"a"), of_bytes(b"a"));
        assert_ne!(of_bytes(b"a"), of_bytes(b"b"));
    }
}

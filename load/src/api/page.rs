//! What is read of pages: all of it where it is verified, and otherwise only what the next request needs.

use anyhow::{Context, Result};
use serde_json::Value;

/// The items of a page.
pub fn items(page: &Value) -> Result<&Vec<Value>> {
    page["items"].as_array().context("a page without items")
}

/// An id, as the API writes it.
pub fn number(id: &Value) -> Result<u64> {
    id.as_str().and_then(|text| text.parse().ok()).with_context(|| format!("{id} is not an id"))
}

/// The text of a field near the end of a JSON object, where it holds nothing that is escaped: `next` and `fresh` of a
/// page. The posts before are not looked at, and cannot hold the field: quotes in texts are escaped.
pub fn late_field<'a>(body: &'a [u8], field: &str) -> Option<&'a str> {
    let pattern = format!("\"{field}\":\"");
    let tail = &body[body.len().saturating_sub(4_096)..];
    let at = tail.windows(pattern.len()).rposition(|window| window == pattern.as_bytes())? + pattern.len();
    let end = tail[at..].iter().position(|&byte| byte == b'"')?;
    std::str::from_utf8(&tail[at..at + end]).ok()
}

/// The id of the first post of a page.
pub fn first_item(body: &[u8]) -> Option<u64> {
    let digits = body.strip_prefix(br#"{"items":[{"id":""#)?;
    let end = digits.iter().position(|&byte| byte == b'"')?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &[u8] =
        br#"{"items":[{"id":"42","text":"\"next\":\"no"}],"liked":["42"],"next":"abc-_","fresh":"f1","gap":true}"#;

    #[test]
    fn pages_are_read_at_their_ends() {
        assert_eq!(late_field(PAGE, "next"), Some("abc-_"));
        assert_eq!(late_field(PAGE, "fresh"), Some("f1"));
        assert_eq!(first_item(PAGE), Some(42));
        let empty = br#"{"items":[],"liked":[],"next":null,"fresh":"f2"}"#;
        assert_eq!((late_field(empty, "next"), first_item(empty)), (None, None));
    }
}

//! Requests, parsed at the edge: path ids, parameters, pages, bodies. What comes out is typed and trusted.

use std::borrow::Cow;
use std::str::FromStr;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use http::request::Parts;
use http::{StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use serde::de::DeserializeOwned;
use tributary_engine::limits::{BODY_BYTES, PAGE_DEFAULT, PAGE_MAX};
use tributary_engine::read::PageRequest;

use super::problem::Fault;
use super::settings::{Bounds, DROPPED_BODY_BYTES, HEADER_BYTES, URI_BYTES};

/// Characters of a parser's complaint that a client is shown: it may quote what was sent.
const COMPLAINT_CHARS: usize = 200;

/// An id from a path: decimal digits.
pub fn id<T: FromStr>(segment: &str) -> Result<T, Fault> {
    segment.parse().map_err(|_| Fault::malformed("bad_id", "an id is 1 to 19 decimal digits, from 1 to 2^63 - 1"))
}

/// The value of a parameter, if it is there: once, and well-formed. Other parameters are passed over.
pub fn parameter<'a>(parts: &'a Parts, name: &str) -> Result<Option<Cow<'a, str>>, Fault> {
    let mut found = None;
    for pair in parts.uri.query().unwrap_or_default().split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if decoded(key).as_deref() != Some(name) {
            continue;
        }
        let bad = |why: &str| Fault::malformed("bad_parameter", format!("the parameter {name} {why}"));
        let value = decoded(value).ok_or_else(|| bad("is not percent-encoded UTF-8"))?;
        if found.replace(value).is_some() {
            return Err(bad("is given more than once"));
        }
    }
    Ok(found)
}

/// The `limit` and `cursor` of a list.
pub fn page(parts: &Parts) -> Result<PageRequest, Fault> {
    let limit = match parameter(parts, "limit")? {
        None => PAGE_DEFAULT,
        Some(text) => Some(text.as_ref())
            .filter(|text| text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|text| text.parse().ok())
            .filter(|limit| (1..=PAGE_MAX).contains(limit))
            .ok_or_else(|| Fault::malformed("bad_limit", format!("limit is a number from 1 to {PAGE_MAX}")))?,
    };
    Ok(PageRequest { limit, cursor: parameter(parts, "cursor")?.map(Cow::into_owned) })
}

/// Percent-decoding, with `+` for a space; none where the encoding or the UTF-8 in it is broken.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|b| matches!(b, b'%' | b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let hex = |b: &u8| (*b as char).to_digit(16).map(|digit| digit as u8);
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    loop {
        match rest {
            [] => return String::from_utf8(out).ok().map(Cow::Owned),
            [b'%', high, low, after @ ..] => {
                out.push(hex(high)? << 4 | hex(low)?);
                rest = after;
            }
            [b'%', ..] => return None,
            [byte, after @ ..] => {
                out.push(if *byte == b'+' { b' ' } else { *byte });
                rest = after;
            }
        }
    }
}

/// Refuses what is too long to be meant well, before anything else looks at it.
pub fn bounded_head(uri: &Uri, headers: &HeaderMap) -> Result<(), Fault> {
    if uri.path_and_query().map_or(0, |text| text.as_str().len()) > URI_BYTES {
        let detail = format!("path and query have {URI_BYTES} bytes at the most");
        return Err(Fault::new(StatusCode::URI_TOO_LONG, "uri_too_long", detail));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes > HEADER_BYTES {
        let detail = format!("headers have {HEADER_BYTES} bytes at the most");
        return Err(Fault::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", detail));
    }
    Ok(())
}

/// The only value of a header; two of them are a mistake of the client.
pub fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, Fault> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Fault::malformed("duplicate_header", format!("the header {name} is given more than once")));
    }
    Ok(first.map(http::HeaderValue::as_bytes))
}

/// A body that must be JSON of this very shape.
pub fn json<T: DeserializeOwned>(parts: &Parts, body: &[u8]) -> Result<T, Fault> {
    let content_type = header(&parts.headers, &CONTENT_TYPE)?.unwrap_or_default();
    if !is_json(content_type) {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Fault::new(status, "not_json", "send JSON in UTF-8 with content-type: application/json"));
    }
    serde_json::from_slice(body).map_err(|error| {
        let complaint: String = error.to_string().chars().take(COMPLAINT_CHARS).collect();
        Fault::malformed("bad_json", complaint)
    })
}

fn is_json(content_type: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(content_type) else { return false };
    let mut parts = text.split(';').map(str::trim);
    let parameter = |text: &str| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        key.trim().eq_ignore_ascii_case("charset") && value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    };
    parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) && parts.all(parameter)
}

/// The whole body, if it is not too large and comes in time.
pub async fn body(body: Incoming, bounds: &Bounds) -> Result<Bytes, Fault> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    match tokio::time::timeout(bounds.body, collected(body)).await {
        Ok(bytes) => bytes,
        Err(_) => Err(Fault::new(StatusCode::REQUEST_TIMEOUT, "slow_body", "the body did not come in time")),
    }
}

async fn collected(mut body: Incoming) -> Result<Bytes, Fault> {
    let mut bytes = Vec::new();
    // A client that sends on before it reads would lose the answer if the connection were closed at once.
    let mut dropped = body.size_hint().lower().saturating_sub(BODY_BYTES as u64).min(1) as usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Fault::malformed("bad_body", "the body ended early or is badly framed"))?;
        let Ok(data) = frame.into_data() else { continue };
        if dropped > 0 || bytes.len() + data.len() > BODY_BYTES {
            dropped += data.len();
            if dropped > DROPPED_BODY_BYTES {
                break;
            }
        } else {
            bytes.extend_from_slice(&data);
        }
    }
    if dropped > 0 {
        let detail = format!("a body has {BODY_BYTES} bytes at the most");
        return Err(Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail));
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(uri: &str) -> Parts {
        http::Request::get(uri).body(()).unwrap().into_parts().0
    }

    #[test]
    fn parameters_are_decoded_and_given_once() {
        let get = |uri: &str| parameter(&parts(uri), "cursor").map(|value| value.map(Cow::into_owned)).map_err(drop);
        assert_eq!(get("/x"), Ok(None));
        assert_eq!(get("/x?other=1&cursor=a%2Bb+c"), Ok(Some("a+b c".to_owned())));
        assert_eq!(get("/x?%63ursor=%C3%A4"), Ok(Some("ä".to_owned())));
        assert_eq!(get("/x?cursor"), Ok(Some(String::new())));
        for uri in ["/x?cursor=1&cursor=1", "/x?cursor=%", "/x?cursor=%4", "/x?cursor=%zz", "/x?cursor=%ff"] {
            assert_eq!(get(uri), Err(()), "{uri}");
        }
        assert_eq!(get("/x?other=%ff&other=%"), Ok(None));
    }

    #[test]
    fn limits_are_from_1_to_100() {
        for (text, limit) in [("", Some(20)), ("?limit=1", Some(1)), ("?limit=100", Some(100)), ("?limit=0", None)] {
            assert_eq!(page(&parts(&format!("/x{text}"))).ok().map(|page| page.limit), limit, "{text}");
        }
        for text in ["101", "-1", "+1", "1.0", "", "0x1", "%201", "99999999999999999999"] {
            assert!(page(&parts(&format!("/x?limit={text}"))).is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_json_in_utf_8_is_json() {
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ] {
            assert!(is_json(good.as_bytes()), "{good}");
        }
        for bad in
            ["", "text/plain", "application/json; charset=latin1", "application/jsonp", "application/problem+json"]
        {
            assert!(!is_json(bad.as_bytes()), "{bad}");
        }
    }
}

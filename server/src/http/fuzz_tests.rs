//! Fuzz targets for the parsers of requests. Whole requests, as bytes on the wire, are in `server/tests/fuzz`.

use std::net::IpAddr;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use openidconnect::url::form_urlencoded;
use tributary_engine::limits::{IDEMPOTENCY_KEY_BYTES, PAGE_MAX};
use tributary_engine::model::PostId;
use tributary_engine::testkit::fuzz;

use super::{address, coding, etag, idempotency, request};
use crate::config::Network;

macro_rules! kept {
    ($name:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/", $name)
    };
}

fn seeds(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn parts(uri: http::Uri) -> Parts {
    http::Request::get(uri).body(()).expect("a method and a URI are a request").into_parts().0
}

/// Whether two digits of a hexadecimal number stand behind each percent sign.
fn is_escaped(text: &str) -> bool {
    let digits = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count();
    text.split('%').skip(1).all(|rest| digits(rest) == 2)
}

#[test]
fn a_query_gives_a_page_within_its_limits_or_is_refused() {
    let queries = ["limit=20&cursor=AbC-_1", "limit=100", "cursor=a%2Bb+c%C3%A4", "%6cimit=1", "since=x&x=%ff&=&&"];
    fuzz(kept!("query"), seeds(&queries), |input| {
        let mut uri = b"/v1/feed?".to_vec();
        uri.extend_from_slice(input);
        let Ok(uri) = http::Uri::try_from(uri) else { return false };
        let parts = parts(uri);
        let query = parts.uri.query().unwrap_or_default();
        for name in ["limit", "cursor"] {
            // As browsers' forms are read, by a library that forgives what we refuse.
            let named = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
            let values: Vec<_> = named.map(|(_, value)| value).collect();
            match request::parameter(&parts, name) {
                Ok(Some(value)) => assert_eq!(values, [value], "{query}"),
                Ok(None) => assert!(values.is_empty(), "{query}"),
                Err(_) => assert!(values.len() > 1 || query.contains('%'), "{query}"),
            }
            let broken = |pair: &str| pair.starts_with(&format!("{name}=")) && !is_escaped(pair);
            assert!(!query.split('&').any(broken) || request::parameter(&parts, name).is_err(), "{query}");
        }
        let Ok(page) = request::page(&parts) else { return false };
        assert!((1..=PAGE_MAX).contains(&page.limit), "{page:?}");
        true
    });
}

#[test]
fn what_is_percent_encoded_comes_out_as_it_went_in() {
    fuzz(kept!("percent"), seeds(&["a b", "ä%2B+", "&=%\0"]), |input| {
        let Ok(text) = std::str::from_utf8(input) else { return false };
        let encoded: String = text.bytes().take(1_000).map(|byte| format!("%{byte:02x}")).collect();
        let Ok(uri) = format!("/x?%63ursor={encoded}").parse() else { return false };
        let parts = parts(uri);
        let value = request::parameter(&parts, "cursor").ok().flatten();
        // A text that was cut in the middle of a character is none.
        assert_eq!(value.as_deref(), text.get(..text.len().min(1_000)), "{text:?}");
        value.is_some()
    });
}

#[test]
fn an_id_is_its_digits_and_fits_63_bits() {
    fuzz(kept!("id"), seeds(&["1", "9223372036854775807", "007", "-1", "18446744073709551616"]), |input| {
        let Ok(text) = std::str::from_utf8(input) else { return false };
        let Ok(id) = request::id::<PostId>(text) else { return false };
        assert!(id.0 > 0 && i64::try_from(id.0).is_ok());
        assert_eq!(id.to_string(), text.trim_start_matches('0'));
        true
    });
}

#[test]
fn an_idempotency_key_is_taken_as_it_is_or_refused() {
    fuzz(kept!("idempotency_key"), seeds(&["k", "a-b_c.~!", &"x".repeat(255), &"x".repeat(256)]), |input| {
        let Ok(value) = HeaderValue::from_bytes(input) else { return false };
        let mut parts = parts(http::Uri::from_static("/v1/posts"));
        parts.headers.insert(HeaderName::from_static("idempotency-key"), value);
        let Ok(key) = idempotency::client_key(&parts, input) else { return false };
        let key = key.expect("there is a header").key;
        assert!((1..=IDEMPOTENCY_KEY_BYTES).contains(&key.len()) && key.as_bytes() == input, "{key:?}");
        assert!(key.bytes().all(|byte| byte.is_ascii_graphic()), "{key:?}");
        true
    });
}

#[test]
fn the_address_behind_proxies_is_one_that_was_named() {
    let trusted: Vec<Network> =
        ["10.0.0.0/8", "fd00::/8"].iter().map(|text| text.parse().expect("a network")).collect();
    let peer = "10.1.1.1".parse().expect("an address");
    let chains =
        ["1.2.3.4, 10.2.2.2", "2001:db8::1", "::ffff:9.9.9.9,10.0.0.1", "nonsense, 1.2.3.4", "[::1]:80, unknown"];
    fuzz(kept!("forwarded"), seeds(&chains), |input| {
        let Ok(value) = HeaderValue::from_bytes(input) else { return false };
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", HeaderValue::from_static("5.5.5.5"));
        headers.append("x-forwarded-for", value);
        let caller = address::caller(peer, &headers, &trusted);
        // From right to left: whoever is believed was named by somebody whom we trust, and so on to us.
        let readable = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let text = readable.collect::<Vec<_>>().join(",");
        let mut hops = text.rsplit(',').map(|hop| hop.trim().parse::<IpAddr>());
        let mut believed: IpAddr = peer;
        while trusted.iter().any(|network| network.contains(believed))
            && let Some(Ok(hop)) = hops.next()
        {
            believed = hop;
        }
        assert_eq!(caller, address::counted(believed), "of {text:?}");
        caller != peer
    });
}

#[test]
fn a_body_is_json_of_its_very_shape_or_refused_in_few_words() {
    #[derive(serde::Deserialize, serde::Serialize, PartialEq, Debug)]
    #[serde(deny_unknown_fields)]
    struct Body {
        text: String,
        count: Option<i64>,
    }
    let bodies = [r#"{"text":"a"}"#, r#"{"text":"\ud83d\ude00\u0000","count":-7}"#, r#"{"count":null,"text":"ä"}"#];
    let mut parts = parts(http::Uri::from_static("/v1/posts"));
    parts.headers.insert("content-type", HeaderValue::from_static("application/json"));
    fuzz(kept!("json"), seeds(&bodies), |input| match request::json::<Body>(&parts, input) {
        Ok(body) => {
            let again = serde_json::to_vec(&body).expect("JSON");
            assert_eq!(serde_json::from_slice::<Body>(&again).expect("what we write we read"), body);
            true
        }
        Err(fault) => {
            let answer = fault.into_answer();
            assert_eq!(answer.status(), http::StatusCode::BAD_REQUEST);
            assert!(hyper::body::Body::size_hint(answer.body()).upper().is_some_and(|bytes| bytes < 1_500));
            false
        }
    });
}

/// The input: a header's value. Read naively: a list without a comma in a tag has the tag or not.
#[test]
fn if_none_match_names_a_tag_only_where_it_lists_it() {
    let lists = ["\"a\", W/\"b\"", "*", "W/\"a\"", "\"x\", , \"a\"", "\"x\" \"a\"", "W/W/\"a\"", "\"a"];
    let etag = HeaderValue::from_static("W/\"a\"");
    fuzz(kept!("if_none_match"), seeds(&lists), |input| {
        let Ok(value) = HeaderValue::from_bytes(input) else { return false };
        let named = etag::names(std::slice::from_ref(&value), &etag);
        let items = input.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        // What stands behind the tag is not looked at.
        let tag = |item: &[u8]| item.starts_with(b"\"a\"") || item.starts_with(b"W/\"a\"");
        let simple = |item: &[u8]| {
            let quoted = item.strip_prefix(b"W/").unwrap_or(item);
            item.is_empty() || matches!(quoted, [b'"', inner @ .., b'"'] if !inner.contains(&b'"'))
        };
        let (lists, all_simple) = (items.clone().any(tag) || input.trim_ascii() == b"*", items.clone().all(simple));
        assert!(!named || lists, "{value:?} does not list it");
        assert!(named || !lists || !all_simple, "{value:?} lists it");
        named
    });
}

/// The input: `Accept-Encoding`. Read naively: what is named without a weight is liked, and what is not named is not.
#[test]
fn a_coding_is_one_that_the_client_takes() {
    let lists = ["gzip, deflate, br, zstd", "zstd;q=0.5, gzip", "*", "gzip;q=0.001, *;q=0", "X-GZIP", "zstd;q=0, *"];
    fuzz(kept!("accept_encoding"), seeds(&lists), |input| {
        let Ok(value) = HeaderValue::from_bytes(input) else { return false };
        let Ok(text) = value.to_str().map(str::to_lowercase) else { return false };
        let headers: HeaderMap = [(http::header::ACCEPT_ENCODING, value)].into_iter().collect();
        let items: Vec<&str> = text.split(',').map(str::trim).collect();
        let named = |name: &str| items.iter().any(|item| item.split(';').next().is_some_and(|it| it.trim() == name));
        let only = |names: &[&str]| items.iter().all(|item| names.contains(item));
        match coding::liked_best(&headers) {
            Some(coding::Coding::Zstd) => assert!(named("zstd") || named("*"), "{text}"),
            Some(coding::Coding::Gzip) => {
                assert!(named("gzip") || named("x-gzip") || named("*"), "{text}");
                assert!(!only(&["zstd", "gzip", "*"]) || !(named("zstd") || named("*")), "zstd costs less: {text}");
            }
            None => assert!(!only(&["zstd", "gzip", "x-gzip", "*", ""]) || only(&[""]), "{text}"),
        }
        // What is refused by name is not taken, whatever stands there for others.
        let zstd: Vec<_> = items.iter().filter(|item| item.starts_with("zstd")).collect();
        assert!(zstd != [&"zstd;q=0"] || coding::liked_best(&headers) != Some(coding::Coding::Zstd), "{text}");
        !text.is_empty()
    });
}

//! Static pages: each compressed once in each coding, with a validator of its bytes. They run nothing but their own
//! files, and nobody may put them into a frame.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, X_FRAME_OPTIONS,
};

use super::coding::{self, Coding, Effort};
use super::etag;
use super::respond::{self, Answer};
use super::settings::{Asset, COMPRESSED_BYTES_MIN};

/// What browsers are told about every page, besides what they are told about every answer. Sign-in opens a window of
/// another origin, which may speak to the page that opened it.
const POLICIES: [(HeaderName, &str); 6] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin-allow-popups"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    (REFERRER_POLICY, "no-referrer"),
    (X_FRAME_OPTIONS, "DENY"),
    (CACHE_CONTROL, "no-cache"),
];

/// The pages of a process, as they are sent.
#[derive(Default)]
pub struct Pages(Mutex<HashMap<Key, Coded>>);

/// Where the bytes of a page are and how many, and the coding.
type Key = (usize, usize, Option<Coding>);

/// A page in one coding, with the validator of the page.
#[derive(Clone)]
struct Coded {
    bytes: Bytes,
    etag: HeaderValue,
}

impl Pages {
    /// The page as a client with these headers likes it best.
    pub fn answer(&self, asset: &Asset, client: &HeaderMap) -> Answer {
        let shrinks = asset.bytes.len() >= COMPRESSED_BYTES_MIN
            && coding::compresses(&HeaderValue::from_static(asset.content_type));
        let coding = coding::liked_best(client).filter(|_| shrinks);
        let Coded { bytes, etag } = self.coded(asset, coding);
        let mut answer = respond::bytes(StatusCode::OK, asset.content_type, bytes);
        let headers = answer.headers_mut();
        headers.insert(ETAG, etag);
        if let Some(coding) = coding {
            coding::mark(headers, coding);
        }
        coding::varies(headers);
        for (name, value) in &POLICIES {
            headers.insert(name, HeaderValue::from_static(value));
        }
        answer
    }

    fn coded(&self, asset: &Asset, coding: Option<Coding>) -> Coded {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Coded {
            bytes: match coding {
                Some(coding) => coding::compressed(asset.bytes, coding, Effort::Kept),
                None => Bytes::from_static(asset.bytes),
            },
            etag: etag::of_bytes(asset.bytes),
        };
        kept.entry((asset.bytes.as_ptr().addr(), asset.bytes.len(), coding)).or_insert_with(made).clone()
    }
}

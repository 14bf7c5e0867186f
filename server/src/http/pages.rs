//! Static pages: each compressed once in each coding, with a validator of its bytes. They run nothing but their own
//! files, and nobody may put them into a frame.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, X_FRAME_OPTIONS,
};
use tokio::sync::OnceCell;

use super::coding::{self, Coding, Effort};
use super::etag;
use super::respond::{self, Answer};
use super::settings::{Asset, COMPRESSED_BYTES_MIN};

/// What browsers are told about every page, besides what they are told about every answer.
const POLICIES: [(HeaderName, &str); 6] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
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
pub struct Pages(Mutex<HashMap<Key, Arc<OnceCell<Coded>>>>);

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
    pub async fn answer(&self, asset: &Asset, client: &HeaderMap) -> Answer {
        let shrinks = asset.bytes.len() >= COMPRESSED_BYTES_MIN
            && coding::compresses(&HeaderValue::from_static(asset.content_type));
        let coding = coding::liked_best(client).filter(|_| shrinks);
        let Coded { bytes, etag } = self.coded(*asset, coding).await;
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

    async fn coded(&self, asset: Asset, coding: Option<Coding>) -> Coded {
        let key = (asset.bytes.as_ptr().addr(), asset.bytes.len(), coding);
        let kept = Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default());
        kept.get_or_init(|| made(asset, coding)).await.clone()
    }
}

/// A large page is compressed for so long that it would stop everybody else on a thread of the runtime.
async fn made(asset: Asset, coding: Option<Coding>) -> Coded {
    let make = move || Coded {
        bytes: match coding {
            Some(coding) => coding::compressed(asset.bytes, coding, Effort::Kept),
            None => Bytes::from_static(asset.bytes),
        },
        etag: etag::of_bytes(asset.bytes),
    };
    tokio::task::spawn_blocking(make).await.expect("compressing in memory does not fail")
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn the_first_visitor_of_a_page_holds_no_thread_of_the_runtime() {
        let asset = Asset { content_type: "text/javascript", bytes: &[b'/'; 100_000] };
        let mut client = HeaderMap::new();
        client.insert("accept-encoding", HeaderValue::from_static("zstd"));
        let pages = Pages::default();
        let first = pages.answer(&asset, &client);
        tokio::pin!(first);
        assert!(first.as_mut().now_or_never().is_none(), "compressed on this thread");
        let answer = first.await;
        assert!(respond::length(&answer).is_some_and(|length| length < 1_000));
        let again = pages.answer(&asset, &client).now_or_never().expect("it is kept");
        assert_eq!(respond::bytes_of(again.into_body()), respond::bytes_of(answer.into_body()));
    }
}

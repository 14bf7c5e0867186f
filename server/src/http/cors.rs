//! Calls from pages of other origins (CORS): which may call the API from a browser, and what of an answer they may
//! read. No cookie counts for the API, so no credentials are allowed: whoever has a token sends it.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue,
    ORIGIN, VARY,
};
use http::{Method, Request};

use super::respond::{self, Answer};
use crate::config::Origins;

const METHODS: &str = "GET, HEAD, POST, PUT, DELETE";
/// Headers of requests, beside those that every page may send.
const ASKED: &str =
    "authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, x-request-id";
/// Headers of answers, beside those that every page may read.
const EXPOSED: &str =
    "etag, idempotency-replayed, location, ratelimit, ratelimit-policy, retry-after, www-authenticate, x-request-id";
/// Seconds for which a browser need not ask again: the most that any of them keeps.
const MAX_AGE_S: &str = "7200";

/// The answer to a browser that asks whether a page may call; none where that is not what is asked, or the page may
/// not. It is not counted against a rate: it costs less than a refusal, which the browser could not show.
pub fn preflight<B>(origins: &Origins, request: &Request<B>) -> Option<Answer> {
    let headers = request.headers();
    let asked = request.method() == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if !asked || !is_api(request.uri().path()) || allowed(origins, headers.get(ORIGIN)?).is_none() {
        return None;
    }
    let mut answer = respond::nothing();
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (ACCESS_CONTROL_ALLOW_HEADERS, ASKED),
        (ACCESS_CONTROL_MAX_AGE, MAX_AGE_S),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Some(answer)
}

/// Whether other origins may call what lies at this path. Health, metrics and pages are for one's own.
pub fn is_api(path: &str) -> bool {
    path.starts_with("/v1/") || path == "/openapi.json"
}

/// Lets the page at `origin` read an answer of the API, if it may; errors too, or it could not tell what went wrong.
pub fn expose(origins: &Origins, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
    if origins.is_nobody() {
        return;
    }
    if !matches!(origins, Origins::Any) {
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
    if let Some(allowed) = origin.and_then(|origin| allowed(origins, origin)) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
}

fn allowed(origins: &Origins, origin: &HeaderValue) -> Option<HeaderValue> {
    match origins {
        Origins::Any => Some(HeaderValue::from_static("*")),
        Origins::Only(list) => list.iter().any(|known| known.as_bytes() == origin.as_bytes()).then(|| origin.clone()),
    }
}

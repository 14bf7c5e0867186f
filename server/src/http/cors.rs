//! Cross-origin requests: only from the origins that the configuration names, and never with cookies
//! (there are none).

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
};
use http::Method;

use super::dispatch::Inbound;
use super::respond::{self, Answer};

/// The origin of the request, if its pages may call.
pub fn allowed_origin(inbound: &Inbound) -> Option<HeaderValue> {
    let origin = inbound.request.headers().get(ORIGIN)?;
    let allowed = inbound.app.settings.cors_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes());
    allowed.then(|| origin.clone())
}

/// The answer, if the request only asks whether another one may be made.
pub fn preflight(inbound: &Inbound) -> Option<Answer> {
    let asks = inbound.request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let (resource, _) = inbound.found.as_ref()?;
    if inbound.request.method() != Method::OPTIONS || !asks {
        return None;
    }
    let mut answer = respond::nothing();
    let headers = answer.headers_mut();
    let allow = HeaderValue::from_str(&resource.allow).expect("method names are visible ASCII");
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, allow);
    let sent = "authorization, content-type, idempotency-key, if-match, last-event-id, x-request-id";
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(sent));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    Some(answer)
}

/// Lets the origin's pages read the answer.
pub fn allow(answer: &mut Answer, origin: HeaderValue) {
    let headers = answer.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(VARY, HeaderValue::from_static("origin"));
    let read = "etag, idempotency-replayed, location, retry-after, x-request-id";
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(read));
}

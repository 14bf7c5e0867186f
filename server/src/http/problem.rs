//! Faults: errors with two faces. Clients get a problem document (RFC 9457) with a stable code; operators
//! get, in the log, what really happened. What is internal never crosses from one to the other.

use std::borrow::Cow;

use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde::Serialize;
use tributary_engine::CommandError;
use tributary_engine::model::Rejection;
use tributary_engine::read::ReadError;

use super::respond::{self, Answer};

/// Seconds after which a client may try again what failed for a reason that passes.
pub const RETRY_AFTER_S: u64 = 1;

/// Why a request is not answered as asked.
#[derive(Debug)]
pub struct Fault {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
    internal: Option<String>,
}

/// The operators' face of a fault, carried by its response to where requests are logged.
#[derive(Clone, Debug)]
pub struct Internal(pub String);

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
}

impl Fault {
    /// A fault with its stable, snake_case `code` and a sentence for humans.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, detail: detail.into(), headers: Vec::new(), internal: None }
    }

    /// 400: malformed.
    pub fn malformed(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 422: well-formed, but it breaks a rule.
    pub fn rule(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 404: no such thing.
    pub fn unknown(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 401: no token, or a bad one.
    pub fn unauthorized(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail).with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 405: another method would do.
    pub fn method(allow: &str) -> Self {
        let fault = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "this resource does not know the method: see Allow",
        );
        fault.with(ALLOW, HeaderValue::from_str(allow).expect("method names are visible ASCII"))
    }

    /// 429: too often; `retry_after_s` from now it may be tried again.
    pub fn too_often(retry_after_s: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests: try again after Retry-After")
            .with(RETRY_AFTER, HeaderValue::from(retry_after_s))
    }

    /// 503: for a reason that may pass, which only operators are told.
    pub fn unavailable(internal: impl Into<String>) -> Self {
        let fault = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "the service cannot answer now: try again, with the same idempotency key where there was one",
        );
        Self { internal: Some(internal.into()), ..fault.with(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S)) }
    }

    /// 500: a mistake of ours, which only operators are told.
    pub fn mistake(internal: impl Into<String>) -> Self {
        let fault = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "a mistake of the server: it was logged");
        Self { internal: Some(internal.into()), ..fault }
    }

    /// The fault with one more header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The clients' face, with the operators' in its extensions.
    pub fn into_answer(self) -> Answer {
        let document = Document {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
        };
        let body = serde_json::to_vec(&document).expect("strings and a number are JSON");
        let mut answer = Response::new(respond::whole(body));
        *answer.status_mut() = self.status;
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        answer.headers_mut().extend(self.headers.into_iter().map(|(name, value)| (Some(name), value)));
        if let Some(internal) = self.internal {
            answer.extensions_mut().insert(Internal(internal));
        }
        answer
    }
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::BadCursor => Self::malformed("bad_cursor", "the cursor or token is not one of this list"),
            ReadError::UnknownUser => Self::unknown("unknown_user", "no such user"),
            ReadError::UnknownPost => Self::unknown("unknown_post", "no such post"),
            ReadError::Unavailable(why) => Self::unavailable(why),
        }
    }
}

impl From<CommandError> for Fault {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Rejected(rejection) => rejection.into(),
            CommandError::Unavailable(why) => Self::unavailable(why),
        }
    }
}

impl From<Rejection> for Fault {
    fn from(rejection: Rejection) -> Self {
        let (status, code) = match rejection {
            Rejection::UnknownUser => (StatusCode::NOT_FOUND, "unknown_user"),
            Rejection::UnknownPost => (StatusCode::NOT_FOUND, "unknown_post"),
            Rejection::NotAuthor => (StatusCode::FORBIDDEN, "not_author"),
            Rejection::Oneself => (StatusCode::UNPROCESSABLE_ENTITY, "oneself"),
            Rejection::Blocked => (StatusCode::UNPROCESSABLE_ENTITY, "blocked"),
            Rejection::TooManyFollows => (StatusCode::UNPROCESSABLE_ENTITY, "too_many_follows"),
            Rejection::VersionMismatch => (StatusCode::PRECONDITION_FAILED, "version_mismatch"),
            Rejection::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
            Rejection::KeyInFlight => (StatusCode::CONFLICT, "idempotency_key_in_flight"),
        };
        Self::new(status, code, rejection.to_string())
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_client_never_sees_what_operators_are_told() {
        for fault in [Fault::unavailable("redb: disk on fire"), Fault::mistake("index out of bounds")] {
            let answer = fault.into_answer();
            let internal = answer.extensions().get::<Internal>().cloned();
            let status = answer.status();
            let body = answer.into_body().collect().await.expect("a full body").to_bytes();
            let document: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(document["status"], status.as_u16());
            let internal = internal.expect("operators are told").0;
            assert!(!String::from_utf8_lossy(&body).contains(&internal));
        }
    }
}

//! What happens around every request, as tower layers: the request id, metrics and log outermost, then the form of the
//! answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, StatusCode};
use metrics::{counter, gauge, histogram};
use tower::layer::layer_fn;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tracing::Instrument;

use super::cors;
use super::dispatch::{Inbound, dispatch};
use super::problem::Internal;
use super::respond::{self, Answer};
use super::shape::Asked;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of a request id that a client may choose.
const REQUEST_ID_CHARS: usize = 64;

/// What a browser may do with an answer that is no page: neither run it nor show it in a frame.
const NOTHING_RUNS: &str = "default-src 'none'; frame-ancestors 'none'";

/// A service that answers every request, one way or another.
pub trait Answers:
    Service<Inbound, Response = Answer, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}
impl<S: Service<Inbound, Response = Answer, Error = Infallible, Future: Send> + Clone + Send + 'static> Answers for S {}

/// Every layer around the dispatch.
pub fn stack() -> impl Answers {
    ServiceBuilder::new()
        .layer(layer_fn(observed))
        .layer(layer_fn(shaped))
        .service(service_fn(|inbound| async { Ok(dispatch(inbound).await) }))
}

async fn answer(service: impl Answers, inbound: Inbound) -> Answer {
    service.oneshot(inbound).await.unwrap_or_else(|never| match never {})
}

/// Request id, metrics, log, and the headers of every answer.
fn observed<S: Answers>(inner: S) -> impl Answers {
    service_fn(move |inbound: Inbound| {
        let inner = inner.clone();
        async move {
            let started = Instant::now();
            let _in_flight = InFlight::new();
            let id = request_id(inbound.request.headers());
            let method = method_label(inbound.request.method());
            let route = inbound.route();
            let is_head = inbound.request.method() == Method::HEAD;
            let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default(), method, route);
            let mut answer = answer(inner, inbound).instrument(span.clone()).await;
            finish(&mut answer, id, is_head);
            let (status, took) = (answer.status(), started.elapsed());
            counter!("http_requests_total", "method" => method, "route" => route, "status" => status.as_str().to_owned())
                .increment(1);
            histogram!("http_request_duration_seconds", "method" => method, "route" => route)
                .record(took.as_secs_f64());
            let (status, took_us) = (status.as_u16(), took.as_micros() as u64);
            match answer.extensions_mut().remove::<Internal>() {
                Some(Internal(why)) => span.in_scope(|| tracing::warn!(status, took_us, why, "failed")),
                None => span.in_scope(|| tracing::debug!(status, took_us, "answered")),
            }
            Ok(answer)
        }
    })
}

/// The form of the answer. What a browser asks beforehand for a page of another origin is answered here.
fn shaped<S: Answers>(inner: S) -> impl Answers {
    service_fn(move |inbound: Inbound| {
        let inner = inner.clone();
        async move {
            let app = Arc::clone(&inbound.app);
            let origins = &app.settings.cors_origins;
            let asked = Asked::of(&inbound.request);
            let answer = match cors::preflight(origins, &inbound.request) {
                Some(allowed) => allowed,
                None => answer(inner, inbound).await,
            };
            Ok(asked.shape(origins, answer))
        }
    })
}

/// The client's own id of the request if it is one, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let sane = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        (1..=REQUEST_ID_CHARS).contains(&bytes.len())
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    };
    headers.get(&REQUEST_ID).filter(sane).cloned().unwrap_or_else(|| {
        HeaderValue::from_str(&format!("{:016x}", fastrand::u64(..))).expect("hexadecimal digits are visible ASCII")
    })
}

fn finish(answer: &mut Answer, id: HeaderValue, is_head: bool) {
    let length = respond::length(answer).filter(|_| answer.status() != StatusCode::NOT_MODIFIED);
    let headers = answer.headers_mut();
    headers.insert(REQUEST_ID.clone(), id);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(NOTHING_RUNS));
    if is_head {
        if let Some(length) = length {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        *answer.body_mut() = respond::whole(Bytes::new());
    }
}

/// Methods as metrics name them: a client cannot make new names.
fn method_label(method: &Method) -> &'static str {
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH];
    match known.iter().position(|other| other == method) {
        Some(n) => ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"][n],
        None => "other",
    }
}

/// Counts a request in flight, also when its client hangs up.
struct InFlight(metrics::Gauge);

impl InFlight {
    fn new() -> Self {
        let gauge = gauge!("http_requests_in_flight");
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

//! Requests to providers: over TLS or on this machine, within seconds and a bounded answer, and never redirected, so that
//! nothing a provider says sends them anywhere else (law 9).

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use openidconnect::url::Url;
use thiserror::Error;

use super::Claims;
use crate::config::is_safe;

/// A connection that takes longer to open is given up.
const CONNECT: Duration = Duration::from_secs(2);
/// An answer that takes longer to come, to its end, is given up. A sign-in may ask for five: see [`super::REDEEMING`].
const ANSWER: Duration = Duration::from_secs(3);
/// How long a connection waits for the next request.
const IDLE: Duration = Duration::from_secs(30);
/// Bytes of an answer at the most: discovery documents and key sets have a few thousand.
const ANSWER_BYTES: usize = 256 * 1024;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum OutboundError {
    /// It would leave the machine in the clear.
    #[error("{0} is neither https:// nor on a loopback address")]
    Unsafe(String),
    /// It took too long.
    #[error("no answer within {} s", ANSWER.as_secs())]
    TimedOut,
    /// It was too long.
    #[error("the answer has more than {ANSWER_BYTES} bytes")]
    TooLong,
    /// The connection, or what came over it, failed.
    #[error("{0}")]
    Failed(String),
    /// It is not what was asked for.
    #[error("status {0}, or not a JSON object")]
    Unexpected(StatusCode),
}

/// The client.
#[derive(Clone)]
pub struct Outbound {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Outbound {
    /// A client without connections yet.
    pub fn new() -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_nodelay(true);
        let tls = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
            .expect("ring serves the protocol versions that are built in");
        let connector = tls.https_or_http().enable_http1().wrap_connector(tcp);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).pool_max_idle_per_host(4);
        Self { client: builder.build(connector) }
    }

    /// Sends a request and reads the whole answer.
    pub async fn call(&self, mut request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, OutboundError> {
        let url = request.uri().to_string();
        if !Url::parse(&url).is_ok_and(|url| is_safe(&url)) {
            // Without the query, which may hold what is nobody's business.
            return Err(OutboundError::Unsafe(url.split('?').next().unwrap_or_default().to_owned()));
        }
        // GitHub answers nobody who has no name.
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("tributary"));
        let exchange = async {
            let answer = self.client.request(request.map(|body| Full::new(body.into()))).await;
            let answer = answer.map_err(|error| OutboundError::Failed(causes(&error)))?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_BYTES).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    OutboundError::TooLong
                } else {
                    OutboundError::Failed(causes(&*error))
                }
            })?;
            Ok(Response::from_parts(parts, body.to_bytes().into()))
        };
        tokio::time::timeout(ANSWER, exchange).await.unwrap_or(Err(OutboundError::TimedOut))
    }

    /// Gets a JSON object with an access token.
    pub async fn object(&self, url: &Url, access_token: &str) -> Result<Claims, OutboundError> {
        let bearer = HeaderValue::from_str(&format!("Bearer {access_token}"));
        let mut bearer = bearer.map_err(|_| OutboundError::Failed("the access token is no token".into()))?;
        bearer.set_sensitive(true);
        let request = Request::builder().method(Method::GET).uri(url.as_str()).header(ACCEPT, "application/json");
        let request = request.header(AUTHORIZATION, bearer).body(Vec::new());
        let answer = self.call(request.map_err(|error| OutboundError::Failed(error.to_string()))?).await?;
        let object = Some(&answer).filter(|answer| answer.status() == StatusCode::OK);
        let object = object.and_then(|answer| serde_json::from_slice(answer.body()).ok());
        object.ok_or_else(|| OutboundError::Unexpected(answer.status()))
    }
}

/// An error with all its causes.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

//! One connection to a server: HTTP/1.1, kept open, one request at a time. It opens itself again where it broke.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// How long an answer is waited for, its connection included.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How often a question is asked whose answer is 429 or 503, and how long is waited between.
const ATTEMPTS: u32 = 10;
const RETRY_AFTER_MAX_S: u64 = 5;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Where a server is.
#[derive(Clone, Debug)]
pub struct Target {
    /// As it was given, without a slash at the end.
    pub url: String,
    /// Where to connect to.
    pub address: SocketAddr,
    host: HeaderValue,
}

impl Target {
    /// Understands `http://host[:port]` and looks the host up.
    ///
    /// # Errors
    /// When it is something else, or the name is not known.
    pub async fn resolve(url: &str) -> Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url} is not a URL"))?;
        ensure!(
            uri.scheme_str() == Some("http") && matches!(uri.path(), "" | "/") && uri.query().is_none(),
            "{url}: only http://host[:port] is understood; TLS is left to a proxy"
        );
        let authority = uri.authority().with_context(|| format!("{url} names no host"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = authority.port_u16().unwrap_or(80);
        let mut found = tokio::net::lookup_host((host, port)).await.with_context(|| format!("looking up {host}"))?;
        let address = found.next().with_context(|| format!("{host} has no address"))?;
        let host = HeaderValue::from_str(authority.as_str()).context("the host is not a header's text")?;
        Ok(Self { url: url.trim_end_matches('/').to_owned(), address, host })
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Ask {
    method: Method,
    path: String,
    token: Option<HeaderValue>,
    key: Option<String>,
    body: Option<String>,
}

impl Ask {
    /// A request without a body.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), token: None, key: None, body: None }
    }

    /// `GET path`
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// With an `authorization` header.
    pub fn by(self, token: &HeaderValue) -> Self {
        Self { token: Some(token.clone()), ..self }
    }

    /// With an `idempotency-key` of visible ASCII characters.
    pub fn key(self, key: String) -> Self {
        Self { key: Some(key), ..self }
    }

    /// With a JSON body.
    pub fn json(self, body: &Value) -> Self {
        Self { body: Some(body.to_string()), ..self }
    }

    fn request(&self, target: &Target) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone().unwrap_or_default().into()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.parse().expect("paths are made of ids, tokens and fixed text");
        let headers = request.headers_mut();
        headers.insert(HOST, target.host.clone());
        if let Some(token) = &self.token {
            headers.insert(AUTHORIZATION, token.clone());
        }
        if let Some(key) = &self.key {
            headers.insert(IDEMPOTENCY_KEY, key.parse().expect("keys are made of numbers and letters"));
        }
        if self.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// What `retry-after` says, in seconds.
    pub retry_after_s: Option<u64>,
    /// Its body.
    pub body: Bytes,
}

/// Why there is no answer. Whether a command was done is not known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unanswered {
    /// Nobody listens.
    Unreachable(String),
    /// The connection broke.
    Broken(String),
    /// It took longer than [`PATIENCE`].
    TimedOut,
}

impl Unanswered {
    /// What it is called among errors.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "not reachable",
            Self::Broken(_) => "connection broke",
            Self::TimedOut => "timed out",
        }
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) | Self::Broken(why) => write!(f, "{}: {why}", self.name()),
            Self::TimedOut => write!(f, "no answer within {} s", PATIENCE.as_secs()),
        }
    }
}

/// One connection. Used within a `LocalSet`.
pub struct Wire {
    target: Target,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Wire {
    /// A connection that is opened when it is first used.
    pub fn new(target: &Target) -> Self {
        Self { target: target.clone(), sender: None }
    }

    /// Where it leads.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// When there is none in time.
    pub async fn send(&mut self, ask: &Ask) -> Result<Answer, Unanswered> {
        let answered = tokio::time::timeout(PATIENCE, self.exchange(ask)).await;
        let answer = answered.unwrap_or(Err(Unanswered::TimedOut));
        if answer.is_err() {
            self.sender = None;
        }
        answer
    }

    async fn exchange(&mut self, ask: &Ask) -> Result<Answer, Unanswered> {
        let broken = |error: hyper::Error| Unanswered::Broken(format!("{:#}", anyhow!(error)));
        // The server closes connections that were idle: one that is found so has not carried the request.
        if let Some(sender) = &mut self.sender
            && sender.ready().await.is_err()
        {
            self.sender = None;
        }
        let sender = match &mut self.sender {
            Some(sender) => sender,
            None => self.sender.insert(open(&self.target).await?),
        };
        let response = sender.send_request(ask.request(&self.target)).await.map_err(broken)?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(broken)?.to_bytes();
        let retry_after = parts.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Ok(Answer { status: parts.status, retry_after_s: retry_after.and_then(|text| text.parse().ok()), body })
    }

    /// Sends a request whose answer matters more than its time, and reads its JSON. Waits where the server asks for it.
    ///
    /// # Errors
    /// When there is no answer, or one that is not 2xx.
    pub async fn json(&mut self, ask: &Ask) -> Result<Value> {
        let mut attempts = 0;
        loop {
            let answer = self.send(ask).await.map_err(|why| anyhow!("{ask} at {}: {why}", self.target.url))?;
            attempts += 1;
            let status = answer.status;
            if matches!(status.as_u16(), 429 | 503) && attempts < ATTEMPTS {
                let wait = answer.retry_after_s.unwrap_or(1).clamp(1, RETRY_AFTER_MAX_S);
                tokio::time::sleep(Duration::from_secs(wait)).await;
                continue;
            }
            ensure!(status.is_success(), "{ask} at {}: answered {status}", self.target.url);
            if answer.body.is_empty() {
                return Ok(Value::Null);
            }
            return serde_json::from_slice(&answer.body).with_context(|| format!("{ask}: the answer is not JSON"));
        }
    }
}

async fn open(target: &Target) -> Result<SendRequest<Full<Bytes>>, Unanswered> {
    let unreachable = |error: &dyn fmt::Display| Unanswered::Unreachable(format!("{}: {error}", target.address));
    let stream = TcpStream::connect(target.address).await.map_err(|error| unreachable(&error))?;
    stream.set_nodelay(true).map_err(|error| unreachable(&error))?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(&error))?;
    // What ends it is told by the requests on it.
    tokio::task::spawn_local(async move {
        let _ = connection.await;
    });
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_plain_http_is_understood() {
        assert_eq!(Target::resolve("http://127.0.0.1:8080/").await.unwrap().url, "http://127.0.0.1:8080");
        for wrong in ["https://127.0.0.1", "http://127.0.0.1/v1", "127.0.0.1", "what is it"] {
            assert!(Target::resolve(wrong).await.is_err(), "{wrong}");
        }
    }
}

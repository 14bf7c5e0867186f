//! A client of the REST API.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::described::faults;

type Hyper = hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>;

/// Talks to the server at one address, in this process or another.
#[derive(Clone)]
pub struct Client {
    hyper: Hyper,
    base: String,
}

impl Client {
    /// Of the server at `address` (`host:port`), over HTTP/1.1.
    pub fn new(address: impl ToString) -> Self {
        Self::with(address, false)
    }

    /// Of the server at `address`, over HTTP/2 with prior knowledge.
    pub fn http2(address: impl ToString) -> Self {
        Self::with(address, true)
    }

    fn with(address: impl ToString, http2: bool) -> Self {
        let hyper = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).http2_only(http2).build_http();
        Self { hyper, base: format!("http://{}", address.to_string()) }
    }

    /// A request, not yet sent.
    pub fn ask(&self, method: Method, path: &str) -> Ask {
        let uri = format!("{}{path}", self.base);
        let request = Request::builder().method(method).uri(uri).body(Full::default()).unwrap();
        Ask { client: self.clone(), request }
    }

    pub fn get(&self, path: &str) -> Ask {
        self.ask(Method::GET, path)
    }

    /// A user, by the login of developers.
    pub async fn sign_in(&self, handle: &str) -> Session {
        self.sign_in_as(handle, false).await
    }

    /// A user with an operator's token.
    pub async fn operator(&self, handle: &str) -> Session {
        self.sign_in_as(handle, true).await
    }

    async fn sign_in_as(&self, handle: &str, operator: bool) -> Session {
        let login = json!({"handle": handle, "operator": operator});
        let tokens = self.ask(Method::POST, "/v1/auth/dev").json(&login).await.expect(200).json();
        Session {
            client: self.clone(),
            token: tokens["access_token"].as_str().unwrap().to_owned(),
            id: tokens["user"]["id"].as_str().unwrap().to_owned(),
        }
    }
}

/// A client with a token.
#[derive(Clone)]
pub struct Session {
    pub client: Client,
    pub token: String,
    pub id: String,
}

impl Session {
    pub fn ask(&self, method: Method, path: &str) -> Ask {
        self.client.ask(method, path).header("authorization", &format!("Bearer {}", self.token))
    }

    pub fn get(&self, path: &str) -> Ask {
        self.ask(Method::GET, path)
    }

    pub fn post(&self, path: &str, body: &Value) -> Ask {
        self.ask(Method::POST, path).json(body)
    }

    pub fn put(&self, path: &str) -> Ask {
        self.ask(Method::PUT, path)
    }

    pub fn delete(&self, path: &str) -> Ask {
        self.ask(Method::DELETE, path)
    }

    /// Writes a post; its id.
    pub async fn publish(&self, text: &str) -> String {
        let post = self.post("/v1/posts", &json!({"text": text})).await.expect(201).json();
        post["id"].as_str().unwrap().to_owned()
    }

    pub async fn follow(&self, other: &Session) {
        self.put(&format!("/v1/follows/{}", other.id)).await.expect(204);
    }

    /// Every item of a list, by `next` until null, in pages of `limit`; each page but the last must be full.
    pub async fn all(&self, path: &str, limit: usize) -> Vec<Value> {
        let mut items = Vec::new();
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("{path}{separator}limit={limit}{cursor}")).await.expect(200).json();
            let found = page["items"].as_array().unwrap();
            items.extend(found.iter().cloned());
            let Some(next) = page["next"].as_str() else { return items };
            assert_eq!(found.len(), limit, "a page is full unless next is null");
            cursor = format!("&cursor={next}");
        }
    }

    /// The texts of the first page of the home timeline.
    pub async fn feed_texts(&self) -> Vec<String> {
        let feed = self.get("/v1/feed?limit=100").await.expect(200).json();
        texts(feed["items"].as_array().unwrap())
    }
}

/// What `look` finds, once it does: what others do comes through the log, in its own time.
pub async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "it never came to be");
    }
}

/// The texts of posts.
pub fn texts(posts: &[Value]) -> Vec<String> {
    posts.iter().map(|post| post["text"].as_str().unwrap().to_owned()).collect()
}

/// A request, sent when awaited.
pub struct Ask {
    client: Client,
    request: Request<Full<Bytes>>,
}

impl Ask {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = http::HeaderName::try_from(name).unwrap();
        self.request.headers_mut().append(name, value.parse().unwrap());
        self
    }

    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = Full::new(body.into());
        self
    }

    /// The head of the answer, whose body may go on for long.
    pub async fn open(self) -> http::Response<hyper::body::Incoming> {
        self.client.hyper.request(self.request).await.unwrap()
    }

    /// The answer, or why there is none: the connection broke.
    pub async fn attempt(self) -> Result<Reply, String> {
        let asked = format!("{} {}", self.request.method(), self.request.uri());
        let answer = self.client.hyper.request(self.request).await.map_err(|error| format!("{asked}: {error:?}"))?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| format!("{asked}: {error:?}"))?.to_bytes();
        Ok(Reply { asked, status: parts.status, headers: parts.headers, body })
    }
}

impl IntoFuture for Ask {
    type Output = Reply;
    type IntoFuture = futures::future::BoxFuture<'static, Reply>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async {
            let reply = self.attempt().await.unwrap();
            reply.check();
            reply
        })
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Reply {
    pub asked: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    /// What holds of every answer.
    pub fn check(&self) {
        assert_ne!(self.status, 500, "{}: {}", self.asked, self.text());
        assert!(self.header("x-request-id").is_some_and(|id| !id.is_empty()), "{}: no request id", self.asked);
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"), "{}", self.asked);
        assert!(self.header("cache-control").is_some(), "{}", self.asked);
        let faults = faults(self);
        assert!(faults.is_empty(), "{}: {}\n{}", self.asked, faults.join("; "), self.text());
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.asked, self.text());
        if status == 204 {
            assert!(self.body.is_empty());
        }
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{}", self.asked);
        serde_json::from_slice(&self.body).unwrap()
    }

    /// A problem document of this status and code, with the headers that belong to it.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Self {
        let reply = self.expect(status);
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{}", reply.asked);
        let document: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(document["code"], code, "{}: {document}", reply.asked);
        assert_eq!(document["status"], status, "{}", reply.asked);
        for name in ["type", "title", "detail"] {
            assert!(document[name].as_str().is_some_and(|text| !text.is_empty()), "{}: {document}", reply.asked);
        }
        let needed = match status {
            401 => Some("www-authenticate"),
            405 => Some("allow"),
            429 | 503 => Some("retry-after"),
            _ => None,
        };
        assert!(needed.is_none_or(|name| reply.header(name).is_some()), "{}: no {needed:?}", reply.asked);
        reply
    }
}

//! A provider in this process that also does what no real one will: it lies, stalls, and changes its keys at will. It
//! speaks OpenID Connect and, below other paths, as GitHub does.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as BASE64};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use openidconnect::core::CoreEdDsaPrivateSigningKey;
use openidconnect::url::{Url, form_urlencoded};
use openidconnect::{JsonWebKeyId, PrivateSigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::browser::parameter;

pub const CLIENT: &str = "tributary";
pub const SECRET: &str = "the-client-secret";

/// What is wrong with the answers to a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// None ever comes.
    Stalls,
    /// It is right, and comes late, but in time.
    Late,
    /// It is right, and far too long.
    Huge,
    /// A status without sense.
    Fails,
    /// It leads elsewhere.
    Redirects,
    /// It is no JSON.
    Garbage,
}

/// How an ID token is signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    /// By the present key.
    Own,
    /// By somebody else's key, under the name of the present one.
    Foreign,
    /// Not at all: `alg: none`.
    None,
    /// With the client's secret.
    Secret,
}

#[derive(Clone)]
struct Key {
    id: String,
    seed: [u8; 32],
}

impl Key {
    fn new() -> Self {
        let seed: [u8; 32] = std::array::from_fn(|_| fastrand::u8(..));
        Self { id: format!("key-{}", fastrand::u64(..)), seed }
    }

    /// PKCS #8 of an Ed25519 key.
    fn der(&self) -> Vec<u8> {
        let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        [&head[..], &self.seed].concat()
    }

    fn jwk(&self) -> Value {
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(self.der()));
        let key = CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(JsonWebKeyId::new(self.id.clone()))).unwrap();
        serde_json::to_value(key.as_verification_key()).unwrap()
    }

    fn sign(&self, id: &str, claims: &Value) -> String {
        let header = Header { kid: Some(id.to_owned()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(&self.der())).unwrap()
    }
}

/// A code that was given out.
struct Grant {
    nonce: Option<String>,
    challenge: String,
    redirect: String,
    claims: Value,
}

type Forgery = Box<dyn Fn(&mut Value) + Send>;

struct State {
    issuer: String,
    key: Key,
    signature: Signature,
    forge: Forgery,
    endpoints: Value,
    codes: HashMap<String, Grant>,
    tokens: HashMap<String, Value>,
    trouble: HashMap<String, Trouble>,
    asked: HashMap<String, usize>,
}

/// The provider. It goes away with this value.
pub struct Fake {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Fake {
    pub async fn start() -> Self {
        Self::at(([127, 0, 0, 1], 0).into()).await
    }

    /// At this address, which is free.
    pub async fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            issuer: format!("http://{address}"),
            key: Key::new(),
            signature: Signature::Own,
            forge: Box::new(|_| ()),
            endpoints: json!({}),
            codes: HashMap::new(),
            tokens: HashMap::new(),
            trouble: HashMap::new(),
            asked: HashMap::new(),
        }));
        let serving = tokio::spawn(serve(listener, state.clone()));
        Self { address, state, serving }
    }

    pub fn issuer(&self) -> String {
        self.state.lock().unwrap().issuer.clone()
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        self.state.lock().unwrap().asked.get(path).copied().unwrap_or_default()
    }

    /// From now on, this is wrong with a path; none: it is as it should be.
    pub fn trouble(&self, path: &str, trouble: Option<Trouble>) {
        let mut state = self.state.lock().unwrap();
        match trouble {
            Some(trouble) => state.trouble.insert(path.to_owned(), trouble),
            None => state.trouble.remove(path),
        };
    }

    /// From now on, the claims of ID tokens are changed so before they are signed.
    pub fn forge(&self, forge: impl Fn(&mut Value) + Send + 'static) {
        self.state.lock().unwrap().forge = Box::new(forge);
    }

    pub fn sign_with(&self, signature: Signature) {
        self.state.lock().unwrap().signature = signature;
    }

    /// Another key, which alone is published.
    pub fn rotate(&self) {
        self.state.lock().unwrap().key = Key::new();
    }

    /// What its discovery says otherwise than usual.
    pub fn endpoints(&self, endpoints: Value) {
        self.state.lock().unwrap().endpoints = endpoints;
    }

    /// The user of `claims` agrees to what the browser was sent here with; where the browser is sent back to.
    pub fn approve(&self, sent: &Url, claims: Value) -> String {
        assert_eq!(sent.origin().ascii_serialization(), self.issuer());
        assert_eq!(parameter(sent, "response_type"), "code");
        assert_eq!(parameter(sent, "client_id"), CLIENT);
        assert_eq!(parameter(sent, "code_challenge_method"), "S256");
        let code = format!("code-{}", fastrand::u64(..));
        let nonce = sent.query_pairs().find(|(key, _)| key == "nonce").map(|(_, nonce)| nonce.into_owned());
        let redirect = parameter(sent, "redirect_uri");
        let grant = Grant { nonce, challenge: parameter(sent, "code_challenge"), redirect: redirect.clone(), claims };
        self.state.lock().unwrap().codes.insert(code.clone(), grant);
        format!("{redirect}?code={code}&state={}", parameter(sent, "state"))
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = state.clone();
        connections.spawn(async move {
            let service = service_fn(|request| {
                let state = state.clone();
                async move { Ok::<_, Infallible>(answer(&state, request).await) }
            });
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
        });
    }
}

fn json_answer(status: u16, value: &Value) -> Response<Full<Bytes>> {
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.body(Full::from(value.to_string())).unwrap()
}

async fn answer(state: &Mutex<State>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let form: HashMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let trouble = {
        let mut state = state.lock().unwrap();
        *state.asked.entry(path.clone()).or_default() += 1;
        state.trouble.get(&path).copied()
    };
    match trouble {
        Some(Trouble::Stalls) => std::future::pending().await,
        Some(Trouble::Fails) => json_answer(500, &json!({"error": "boom"})),
        Some(Trouble::Redirects) => {
            let elsewhere = Response::builder().status(302).header("location", "/elsewhere");
            elsewhere.body(Full::default()).unwrap()
        }
        Some(Trouble::Garbage) => json_answer(200, &json!("no object")),
        Some(Trouble::Huge) => {
            let (status, mut value) = state.lock().unwrap().answer(&path, &form, header);
            value["padding"] = "x".repeat(4 << 20).into();
            json_answer(status, &value)
        }
        None | Some(Trouble::Late) => {
            if trouble.is_some() {
                tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
            }
            let (status, value) = state.lock().unwrap().answer(&path, &form, header);
            json_answer(status, &value)
        }
    }
}

impl State {
    /// What it says, and with which status.
    fn answer(
        &mut self,
        path: &str,
        form: &HashMap<String, String>,
        header: impl Fn(&str) -> Option<String>,
    ) -> (u16, Value) {
        let bearer = header("authorization").and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned));
        match path {
            "/.well-known/openid-configuration" => (200, self.discovery()),
            "/jwks" => (200, json!({"keys": [self.key.jwk()]})),
            "/token" => {
                let basic =
                    header("authorization") == Some(format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{SECRET}"))));
                match self.redeem(form).filter(|_| basic) {
                    Some(grant) => {
                        let (access, id) = self.tokens_of(&grant);
                        (200, json!({"access_token": access, "token_type": "Bearer", "id_token": id}))
                    }
                    None => (400, json!({"error": "invalid_grant", "error_description": "secret words"})),
                }
            }
            "/login/oauth/access_token" => {
                assert_eq!(header("accept").as_deref(), Some("application/json"));
                let known = form.get("client_id").is_some_and(|id| id == CLIENT);
                match self.redeem(form).filter(|_| known && form.get("client_secret").is_some_and(|it| it == SECRET)) {
                    Some(grant) => {
                        let access = self.access_token(&grant);
                        (200, json!({"access_token": access, "token_type": "bearer", "scope": ""}))
                    }
                    None => (200, json!({"error": "bad_verification_code"})),
                }
            }
            "/userinfo" | "/api/v3/user" => match bearer.and_then(|token| self.tokens.get(&token).cloned()) {
                Some(_) if header("user-agent").is_none() => (403, json!({})),
                Some(claims) => (200, claims),
                None => (401, json!({})),
            },
            _ => (404, json!({})),
        }
    }

    fn discovery(&self) -> Value {
        let issuer = &self.issuer;
        let mut said = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"],
        });
        for (endpoint, value) in self.endpoints.as_object().unwrap() {
            said[endpoint] = value.clone();
        }
        said
    }

    /// A code is good once, with the verifier of its challenge and the callback that it was sent to.
    fn redeem(&mut self, form: &HashMap<String, String>) -> Option<Grant> {
        let grant = self.codes.remove(form.get("code")?)?;
        let challenge = BASE64.encode(Sha256::digest(form.get("code_verifier")?));
        (challenge == grant.challenge && form.get("redirect_uri") == Some(&grant.redirect)).then_some(grant)
    }

    fn access_token(&mut self, grant: &Grant) -> String {
        let token = format!("access-{}", fastrand::u64(..));
        self.tokens.insert(token.clone(), grant.claims.clone());
        token
    }

    fn tokens_of(&mut self, grant: &Grant) -> (String, String) {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let mut claims = json!({"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": grant.nonce});
        // What is asked of user info is not in the ID token.
        let told = self.endpoints.get("userinfo_endpoint").is_none();
        for (claim, value) in grant.claims.as_object().unwrap() {
            if told || claim == "sub" {
                claims[claim] = value.clone();
            }
        }
        (self.forge)(&mut claims);
        let id = match self.signature {
            Signature::Own => self.key.sign(&self.key.id, &claims),
            Signature::Foreign => Key::new().sign(&self.key.id, &claims),
            Signature::None => {
                let part = |value: &Value| BASE64.encode(value.to_string());
                format!("{}.{}.", part(&json!({"alg": "none"})), part(&claims))
            }
            Signature::Secret => {
                let key = EncodingKey::from_secret(SECRET.as_bytes());
                jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
            }
        };
        (self.access_token(grant), id)
    }
}

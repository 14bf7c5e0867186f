//! Idempotency keys: what a client names its request by, so that a retry gets the same answer (law 7).
//! The engine keeps the outcome with the commit; the answer is rendered from it anew, the same each time.

use http::header::{HeaderName, HeaderValue, IF_MATCH};
use http::request::Parts;
use sha2::{Digest, Sha256};
use tributary_engine::ClientKey;
use tributary_engine::limits::IDEMPOTENCY_KEY_BYTES;

use super::problem::Fault;
use super::request;
use super::respond::Answer;

static KEY: HeaderName = HeaderName::from_static("idempotency-key");
static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The key of a request, with a digest of what it asks.
pub fn client_key(parts: &Parts, body: &[u8]) -> Result<Option<ClientKey>, Fault> {
    let Some(key) = request::header(&parts.headers, &KEY)? else { return Ok(None) };
    let visible = (1..=IDEMPOTENCY_KEY_BYTES).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    let key = str::from_utf8(key).ok().filter(|_| visible).ok_or_else(|| {
        let detail = format!("Idempotency-Key is 1 to {IDEMPOTENCY_KEY_BYTES} visible ASCII characters");
        Fault::malformed("bad_idempotency_key", detail)
    })?;
    Ok(Some(ClientKey { key: key.to_owned(), fingerprint: fingerprint(parts, body) }))
}

/// Method, path, `If-Match` and JSON hold no NUL, so no two requests run together to the same digest.
fn fingerprint(parts: &Parts, body: &[u8]) -> [u8; 16] {
    let mut digest = Sha256::new();
    for part in [parts.method.as_str(), "\0", parts.uri.path(), "\0"] {
        digest.update(part);
    }
    for wanted in parts.headers.get_all(IF_MATCH) {
        digest.update(wanted);
        digest.update("\0");
    }
    digest.update(body);
    let digest: [u8; 32] = digest.finalize().into();
    *digest.first_chunk().expect("32 bytes begin with 16")
}

/// Tells the client that this is the answer to an earlier request.
pub fn mark_replayed(answer: &mut Answer) {
    answer.headers_mut().insert(REPLAYED.clone(), HeaderValue::from_static("true"));
}

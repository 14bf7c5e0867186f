//! One attempt to sign in, from `login` to `callback`. It lives in a cookie of the browser that began it, for ten minutes.
//!
//! The cookie holds nothing secret: the state, which the provider sees too, when it ends, and for whom an identity is
//! linked; signed, with the provider's name. The PKCE verifier and the nonce are not in it. They are the state's MACs under
//! the nodes' key, so only a node can tell them, and only with the cookie does it use them: a state, a code or both that
//! somebody else got hold of are worth nothing in another browser.
//!
//! The first character of a state names its cookie: two tabs rarely meet, and 64 cookies fit into a request's headers,
//! however often a browser is sent here. Over TLS the name begins so that browsers take the cookie from this very host
//! alone: another host of the same domain cannot plant an attempt of its own, which would make who comes back somebody else.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, Mac};
use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};
use sha2::Sha256;
use tributary_engine::model::UserId;

use super::Provider;
use crate::config;
use crate::http::problem::Fault;
use crate::http::settings::HEADER_BYTES;

/// How long a user may take at the provider.
const LIFE: Duration = Duration::from_secs(600);
const PREFIX: &str = "tributary_signin_";
/// A cookie of such a name is of the host that it is sent to, over TLS and for every path, or browsers do not keep it.
const HOST_PREFIX: &str = "__Host-";
const STATE_BYTES: usize = 16;
const STATE_CHARS: usize = 22;
/// State, end and user.
const BODY_BYTES: usize = STATE_BYTES + 8 + 8;
const MAC_BYTES: usize = 32;
const COOKIE_CHARS: usize = (BODY_BYTES + MAC_BYTES).div_ceil(3) * 4;

const _: () = assert!(
    64 * (HOST_PREFIX.len() + PREFIX.len() + 1 + 1 + COOKIE_CHARS + 2) < HEADER_BYTES * 3 / 4,
    "a cookie for each first character leaves room for a browser's other headers"
);

/// An attempt.
#[derive(Clone, PartialEq, Eq)]
pub struct Attempt {
    state: [u8; STATE_BYTES],
    /// Unix seconds.
    ends_s: u64,
    /// The user who wants the identity as one of theirs.
    pub link: Option<UserId>,
    /// The PKCE verifier.
    pub verifier: String,
    /// What the ID token must repeat.
    pub nonce: String,
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attempt(secret)")
    }
}

impl Attempt {
    /// The state, as URLs carry it.
    pub fn state(&self) -> String {
        BASE64.encode(self.state)
    }
}

/// Makes attempts and knows them again. All nodes share its keys.
#[derive(Clone)]
pub struct Attempts {
    /// The first is of new attempts; an attempt that any of them has signed is known again.
    keyed: Vec<Hmac<Sha256>>,
}

impl Attempts {
    /// With the keys of all nodes, at least one.
    pub fn new(keys: &[[u8; 32]]) -> Self {
        let keyed = |key| Hmac::new_from_slice(key).expect("HMAC takes a key of any length");
        Self { keyed: keys.iter().map(|key: &[u8; 32]| keyed(key)).collect() }
    }

    /// A new one, begun at `now_s`, by the user who wants to link an identity or by a guest.
    pub fn begin(&self, provider: &Provider, link: Option<UserId>, now_s: u64) -> Result<Attempt, Fault> {
        let mut state = [0; STATE_BYTES];
        let filled = getrandom::fill(&mut state);
        filled.map_err(|error| Fault::unavailable(format!("the system gave no random bytes: {error}")))?;
        Ok(attempt(&self.keyed[0], &provider.settings.name, state, now_s + LIFE.as_secs(), link))
    }

    /// The `Set-Cookie` that keeps it.
    pub fn keep(&self, provider: &Provider, attempt: &Attempt) -> HeaderValue {
        let body = body(attempt);
        let mut sealed = body.to_vec();
        sealed
            .extend_from_slice(&mac(&self.keyed[0], "cookie", &provider.settings.name, &body).finalize().into_bytes());
        set_cookie(&provider.settings, &attempt.state(), &BASE64.encode(sealed), LIFE)
    }

    /// The `Set-Cookie` that ends it.
    pub fn forget(&self, provider: &Provider, attempt: &Attempt) -> HeaderValue {
        set_cookie(&provider.settings, &attempt.state(), "", Duration::ZERO)
    }

    /// The attempt of this state, if this browser began it with this provider and it has not ended.
    pub fn find(&self, provider: &Provider, headers: &HeaderMap, state: &str, now_s: u64) -> Result<Attempt, Fault> {
        let values = cookies(&provider.settings, headers, state);
        let opened = values.into_iter().find_map(|value| self.open(&provider.settings.name, value, state));
        opened.filter(|attempt| now_s < attempt.ends_s).ok_or_else(|| {
            let detail = "this browser began no such sign-in, or more than ten minutes ago: begin again";
            Fault::malformed("bad_state", detail)
        })
    }

    fn open(&self, provider: &str, value: &str, state: &str) -> Option<Attempt> {
        let bytes =
            Some(value).filter(|value| value.len() <= COOKIE_CHARS).and_then(|value| BASE64.decode(value).ok())?;
        let (body, signed) = bytes.split_at_checked(BODY_BYTES)?;
        let key = self.keyed.iter().find(|key| mac(key, "cookie", provider, body).verify_slice(signed).is_ok())?;
        let word = |at: usize| u64::from_be_bytes(body[at..at + 8].try_into().expect("eight bytes"));
        let found: [u8; STATE_BYTES] = body[..STATE_BYTES].try_into().expect("the body begins with the state");
        let link = Some(UserId(word(STATE_BYTES + 8))).filter(|user| user.0 != 0);
        Some(attempt(key, provider, found, word(STATE_BYTES), link)).filter(|attempt| attempt.state() == state)
    }
}

fn attempt(key: &Hmac<Sha256>, provider: &str, state: [u8; STATE_BYTES], ends_s: u64, link: Option<UserId>) -> Attempt {
    let derived = |label| BASE64.encode(mac(key, label, provider, &state).finalize().into_bytes());
    Attempt { state, ends_s, link, verifier: derived("verifier"), nonce: derived("nonce") }
}

/// Neither labels nor names have a zero byte, so no two uses are the same.
fn mac(key: &Hmac<Sha256>, label: &str, provider: &str, bytes: &[u8]) -> Hmac<Sha256> {
    let mut mac = key.clone();
    for part in [label.as_bytes(), b"\0", provider.as_bytes(), b"\0", bytes] {
        mac.update(part);
    }
    mac
}

fn body(attempt: &Attempt) -> [u8; BODY_BYTES] {
    let mut body = [0; BODY_BYTES];
    body[..STATE_BYTES].copy_from_slice(&attempt.state);
    body[STATE_BYTES..STATE_BYTES + 8].copy_from_slice(&attempt.ends_s.to_be_bytes());
    body[STATE_BYTES + 8..].copy_from_slice(&attempt.link.unwrap_or_default().0.to_be_bytes());
    body
}

fn over_tls(settings: &config::Provider) -> bool {
    settings.redirect_url.scheme() == "https"
}

/// The name of a state's cookie; none where it is no state.
fn name(settings: &config::Provider, state: &str) -> Option<String> {
    let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let host = if over_tls(settings) { HOST_PREFIX } else { "" };
    (state.len() == STATE_CHARS && state.bytes().all(valid)).then(|| format!("{host}{PREFIX}{}", &state[..1]))
}

/// The cookies' values that could be this state's. There may be several of one name, set for other paths.
fn cookies<'a>(settings: &config::Provider, headers: &'a HeaderMap, state: &str) -> Vec<&'a str> {
    let name = name(settings, state);
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(found, _)| Some(*found) == name.as_deref()).map(|(_, value)| value).collect()
}

/// Over TLS for every path, as its name demands; else sent back to the provider's own paths, and nowhere else. Where
/// providers send browsers to somebody else than the callback, such as a page that hands on what they say, the callback
/// is at the root of the same host.
fn set_cookie(settings: &config::Provider, state: &str, value: &str, life: Duration) -> HeaderValue {
    let name = name(settings, state).expect("our states are states");
    let (redirect, callback) = (&settings.redirect_url, settings.callback());
    let path = if redirect.path().ends_with(&callback) { redirect.path() } else { &callback };
    let path = path.strip_suffix("callback").expect("it ends with the callback's path");
    let (path, secure) = if over_tls(settings) { ("/", "; Secure") } else { (path, "") };
    let life = life.as_secs();
    let cookie = format!("{name}={value}; Path={path}; Max-Age={life}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&cookie).expect("base64, digits and a URL's path are visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Protocol;
    use crate::http::signin::outbound::Outbound;

    fn provider(name: &str, base: &str) -> Provider {
        let settings = config::Provider {
            name: name.to_owned(),
            protocol: Protocol::OpenId { issuer: "https://issuer.example".to_owned() },
            client_id: "client".to_owned(),
            client_secret_file: None,
            redirect_url: format!("{base}/v1/auth/{name}/callback").parse().unwrap(),
            scopes: Vec::new(),
            operator: None,
        };
        Provider::open(&settings, &Outbound::new()).unwrap()
    }

    /// What a browser sends back of a `Set-Cookie`.
    fn sent(set: &HeaderValue) -> HeaderMap {
        let pair = set.to_str().unwrap().split(';').next().unwrap();
        [(COOKIE, format!("other=1; {pair}").parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn an_attempt_is_known_again_until_it_ends_by_the_browser_and_the_provider_that_it_was_begun_with() {
        let (attempts, home) = (Attempts::new(&[[1; 32]]), provider("home", "https://a.example"));
        for link in [None, Some(UserId(7))] {
            let attempt = attempts.begin(&home, link, 1_000).unwrap();
            let headers = sent(&attempts.keep(&home, &attempt));
            let find = |provider: &Provider, headers: &HeaderMap, state: &str, now| {
                attempts.find(provider, headers, state, now).ok()
            };
            assert_eq!(find(&home, &headers, &attempt.state(), 1_599), Some(attempt.clone()));
            assert_eq!(find(&home, &headers, &attempt.state(), 1_600), None, "it has ended");
            assert_eq!(find(&home, &HeaderMap::new(), &attempt.state(), 1_000), None, "another browser");
            assert_eq!(find(&provider("work", "https://a.example"), &headers, &attempt.state(), 1_000), None);
            let other = attempts.begin(&home, link, 1_000).unwrap();
            assert_eq!(find(&home, &headers, &other.state(), 1_000), None, "another attempt");
            let of = |keys: &[[u8; 32]]| Attempts::new(keys).find(&home, &headers, &attempt.state(), 1_000);
            assert!(of(&[[2; 32]]).is_err(), "another key");
            assert_eq!(of(&[[2; 32], [1; 32]]).ok(), Some(attempt), "a key that no longer signs");
        }
    }

    #[test]
    fn a_changed_cookie_is_none() {
        let (attempts, home) = (Attempts::new(&[[1; 32]]), provider("home", "https://a.example"));
        let attempt = attempts.begin(&home, None, 1_000).unwrap();
        let pair = attempts.keep(&home, &attempt).to_str().unwrap().split(';').next().unwrap().to_owned();
        let (name, value) = pair.split_once('=').unwrap();
        let bytes = BASE64.decode(value).unwrap();
        for n in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[n] ^= 1;
            let headers =
                [(COOKIE, format!("{name}={}", BASE64.encode(changed)).parse().unwrap())].into_iter().collect();
            assert!(attempts.find(&home, &headers, &attempt.state(), 1_000).is_err(), "byte {n}");
        }
        for value in ["", "x", &value[1..], &format!("{value}A"), &"A".repeat(10_000)] {
            let headers = [(COOKIE, format!("{name}={value}").parse().unwrap())].into_iter().collect();
            assert!(attempts.find(&home, &headers, &attempt.state(), 1_000).is_err(), "{value}");
        }
        for state in ["", "x", "ä".repeat(11).as_str(), &"=".repeat(STATE_CHARS), &"A".repeat(STATE_CHARS)] {
            assert!(attempts.find(&home, &HeaderMap::new(), state, 1_000).is_err(), "{state}");
        }
    }

    #[test]
    fn a_cookie_is_for_this_host_or_the_callback_alone_and_tells_neither_verifier_nor_nonce() {
        let attempts = Attempts::new(&[[1; 32]]);
        for (redirect, name, path, secure) in [
            ("https://a.example/v1/auth/home/callback", "__Host-tributary_signin_", "/", true),
            ("https://a.example/signed-in", "__Host-tributary_signin_", "/", true),
            ("http://[::1]:1/x/v1/auth/home/callback", "tributary_signin_", "/x/v1/auth/home/", false),
            ("http://localhost:1/signed-in", "tributary_signin_", "/v1/auth/home/", false),
        ] {
            let mut home = provider("home", "https://a.example");
            home.settings.redirect_url = redirect.parse().unwrap();
            let attempt = attempts.begin(&home, None, 1_000).unwrap();
            assert!(attempt.verifier.len() >= 43 && attempt.verifier != attempt.nonce);
            for cookie in [attempts.keep(&home, &attempt), attempts.forget(&home, &attempt)] {
                let text = cookie.to_str().unwrap();
                assert!(text.starts_with(&format!("{name}{}=", &attempt.state()[..1])), "{text}");
                let attributes = format!("; Path={path}; ");
                assert!(text.contains(&attributes) && text.contains("; HttpOnly; SameSite=Lax"), "{text}");
                assert!(!text.contains("Domain") && text.ends_with("; Secure") == secure, "{text}");
                assert!(!text.contains(&attempt.verifier) && !text.contains(&attempt.nonce), "{text}");
            }
            assert!(attempts.forget(&home, &attempt).to_str().unwrap().contains("; Max-Age=0; "));
        }
    }

    #[test]
    fn over_tls_a_cookie_that_another_host_could_have_planted_is_none() {
        let (attempts, home) = (Attempts::new(&[[1; 32]]), provider("home", "https://a.example"));
        let attempt = attempts.begin(&home, Some(UserId(7)), 1_000).unwrap();
        let kept = attempts.keep(&home, &attempt);
        let find = |set: &HeaderValue| attempts.find(&home, &sent(set), &attempt.state(), 1_000).is_ok();
        assert!(find(&kept));
        for name in ["", "__Secure-"] {
            let planted = kept.to_str().unwrap().replace("__Host-", name);
            assert!(!find(&planted.parse().unwrap()), "{planted}");
        }
    }
}

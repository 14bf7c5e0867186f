//! Fuzz targets for signing in through others: the cookie and the state that a browser brings back, and what providers say.
//! What goes out to them is answered by a server of this file, which says what the target wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, URL_SAFE_NO_PAD as BASE64};
use ed25519_dalek::Signer as _;
use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};
use serde_json::{Value, json};
use tributary_engine::limits::{HANDLE_BYTES, NAME_CHARS, SUBJECT_BYTES};
use tributary_engine::model::{Handle, UserId};
use tributary_engine::testkit::fuzz;

use super::signin::{Attempt, Claims, Profile, SignIn};
use crate::config::{Protocol, Provider};

macro_rules! kept {
    ($name:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/", $name)
    };
}

fn provider(name: &str, protocol: Protocol) -> Provider {
    Provider {
        name: name.to_owned(),
        protocol,
        client_id: "client".to_owned(),
        client_secret_file: None,
        redirect_url: format!("https://a.example/v1/auth/{name}/callback").parse().expect("a URL"),
        scopes: Vec::new(),
        operator: Some(("roles".to_owned(), "admin".to_owned())),
    }
}

fn sign_in(providers: &[Provider], keys: &[[u8; 32]]) -> SignIn {
    SignIn::open(providers, keys).expect("no secret has to be read")
}

fn nobody() -> Protocol {
    Protocol::OpenId { issuer: "https://issuer.example".to_owned() }
}

/// The input: a state, a line end, the header `Cookie`.
#[test]
fn an_attempt_is_found_only_by_the_cookie_that_was_set_for_it() {
    const BEGUN: u64 = 1_000_000;
    let providers = [provider("home", nobody()), provider("work", nobody())];
    let (now, before) = (sign_in(&providers, &[[1; 32], [2; 32]]), sign_in(&providers, &[[2; 32]]));
    let foreign = sign_in(&providers, &[[3; 32]]);
    let begun = |by: &SignIn, name: &str, link: Option<u64>, at: u64| {
        let provider = by.provider(name).expect("it is there");
        let attempt = by.attempts.begin(provider, link.map(UserId), at).expect("random bytes");
        let set = by.attempts.keep(provider, &attempt);
        let pair = set.to_str().expect("a cookie is ASCII").split(';').next().expect("it has a pair").to_owned();
        (attempt, pair)
    };
    let good = [
        begun(&now, "home", None, BEGUN),
        begun(&now, "home", Some(7), BEGUN),
        begun(&before, "home", Some(u64::MAX), BEGUN),
    ];
    let bad = [
        begun(&now, "work", None, BEGUN),
        begun(&foreign, "home", None, BEGUN),
        begun(&now, "home", None, BEGUN - 600),
    ];
    let seed = |(attempt, pair): &(Attempt, String)| format!("{}\nother=1; {pair}", attempt.state()).into_bytes();
    let home = now.provider("home").expect("it is there");
    let found = |input: &[u8]| {
        let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
        let Ok(state) = std::str::from_utf8(&input[..end]) else { return false };
        let Ok(cookie) = HeaderValue::from_bytes(input.get(end + 1..).unwrap_or_default()) else { return false };
        let headers: HeaderMap = [(COOKIE, cookie.clone())].into_iter().collect();
        let Ok(attempt) = now.attempts.find(home, &headers, state, BEGUN + 1) else { return false };
        let kept = good.iter().find(|(known, _)| *known == attempt).map(|(_, pair)| pair);
        let Some(pair) = kept else { panic!("an attempt is found that nobody began: {cookie:?}") };
        assert_eq!(attempt.state(), state);
        let text = cookie.to_str().expect("it was read as text");
        assert!(text.split(';').any(|part| part.trim() == pair), "{pair} is found in {text}");
        true
    };
    assert!(good.iter().all(|begun| found(&seed(begun))), "what was begun here is found");
    assert!(!bad.iter().any(|begun| found(&seed(begun))));
    let all = format!("{}\n{}; {}; {}", good[1].0.state(), bad[0].1, good[0].1, good[1].1).into_bytes();
    let seeds = good.iter().chain(&bad).map(seed).chain([all]).collect();
    fuzz(kept!("cookie"), seeds, found);
}

#[test]
fn whatever_a_provider_claims_it_is_refused_or_a_user_within_our_limits() {
    let sign_in = sign_in(&[provider("home", nobody())], &[[1; 32]]);
    let home = sign_in.provider("home").expect("it is there");
    let reserved: [Handle; 2] = ["root", "ann2"].map(|handle| handle.parse().expect("a handle"));
    let seeds = [
        r#"{"sub":"7","preferred_username":"Ann-Marie","name":"Ann  Marie","roles":["x","admin"]}"#,
        r#"{"sub":"a/b","email":"root@a.example","name":"\u202eAnn\u0000\n","roles":"admin"}"#,
        r#"{"sub":"x","name":"Åke \ud83d\ude00","preferred_username":"__","email":"@"}"#,
        r#"{"sub":"","name":7}"#,
    ];
    let long = json!({"sub": "s".repeat(255), "name": "ü".repeat(500), "email": "a".repeat(500)}).to_string();
    let seeds = seeds.iter().map(|text| text.as_bytes().to_vec()).chain([long.into_bytes()]);
    fuzz(kept!("claims"), seeds.collect(), |input| {
        let Ok(claims) = serde_json::from_slice::<Claims>(input) else { return false };
        let Ok(profile) = Profile::new(home, &claims, &reserved) else { return false };
        let subject = &*profile.identity.subject;
        assert_eq!((claims.get("sub").and_then(Value::as_str), &*profile.identity.provider), (Some(subject), "home"));
        assert!((1..=SUBJECT_BYTES).contains(&subject.len()) && !subject.contains(char::is_control), "{subject:?}");
        let name = &profile.name;
        assert!((1..=NAME_CHARS).contains(&name.chars().count()) && name.trim_start() == name, "{name:?}");
        assert!(!name.contains(|c: char| c.is_control() || matches!(c, '\u{202A}'..='\u{202E}')), "{name:?}");
        let handles = &profile.handles;
        assert!(!handles.is_empty() && handles.iter().all(|handle| handle.as_str().len() <= HANDLE_BYTES));
        assert!(handles.iter().all(|handle| handle.as_str().parse() == Ok(handle.clone())), "{handles:?}");
        assert!(!handles.iter().any(|handle| reserved.contains(handle)), "{handles:?}");
        let is = |value: &Value| value == "admin";
        let admin = claims
            .get("roles")
            .is_some_and(|roles| is(roles) || roles.as_array().is_some_and(|all| all.iter().any(is)));
        assert_eq!(profile.operator, admin);
        true
    });
}

/// What is answered to a request's path.
type Answers = Arc<Mutex<Vec<(&'static str, Vec<u8>)>>>;

/// A server on this machine that answers by the end of a request's path, always with 200.
fn answering(answers: &Answers) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (address, answers) = (listener.local_addr().expect("it has one"), answers.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answers = answers.clone();
            std::thread::spawn(move || serve(stream, &answers));
        }
    });
    address
}

fn serve(stream: TcpStream, answers: &Answers) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let (mut path, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if path.is_empty() {
                path = line.split(' ').nth(1)?.to_owned();
            }
            if let Some(text) = line.to_lowercase().strip_prefix("content-length:") {
                length = text.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        let body = answers.lock().ok()?.iter().find(|(end, _)| path.ends_with(end)).map(|(_, body)| body.clone())?;
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        (&stream).write_all(&[head.as_bytes(), &body].concat()).ok()?;
    }
}

/// What a token endpoint says, as far as it is looked at: the rest need not even be text.
#[derive(serde::Deserialize, Debug, Default)]
#[serde(default)]
struct TokenSaid {
    access_token: Value,
    error: Value,
    id_token: Value,
}

/// As the library for sign-in reads it: what is left of the last character is passed over.
const LENIENT: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));

/// What an answer says that was understood: the libraries pass over what stands behind it.
fn first_value<T: serde::de::DeserializeOwned>(answer: &[u8]) -> T {
    let value = serde_json::Deserializer::from_slice(answer).into_iter().next();
    value.expect("it was understood").expect("it was understood")
}

/// The two answers of an input, with a zero byte between them.
fn two(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|byte| *byte == 0).unwrap_or(input.len());
    (&input[..end], input.get(end + 1..).unwrap_or_default())
}

/// What becomes of a code where the provider answers so.
fn redeemed(sign_in: &SignIn, attempt: &Attempt, runtime: &tokio::runtime::Runtime) -> Option<Claims> {
    let provider = sign_in.provider("home").expect("it is there");
    match runtime.block_on(provider.claims(attempt, "code".to_owned())) {
        Ok(claims) => Some(claims),
        Err(fault) => {
            let status = fault.into_answer().status();
            assert!(status == 401 || status == 503, "{status}");
            None
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The input: what the token endpoint says, a zero byte, what the user endpoint says.
#[test]
fn whatever_github_answers_is_refused_or_one_of_its_users() {
    let answers = Answers::default();
    let base = format!("http://{}", answering(&answers));
    let runtime = runtime();
    let sign_in = sign_in(&[provider("home", Protocol::Github { base: Some(base) })], &[[1; 32]]);
    let home = sign_in.provider("home").expect("it is there");
    let attempt = sign_in.attempts.begin(home, None, 1_000).expect("random bytes");
    let seeds = [
        "{\"access_token\":\"t\",\"token_type\":\"bearer\"}\0{\"id\":7,\"login\":\"Ann\",\"name\":null}",
        "{\"access_token\":\"t\",\"error\":null}\0{\"id\":18446744073709551615,\"sub\":\"1\"}",
        "{\"error\":\"bad_verification_code\"}\0{}",
        "{\"access_token\":\"t\",\"error\":\"x\"}\0{\"id\":7}",
        "{\"access_token\":\"t\\n\"}\0{\"id\":\"7\"}",
    ];
    let read = |input: &[u8]| {
        let (token, user) = two(input);
        *answers.lock().expect("nobody panics here") =
            vec![("/access_token", token.to_vec()), ("/user", user.to_vec())];
        let Some(claims) = redeemed(&sign_in, &attempt, &runtime) else { return false };
        let token: TokenSaid = first_value(token);
        assert!(token.access_token.is_string() && token.error.is_null(), "{token:?}");
        let user: Value = first_value(user);
        assert_eq!(claims["sub"].as_str(), user["id"].as_u64().map(|id| id.to_string()).as_deref(), "{user}");
        assert!(user.get("login").is_none_or(|login| claims["preferred_username"] == *login), "{user}");
        true
    };
    assert_eq!(seeds.map(|seed| read(seed.as_bytes())), [true, true, false, false, false]);
    fuzz(kept!("github"), seeds.map(|seed| seed.as_bytes().to_vec()).to_vec(), read);
}

/// The input: what the token endpoint says, a zero byte, what the user info says.
#[test]
fn whatever_an_openid_provider_answers_is_refused_or_was_signed_by_its_key_for_this_attempt() {
    let key = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    let answers = Answers::default();
    let issuer = format!("http://{}", answering(&answers));
    let discovery = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"],
    });
    let public = BASE64.encode(key.verifying_key().as_bytes());
    let keys = json!({"keys": [{"kty": "OKP", "use": "sig", "kid": "k", "crv": "Ed25519", "x": public}]});
    let runtime = runtime();
    let sign_in = sign_in(&[provider("home", Protocol::OpenId { issuer: issuer.clone() })], &[[1; 32]]);
    let home = sign_in.provider("home").expect("it is there");
    let attempt = sign_in.attempts.begin(home, None, 1_000).expect("random bytes");

    let now_s = std::time::UNIX_EPOCH.elapsed().expect("it is later than that").as_secs();
    let claims = json!({
        "iss": issuer, "aud": "client", "sub": "7", "iat": now_s, "exp": now_s + 100_000, "nonce": attempt.nonce,
        "name": "Ann", "roles": ["x"],
    });
    let signed = |alg: &str, claims: &Value| {
        let header = json!({"alg": alg, "kid": "k"}).to_string();
        let text = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims.to_string()));
        format!("{text}.{}", BASE64.encode(key.sign(text.as_bytes()).to_bytes()))
    };
    let without = |claim: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().expect("it is one").remove(claim);
        claims
    };
    let with = |claim: &str, value: Value| {
        let mut claims = claims.clone();
        claims[claim] = value;
        claims
    };
    let seed = |token: String, user: &str| {
        let body = json!({"access_token": "t", "token_type": "Bearer", "id_token": token}).to_string();
        [body.as_bytes(), b"\0", user.as_bytes()].concat()
    };
    let good = vec![
        seed(signed("EdDSA", &claims), "{}"),
        seed(signed("EdDSA", &without("name")), r#"{"sub":"7","name":"Ann","iss":"other"}"#),
        seed(signed("EdDSA", &with("aud", json!(["client"]))), r#"{"sub":"7","roles":"admin"}"#),
    ];
    let unsigned = signed("none", &claims);
    let bad = vec![
        seed(signed("EdDSA", &with("aud", json!("another"))), "{}"),
        seed(signed("EdDSA", &with("iss", json!("https://issuer.example"))), "{}"),
        seed(signed("EdDSA", &with("nonce", json!("another"))), "{}"),
        seed(signed("EdDSA", &without("nonce")), "{}"),
        seed(signed("EdDSA", &with("exp", json!(now_s - 1_000))), "{}"),
        seed(signed("EdDSA", &without("name")), r#"{"sub":"8","name":"Ann"}"#),
        seed(signed("EdDSA", &without("name")), r#"{"name":"Ann"}"#),
        seed(signed("HS256", &claims), "{}"),
        seed(unsigned[..=unsigned.rfind('.').expect("it has parts")].to_owned(), "{}"),
        b"{\"access_token\":\"t\",\"token_type\":\"Bearer\"}\0".to_vec(),
        b"{\"error\":\"invalid_grant\"}\0".to_vec(),
    ];
    let read = |input: &[u8]| {
        let (token, user) = two(input);
        *answers.lock().expect("nobody panics here") = vec![
            ("/openid-configuration", discovery.to_string().into_bytes()),
            ("/jwks", keys.to_string().into_bytes()),
            ("/token", token.to_vec()),
            ("/userinfo", user.to_vec()),
        ];
        let Some(told) = redeemed(&sign_in, &attempt, &runtime) else { return false };
        let token: TokenSaid = first_value(token);
        let token = token.id_token.as_str().expect("there is one");
        let (text, signature) = token.rsplit_once('.').expect("it has three parts");
        let signature = LENIENT.decode(signature).expect("a signature");
        let signature = ed25519_dalek::Signature::from_slice(&signature).expect("of 64 bytes");
        let verified = key.verifying_key().verify_strict(text.as_bytes(), &signature);
        assert!(verified.is_ok(), "{token} is accepted, and its provider has not signed it");
        let payload = LENIENT.decode(text.split('.').nth(1).expect("claims")).expect("base64");
        let payload: Value = serde_json::from_slice(&payload).expect("JSON");
        assert_eq!((&payload["iss"], &payload["nonce"]), (&json!(issuer), &json!(attempt.nonce)));
        assert!(payload["exp"].as_u64().is_some_and(|exp| exp + 120 > now_s), "{payload}");
        assert!(payload["aud"] == "client" || payload["aud"] == json!(["client"]), "{payload}");
        for (claim, value) in payload.as_object().expect("an object") {
            assert_eq!(told.get(claim), Some(value), "what is signed stays as it is");
        }
        if told.keys().any(|claim| payload.get(claim).is_none()) {
            let user: Value = first_value(user);
            assert_eq!(user["sub"], payload["sub"], "user info of somebody else");
        }
        true
    };
    assert!(good.iter().all(|seed| read(seed)), "what the provider says is accepted");
    assert!(!bad.iter().any(|seed| read(seed)));
    fuzz(kept!("openid"), [good, bad].concat(), read);
}

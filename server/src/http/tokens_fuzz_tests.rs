//! Fuzz targets for what a client is known by: access tokens and refresh tokens. Whether a token was signed by one of our
//! keys, with that key's own algorithm, is found out here without the library that verifies them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ed25519_dalek::Signer as _;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};
use tributary_engine::model::{Digest, Handle, UserId};
use tributary_engine::testkit::fuzz;

use super::refresh_token::RefreshToken;
use super::settings::Settings;
use super::tokens::Tokens;
use crate::config::{Config, Sources, TokenKey};

macro_rules! kept {
    ($name:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/", $name)
    };
}

fn settings() -> Settings {
    let working_folder = std::env::temp_dir();
    let sources = Sources { file: None, env: Vec::new(), listen: None, demo: None, working_folder };
    Settings::new(&Config::resolve(&sources).expect("the defaults are a configuration"), |_| None)
}

fn ed25519(seed: u8) -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[seed; 32])
}

fn hs256(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(bytes);
    mac.finalize().into_bytes().to_vec()
}

fn hs512(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("a key of any length");
    mac.update(bytes);
    mac.finalize().into_bytes().to_vec()
}

const SECRET: [u8; 32] = [1; 32];

/// A signature of some kind: the first two are by our keys as they sign, the others by nobody who may.
fn signature(kind: u8, signed: &[u8], header: &[u8]) -> Vec<u8> {
    let public = ed25519(2).verifying_key();
    match kind % 12 {
        0 => hs256(&SECRET, signed),
        1 => ed25519(2).sign(signed).to_bytes().to_vec(),
        2 => hs256(public.as_bytes(), signed),
        3 => hs512(&SECRET, signed),
        4 => hs512(public.as_bytes(), signed),
        5 => hs256(&[9; 32], signed),
        6 => ed25519(9).sign(signed).to_bytes().to_vec(),
        7 => hs256(&SECRET, signed)[..16].to_vec(),
        8 => hs256(b"", signed),
        // Of something else.
        9 => hs256(&SECRET, header),
        10 => ed25519(2).sign(header).to_bytes().to_vec(),
        _ => Vec::new(),
    }
}

/// The claims of a token that one of our keys has signed with its own algorithm, which the header names.
fn signed_by_ours(token: &str) -> Option<Value> {
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>().try_into().ok()?;
    let signed = format!("{header}.{claims}");
    let signature = BASE64.decode(signature).ok()?;
    let header: Value = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
    let good = match header["alg"].as_str()? {
        "HS256" => signature == hs256(&SECRET, signed.as_bytes()),
        "EdDSA" => ed25519_dalek::Signature::from_slice(&signature)
            .is_ok_and(|signature| ed25519(2).verifying_key().verify_strict(signed.as_bytes(), &signature).is_ok()),
        _ => false,
    };
    serde_json::from_slice(&BASE64.decode(claims).ok()?).ok().filter(|_| good)
}

/// The input: how it is signed, then header and claims with a line end between them; or, signed as 255, a whole token.
fn token(input: &[u8]) -> Option<String> {
    let (&kind, rest) = input.split_first()?;
    if kind == u8::MAX {
        return String::from_utf8(rest.to_vec()).ok();
    }
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (header, claims) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
    let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
    let signature = signature(kind, signed.as_bytes(), header);
    Some(format!("{signed}.{}", BASE64.encode(signature)))
}

#[test]
fn a_token_is_accepted_only_if_one_of_our_keys_signed_it_with_its_own_algorithm() {
    let tokens = Tokens::new(&[TokenKey::EdDsa(ed25519(2)), TokenKey::Hs256(SECRET)], &settings());
    let older = Tokens::new(&[TokenKey::Hs256(SECRET)], &settings());
    let now_s = std::time::UNIX_EPOCH.elapsed().expect("it is later than that").as_secs();
    let key_id = |named: &[u8]| Sha256::digest(named)[..4].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let ids = [key_id(ed25519(2).verifying_key().as_bytes()), key_id(&SECRET)];
    let header = |alg: &str, id: &str| json!({"typ": "JWT", "alg": alg, "kid": id}).to_string();
    let claims = |exp: u64| {
        json!({"sub": "7", "handle": "ann", "operator": false, "iat": 1, "exp": exp, "iss": "tributary"}).to_string()
    };
    let good = claims(now_s + 1_000_000);
    let seed =
        |kind: u8, header: &str, claims: &str| [&[kind][..], header.as_bytes(), b"\n", claims.as_bytes()].concat();
    let whole = |token: String| [&[u8::MAX][..], token.as_bytes()].concat();
    let ann: Handle = "ann".parse().expect("a handle");
    let mut seeds = vec![
        seed(1, &header("EdDSA", &ids[0]), &good),
        seed(0, &header("HS256", &ids[1]), &good),
        whole(tokens.issue(UserId(7), &ann, true)),
        whole(older.issue(UserId(8), &ann, false)),
    ];
    let accepted = |input: &[u8]| {
        let Some(token) = token(input) else { return false };
        let Ok(caller) = tokens.verify(&token) else { return false };
        let Some(claims) = signed_by_ours(&token) else { panic!("{token} is accepted, and nobody of us signed it") };
        assert_eq!(claims["sub"].as_str().and_then(|sub| sub.parse().ok()), Some(caller.id), "{claims}");
        assert_eq!(
            (claims["operator"].as_bool(), claims["exp"].as_u64()),
            (Some(caller.operator), Some(caller.expires_s))
        );
        assert!(caller.expires_s.saturating_add(60) > now_s && claims["iss"] == "tributary", "{claims}");
        assert!(claims["handle"].as_str().is_some_and(|handle| handle.parse::<Handle>().is_ok()), "{claims}");
        // And so it is when it is remembered.
        assert_eq!(tokens.verify(&token), Ok(caller));
        true
    };
    assert!(seeds.iter().all(|seed| accepted(seed)), "what we sign is accepted");
    // Every kind of signature under either key's name, as either algorithm and as none.
    for (kind, id) in (2..12).flat_map(|kind| [(kind, &ids[0]), (kind, &ids[1])]) {
        seeds.extend(["HS256", "EdDSA", "HS512", "none"].map(|alg| seed(kind, &header(alg, id), &good)));
    }
    seeds.push(seed(0, &header("HS256", &ids[0]), &good));
    seeds.push(seed(1, &header("EdDSA", &ids[1]), &good));
    seeds.push(seed(0, &header("HS256", &ids[1]), &claims(now_s - 9)));
    seeds.push(seed(0, &header("HS256", &ids[1]), &good.replace("tributary", "elsewhere")));
    seeds.push(seed(0, &header("HS256", &ids[1]), &good.replace("\"ann\"", "\"Ann!\"")));
    fuzz(kept!("access_token"), seeds, accepted);
}

#[test]
fn a_refresh_token_is_exactly_its_bytes_or_none() {
    let bytes = |fill: u8| -> [u8; 56] { std::array::from_fn(|n| (n as u8).wrapping_mul(fill)) };
    let texts = [0, 1, 3, 255].map(|fill| BASE64.encode(bytes(fill)).into_bytes());
    let longer = BASE64.encode([7; 57]).into_bytes();
    fuzz(kept!("refresh_token"), texts.into_iter().chain([longer, b"=".to_vec()]).collect(), |input| {
        let Ok(text) = std::str::from_utf8(input) else { return false };
        let whole: Option<[u8; 56]> = BASE64.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        let (Some(token), Some(bytes)) = (RefreshToken::parse(text), whole) else {
            assert!(whole.is_none() && RefreshToken::parse(text).is_none(), "{text:?}");
            return false;
        };
        assert_eq!(token.text(), text);
        let (user, family, secret) = (&bytes[..8], &bytes[8..24], &bytes[24..]);
        assert_eq!(token.session().user.0.to_be_bytes(), user);
        assert_eq!(token.session().family, Digest(Sha256::digest(family).into()));
        assert_eq!(token.digest(), Digest(Sha256::digest(secret).into()));
        true
    });
}

//! Fuzz targets for what the configuration names: the file of keys, networks, origins. Configuration files and the
//! environment as a whole are in `server/tests/fuzz`.

use std::fs;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use openidconnect::url::Url;
use tributary_engine::testkit::fuzz;

use super::key_file::{SigningKey, read_or_make};
use super::{Network, Origins};

macro_rules! kept {
    ($name:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/", $name)
    };
}

fn seeds(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// As a file has it.
fn written(key: &SigningKey) -> String {
    match key {
        SigningKey::Random(bytes) => URL_SAFE_NO_PAD.encode(bytes) + "\n",
        SigningKey::Ed25519(key) => key.to_pkcs8_pem(LineEnding::LF).expect("a key has a form").to_string(),
    }
}

/// A file of lines alone, read naively: each is 32 bytes.
fn lines(text: &str) -> Option<Vec<SigningKey>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let key = |line: &str| URL_SAFE_NO_PAD.decode(line).ok()?.try_into().ok().map(SigningKey::Random);
    lines.map(key).collect()
}

#[test]
fn a_file_of_keys_is_refused_in_a_line_without_secrets_or_has_exactly_these_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("signing.key");
    let random = |byte| written(&SigningKey::Random([byte; 32]));
    let pem = |byte| written(&SigningKey::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[byte; 32])));
    let texts = [
        random(1),
        pem(2),
        format!("{}\r\n  {}\n{}{}", random(1), random(2), pem(3), pem(4)),
        (1..=8).map(random).collect(),
        (1..=9).map(random).collect(),
        format!("{0}{1}{0}", random(1), pem(2)),
    ];
    let read = |input: &[u8]| {
        fs::write(&path, input).expect("written");
        let read = read_or_make(&path);
        assert_eq!(fs::read(&path).expect("it is there"), input, "a file that is there stays as it is");
        let text = String::from_utf8_lossy(input);
        match read {
            Ok(keys) => {
                assert!((1..=8).contains(&keys.len()), "{} keys", keys.len());
                assert!((1..keys.len()).all(|n| !keys[..n].contains(&keys[n])), "the same key twice");
                if !text.contains("-----") {
                    assert!(lines(&text).is_some_and(|naive| naive == keys), "other keys than stand there");
                }
                fs::write(&path, keys.iter().map(written).collect::<String>()).expect("written");
                assert!(read_or_make(&path).is_ok_and(|again| again == keys), "what we write we read");
                true
            }
            Err(error) => {
                let error = format!("{error:#}");
                assert!(error.lines().count() == 1 && error.len() < 200, "{error}");
                let words = text.split_whitespace().filter(|word| word.len() > 8 && !word.contains("PRIVATE"));
                assert!(!words.into_iter().any(|word| error.contains(word)), "it has something of the file: {error}");
                let good = lines(&text).filter(|keys| (1..=8).contains(&keys.len()));
                let twice = |keys: &[SigningKey]| (1..keys.len()).any(|n| keys[..n].contains(&keys[n]));
                assert!(good.is_none_or(|keys| twice(&keys)), "keys are refused: {error}");
                false
            }
        }
    };
    assert_eq!(texts.each_ref().map(|text| read(text.as_bytes())), [true, true, true, true, false, false]);
    fuzz(kept!("key_file"), texts.map(String::into_bytes).to_vec(), read);
}

#[test]
fn a_network_contains_what_shares_its_first_bits_and_nothing_else() {
    let networks =
        ["10.0.0.0/8", "10.1.2.3", "fd00::/8", "::1", "0.0.0.0/0", "::ffff:10.0.0.1/104", "::/0", "10.0.0.0/33"];
    fuzz(kept!("network"), seeds(&networks), |input| {
        let Ok(text) = std::str::from_utf8(input) else { return false };
        let Ok(network) = text.parse::<Network>() else { return false };
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().expect("it is a network's");
        assert!(network.contains(address), "{text} contains itself");
        let (width, low) = match address {
            IpAddr::V4(v4) => (32, u128::from(v4.to_bits())),
            IpAddr::V6(v6) => (128, v6.to_bits()),
        };
        let bits: u32 = bits.map_or(width, |bits| bits.parse().expect("it is a network's"));
        for bit in 0..width {
            // In IPv4's clothes a neighbour may be of another family altogether.
            let other = low ^ (1 << (width - 1 - bit));
            let other: IpAddr = match address {
                IpAddr::V4(_) => std::net::Ipv4Addr::from_bits(other as u32).into(),
                IpAddr::V6(_) => std::net::Ipv6Addr::from_bits(other).into(),
            };
            let same_family = other.to_canonical().is_ipv4() == address.to_canonical().is_ipv4();
            assert_eq!(network.contains(other), same_family && bit >= bits, "{text} and {other}");
        }
        true
    });
}

#[test]
fn an_origin_is_what_a_browser_would_send() {
    let origins = [
        "https://app.example",
        "http://localhost:3000",
        "http://[::1]:80",
        "https://127.0.0.1",
        "*",
        "ftp://a.example",
    ];
    fuzz(kept!("origin"), seeds(&origins), |input| {
        let Ok(text) = std::str::from_utf8(input) else { return false };
        let Some(Origins::Only(list)) = Origins::read(&[text]) else { return false };
        assert_eq!(list[..], [Box::<str>::from(text)]);
        let url = Url::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(url.origin().ascii_serialization(), text);
        assert!(["http", "https"].contains(&url.scheme()) && !text.contains(['*', ' ', '@', '?', '#']), "{text:?}");
        true
    });
}

//! The file of signing keys. It is made at first start where it is missing. It holds one key or several: the first
//! signs, each of them verifies, so that keys can be rotated while nodes run. A key is either
//!
//! - a line with 32 random bytes as base64url without padding: tokens are signed by HS256; or
//! - a PEM block with a private key of Ed25519 in PKCS#8, as `openssl genpkey -algorithm ed25519` writes it: EdDSA.
//!
//! What the file holds stands in no error.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::DecodePrivateKey;

/// Keys in a file at the most: a cursor that none of them sealed is tried with each.
const KEYS_MAX: usize = 8;
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// A signing key.
#[derive(Clone, PartialEq, Eq)]
pub enum SigningKey {
    /// Random bytes.
    Random([u8; 32]),
    /// A private key of Ed25519.
    Ed25519(ed25519_dalek::SigningKey),
}

/// The keys of a file, in its order; there is one at least. Where the file is missing it is made with one, readable by
/// its owner only.
///
/// # Errors
/// When the file cannot be read or made, or holds something else.
pub fn read_or_make(path: &Path) -> Result<Vec<SigningKey>> {
    match fs::read_to_string(path) {
        Ok(text) => parse(&text),
        Err(error) if error.kind() == ErrorKind::NotFound => make(path),
        Err(error) => Err(error).context("cannot be read"),
    }
}

fn parse(text: &str) -> Result<Vec<SigningKey>> {
    let mut keys = Vec::new();
    let mut lines = text.lines().map(str::trim).zip(1..).filter(|(line, _)| !line.is_empty());
    while let Some((line, n)) = lines.next() {
        let key = if line == BEGIN {
            let block: Vec<&str> = lines.by_ref().map(|(line, _)| line).take_while(|line| *line != END).collect();
            ed25519(&format!("{BEGIN}\n{}\n{END}\n", block.join("\n")))
        } else {
            random(line)
        };
        let Some(key) = key else {
            bail!(
                "line {n}: not a key; a key is 32 random bytes as base64url without padding, or a PEM block as \
                 `openssl genpkey -algorithm ed25519` writes it"
            )
        };
        ensure!(!keys.contains(&key), "line {n}: the same key again");
        keys.push(key);
    }
    ensure!(!keys.is_empty(), "holds no key; remove it, and one is made");
    ensure!(keys.len() <= KEYS_MAX, "holds more than {KEYS_MAX} keys; remove old ones");
    Ok(keys)
}

fn random(line: &str) -> Option<SigningKey> {
    let bytes = URL_SAFE_NO_PAD.decode(line).ok()?;
    bytes.try_into().ok().map(SigningKey::Random)
}

fn ed25519(block: &str) -> Option<SigningKey> {
    ed25519_dalek::SigningKey::from_pkcs8_pem(block).ok().map(SigningKey::Ed25519)
}

/// Written beside its place and linked into it: whoever finds the file finds it whole, and of several that start
/// together one's key becomes that of all.
fn make(path: &Path) -> Result<Vec<SigningKey>> {
    let mut key = [0; 32];
    let no_random = |error| anyhow::anyhow!("the system gave no random bytes: {error}");
    getrandom::fill(&mut key).map_err(no_random)?;
    let folder = path.parent().context("names no file")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // Not named by the process: in containers that share the folder all processes have the same id.
    let mut name = [0; 8];
    getrandom::fill(&mut name).map_err(no_random)?;
    let draft = path.with_extension(format!("{:016x}.draft", u64::from_be_bytes(name)));
    write_private(&draft, &URL_SAFE_NO_PAD.encode(key)).context("cannot be made")?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft).context("its draft cannot be removed")?;
    match linked {
        Ok(()) => {
            File::open(folder).and_then(|folder| folder.sync_all()).context("cannot be made durable")?;
            Ok(vec![SigningKey::Random(key)])
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            parse(&fs::read_to_string(path).context("cannot be read")?)
        }
        Err(error) => Err(error).context("cannot be made"),
    }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `openssl genpkey -algorithm ed25519` writes it: the test key of RFC 8410.
    const PEM: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";

    fn line(byte: u8) -> String {
        URL_SAFE_NO_PAD.encode([byte; 32])
    }

    #[test]
    fn a_missing_key_is_made_once_and_read_ever_after() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/signing.key");
        let made = read_or_make(&path).expect("made");
        assert!(read_or_make(&path).expect("read") == made && made.len() == 1);
        assert_eq!(fs::read_dir(path.parent().expect("its folder")).expect("listed").count(), 1, "no draft stays");
        assert!(read_or_make(&folder.path().join("other.key")).expect("made") != made);
    }

    #[test]
    fn of_many_that_start_together_all_have_the_key_of_the_file() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("signing.key");
            let all = std::sync::Barrier::new(16);
            let made: Vec<_> = std::thread::scope(|scope| {
                let start = || {
                    all.wait();
                    read_or_make(&path)
                };
                let threads: Vec<_> = (0..16).map(|_| scope.spawn(start)).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
            });
            let kept = read_or_make(&path).expect("read");
            for keys in made {
                assert!(keys.unwrap_or_else(|error| panic!("{error:#}")) == kept);
            }
            assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1, "no draft stays");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_made_key_is_readable_by_its_owner_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("signing.key");
        read_or_make(&path).expect("made");
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).expect("there").permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn keys_of_both_kinds_stand_in_the_order_of_the_file() {
        let (one, two) = (SigningKey::Random([1; 32]), SigningKey::Random([2; 32]));
        let Some(pem) = ed25519(PEM) else { panic!("the key of RFC 8410 is a key") };
        for (text, keys) in [
            (line(1), vec![&one]),
            (format!("\n  {}  \r\n\n", line(1)), vec![&one]),
            (format!("{}\n{}\n", line(2), line(1)), vec![&two, &one]),
            (PEM.to_owned(), vec![&pem]),
            (PEM.replace('\n', "\r\n"), vec![&pem]),
            (format!("{PEM}{}\n", line(1)), vec![&pem, &one]),
            (format!("{}\n{PEM}{}", line(1), line(2)), vec![&one, &pem, &two]),
        ] {
            let parsed = parse(&text).unwrap_or_else(|error| panic!("{error}"));
            assert!(parsed.iter().eq(keys), "{text}");
        }
    }

    #[test]
    fn a_file_that_holds_something_else_is_refused_and_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("signing.key");
        let of_rsa = PEM.replace("PRIVATE", "RSA PRIVATE");
        let cut = PEM.split_once("-----END").expect("it ends").0;
        let nine: String = (1..=9).map(|n| line(n) + "\n").collect();
        for (text, words) in [
            ("hunter2\n".to_owned(), "line 1: not a key"),
            (format!("{}\nhunter2", line(1)), "line 2: not a key"),
            (format!("{}=", line(1)), "32 random bytes"),
            (line(1)[1..].to_owned(), "line 1"),
            (of_rsa, "line 1"),
            (cut.replace("MC4C", "hunter2"), "line 1"),
            (PEM.replace("MC4C", "hunter2"), "openssl"),
            (format!("{}\n{PEM}\n{PEM}", line(1)), "line 6: the same key again"),
            (nine, "more than 8"),
            ("\n\n".to_owned(), "holds no key"),
        ] {
            fs::write(&path, &text).expect("written");
            let Err(error) = read_or_make(&path) else { panic!("{text} is refused") };
            let error = format!("{error:#}");
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains("hunter2") && error.lines().count() == 1, "the secret stays secret: {error}");
            assert_eq!(fs::read_to_string(&path).expect("kept"), text);
        }
    }
}

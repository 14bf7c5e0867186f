//! The key behind tokens and cursors: 32 random bytes in a file, made at first start; the same on all nodes.
//! Each use has a key of its own, derived from it, so that what signs a cursor can never sign a token.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::Config;

/// A key for each use.
#[derive(Clone)]
pub struct Keys {
    /// Signs access tokens.
    pub tokens: [u8; 32],
    /// Signs cursors and `fresh` tokens.
    pub cursors: [u8; 32],
    /// Signs what is remembered while somebody is away at a sign-in provider.
    pub sign_in: [u8; 32],
    /// Tells whether two nodes have the same key, and nothing of the key.
    pub fingerprint: String,
}

impl Keys {
    /// The keys of this node. Where the signing key's file is missing, it is made, readable by its owner only.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds something else.
    pub fn load(config: &Config) -> Result<Self> {
        let path = &config.auth.signing_key_file;
        let key = signing_key(path).with_context(|| format!("auth.signing_key_file: {}", path.display()))?;
        let fingerprint = derive(&key, b"tributary fingerprint");
        Ok(Self {
            tokens: derive(&key, b"tributary access tokens"),
            cursors: derive(&key, b"tributary cursors"),
            sign_in: derive(&key, b"tributary sign-in"),
            fingerprint: URL_SAFE_NO_PAD.encode(&fingerprint[..16]),
        })
    }
}

fn signing_key(path: &Path) -> Result<[u8; 32]> {
    match fs::read_to_string(path) {
        Ok(text) => decode(&text),
        Err(error) if error.kind() == ErrorKind::NotFound => make(path),
        Err(error) => Err(error).context("cannot be read"),
    }
}

fn decode(text: &str) -> Result<[u8; 32]> {
    match URL_SAFE_NO_PAD.decode(text.trim()).map(<[u8; 32]>::try_from) {
        Ok(Ok(key)) => Ok(key),
        _ => bail!("must hold 32 random bytes as base64url without padding; remove it, and a new one is made"),
    }
}

/// Written beside its place and linked into it: whoever finds the file finds it whole, and of two processes that
/// start together the second takes the key of the first.
fn make(path: &Path) -> Result<[u8; 32]> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| anyhow::anyhow!("the system gave no random bytes: {error}"))?;
    let folder = path.parent().context("names no file")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    write_private(&draft, &URL_SAFE_NO_PAD.encode(key)).context("cannot be made")?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft).context("its draft cannot be removed")?;
    match linked {
        Ok(()) => {
            File::open(folder).and_then(|folder| folder.sync_all()).context("cannot be made durable")?;
            Ok(key)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            decode(&fs::read_to_string(path).context("cannot be read")?)
        }
        Err(error) => Err(error).context("cannot be made"),
    }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

fn derive(key: &[u8; 32], label: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(label);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_key_is_made_once_and_read_ever_after() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/signing.key");
        let made = signing_key(&path).expect("made");
        assert_eq!(signing_key(&path).expect("read"), made);
        assert_eq!(fs::read_dir(path.parent().expect("its folder")).expect("listed").count(), 1, "no draft stays");
        assert_ne!(signing_key(&folder.path().join("other.key")).expect("made"), made);
    }

    #[cfg(unix)]
    #[test]
    fn a_made_key_is_readable_by_its_owner_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("signing.key");
        signing_key(&path).expect("made");
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).expect("there").permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_holds_something_else_is_refused_and_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("signing.key");
        fs::write(&path, "hunter2\n").expect("written");
        let error = signing_key(&path).expect_err("refused").to_string();
        assert!(error.contains("32 random bytes"), "{error}");
        assert!(!error.contains("hunter2"), "the secret stays secret");
        assert_eq!(fs::read_to_string(&path).expect("kept"), "hunter2\n");
    }

    #[test]
    fn each_use_has_a_key_of_its_own() {
        assert_ne!(derive(&[7; 32], b"a"), derive(&[7; 32], b"b"));
        assert_ne!(derive(&[7; 32], b"a"), derive(&[8; 32], b"a"));
    }
}

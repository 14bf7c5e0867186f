//! What is wrong with a configuration: each error with its key, where that was said, and why it will not do.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// Where a setting was said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// In the file.
    File(PathBuf),
    /// In this environment variable.
    Env(String),
    /// By this flag.
    Flag(&'static str),
    /// Nowhere.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Env(name) => name.fmt(f),
            Self::Flag(name) => name.fmt(f),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{key} ({origin}): {reason}")]
pub struct ConfigError {
    /// The key as in the file, such as `http.listen`; `file` where the file itself is the trouble.
    pub key: String,
    /// Where it was said.
    pub origin: Origin,
    /// Why it will not do, and what would.
    pub reason: String,
}

/// Everything that is wrong, at least one error; one a line when displayed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

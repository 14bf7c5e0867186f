//! Signing in through others: OpenID Connect providers, and GitHub.
//!
//! A sign-in is two requests. `login` sends the browser to the provider, with a state, a nonce and a PKCE challenge; what
//! belongs to them is in a cookie ([`attempt`]), so nodes remember nothing. `callback` takes the provider's code back,
//! redeems it ([`openid`], [`github`]) through one bounded client ([`outbound`]), and makes of the verified claims whom
//! the engine knows ([`profile`]). A provider that is down is a 503 of these two requests and of nothing else.

mod attempt;
mod github;
mod openid;
mod outbound;
mod profile;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use openidconnect::ClientSecret;
use openidconnect::url::Url;
use serde_json::{Map, Value};

use self::attempt::Attempts;
use self::github::Github;
use self::openid::OpenId;
use self::outbound::Outbound;
use super::problem::Fault;
use crate::config::{self, Protocol};

pub use self::attempt::Attempt;
pub use self::profile::Profile;

/// What the questions of one sign-in may take in all; an answer needs the rest of a request's time.
const REDEEMING: Duration = Duration::from_secs(8);

/// What a provider says of a user, by the names of OpenID Connect.
pub type Claims = Map<String, Value>;

/// The sign-in providers of a node.
pub struct SignIn {
    providers: BTreeMap<String, Provider>,
    /// What is remembered while a user is away at a provider.
    pub attempts: Attempts,
}

impl Default for SignIn {
    /// No provider.
    fn default() -> Self {
        Self { providers: BTreeMap::new(), attempts: Attempts::new(&[[0; 32]]) }
    }
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.providers.keys()).finish()
    }
}

impl SignIn {
    /// These providers, with the secrets of their files; `keys` are those of all nodes. Nobody is asked yet.
    ///
    /// # Errors
    /// When a secret cannot be read; the message names the setting.
    pub fn open(providers: &[config::Provider], keys: &[[u8; 32]]) -> Result<Self> {
        let outbound = Outbound::new();
        let opened = providers.iter().map(|provider| {
            let opened = Provider::open(provider, &outbound);
            opened.with_context(|| format!("auth.provider {}", provider.name)).map(|open| (provider.name.clone(), open))
        });
        Ok(Self { providers: opened.collect::<Result<_>>()?, attempts: Attempts::new(keys) })
    }

    /// Names, in the order of the alphabet.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.providers.keys().map(String::as_str)
    }

    /// The provider of this name.
    pub fn provider(&self, name: &str) -> Result<&Provider, Fault> {
        let unknown = || Fault::unknown("unknown_provider", "no such sign-in provider: see /v1/auth/providers");
        self.providers.get(name).ok_or_else(unknown)
    }
}

/// A sign-in provider.
pub struct Provider {
    /// What the configuration says of it.
    pub settings: config::Provider,
    secret: Option<ClientSecret>,
    outbound: Outbound,
    protocol: Speaks,
}

/// How it is talked to, with what is known of it.
enum Speaks {
    OpenId(OpenId),
    Github(Github),
}

impl Provider {
    fn open(settings: &config::Provider, outbound: &Outbound) -> Result<Self> {
        let secret = settings.client_secret_file.as_ref().map(|file| {
            let text = fs::read_to_string(file);
            let text = text.with_context(|| format!("client_secret_file: {} cannot be read", file.display()))?;
            ensure!(!text.trim().is_empty(), "client_secret_file: {} is empty", file.display());
            Ok(ClientSecret::new(text.trim().to_owned()))
        });
        let protocol = match &settings.protocol {
            Protocol::OpenId { issuer } => Speaks::OpenId(OpenId::new(issuer).context("issuer")?),
            Protocol::Github { base } => Speaks::Github(Github::new(base.as_deref()).context("issuer")?),
        };
        Ok(Self { settings: settings.clone(), secret: secret.transpose()?, outbound: outbound.clone(), protocol })
    }

    /// Where a browser goes for this attempt.
    pub async fn authorize(&self, attempt: &Attempt) -> Result<Url, Fault> {
        match &self.protocol {
            Speaks::OpenId(openid) => openid.authorize(self, attempt).await,
            Speaks::Github(github) => Ok(github.authorize(self, attempt)),
        }
    }

    /// Redeems the code that a browser brought back from this attempt; what the provider says of its user.
    pub async fn claims(&self, attempt: &Attempt, code: String) -> Result<Claims, Fault> {
        let claims = async {
            match &self.protocol {
                Speaks::OpenId(openid) => openid.claims(self, attempt, code).await,
                Speaks::Github(github) => github.claims(self, attempt, code).await,
            }
        };
        let late = |_| Err(self.unavailable(format!("it takes more than {} s", REDEEMING.as_secs())));
        tokio::time::timeout(REDEEMING, claims).await.unwrap_or_else(late)
    }

    /// Whether `issuer`, as a callback names it, is the one that was asked (RFC 9207). GitHub names none.
    pub fn is_issuer(&self, issuer: &str) -> bool {
        matches!(&self.settings.protocol, Protocol::OpenId { issuer: known } if known == issuer)
    }

    /// What becomes of an error that the provider sent a browser back with; its own words stay out of the answer.
    pub fn refused(&self, error: &str) -> Fault {
        match error {
            "temporarily_unavailable" | "server_error" => self.unavailable(error),
            _ => {
                tracing::warn!(provider = self.settings.name, ?error, "a sign-in provider refuses");
                Fault::malformed("sign_in_refused", "the provider refuses to sign anybody in this way")
            }
        }
    }

    /// 503: the provider does not answer, or not as it should. Only operators are told why.
    fn unavailable(&self, why: impl std::fmt::Display) -> Fault {
        Fault::unavailable(format!("sign-in provider {}: {why}", self.settings.name))
    }
}

/// 401: the provider does not take the code.
fn code_refused() -> Fault {
    Fault::unauthorized("code_refused", "the provider does not accept the code: it was used before, or is too old")
}

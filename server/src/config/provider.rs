//! Sign-in providers: the tables `[[auth.provider]]`, checked, with what the presets `google` and `github` bring.

use std::collections::BTreeSet;
use std::path::PathBuf;

use openidconnect::url::{Host, Url};
use toml::Value;

use super::error::Origin;
use super::layers::{Item, Said};

/// Names that are words of our own paths.
const RESERVED: &[&str] = &["dev", "refresh", "logout"];
const NAME_CHARS: usize = 30;
const GOOGLE: &str = "https://accounts.google.com";
const UNSAFE_URL: &str = "must be a URL that begins with https://, or with http:// on a loopback address";

/// Somebody who vouches for users.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Provider {
    /// Its name, in paths and beside each identity: 1 to 30 of `[a-z0-9_-]`.
    pub name: String,
    /// How it is talked to.
    pub protocol: Protocol,
    /// Our name there.
    pub client_id: String,
    /// Holds our secret there; none: a public client, with PKCE alone.
    pub client_secret_file: Option<PathBuf>,
    /// Where it sends browsers back to: our callback as they reach it, or a page that hands on what they bring.
    pub redirect_url: Url,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// A claim and its value: whoever has it is an operator.
    pub operator: Option<(String, String)>,
}

impl Provider {
    /// The path of its callback.
    pub fn callback(&self) -> String {
        format!("/v1/auth/{}/callback", self.name)
    }
}

/// How a provider is talked to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// OpenID Connect.
    OpenId {
        /// Its issuer, exactly as it says it itself.
        issuer: String,
    },
    /// GitHub's OAuth 2, which has no ID token.
    Github {
        /// An installation of one's own, as `https://host`; none: github.com.
        base: Option<String>,
    },
}

/// Whether secrets may go to this URL: over TLS, or without leaving the machine.
pub fn is_safe(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    bare && url.has_host() && (url.scheme() == "https" || (url.scheme() == "http" && loopback))
}

fn tables(said: &Said) -> impl Iterator<Item = (&Item, &Origin)> {
    let lists = said.lists.iter().filter(|(list, ..)| list.name == "auth.provider");
    lists.flat_map(|(_, items, origin)| items.iter().map(move |item| (item, origin)))
}

fn text<'a>(item: &'a Item, key: &str) -> Option<&'a str> {
    item.get(key).and_then(Value::as_str)
}

/// Refuses what is wrong with the providers that were said. What a table lacks was refused before.
pub fn check(said: &mut Said) {
    let mut names = BTreeSet::new();
    let mut wrong = Vec::new();
    for (n, (item, origin)) in tables(said).enumerate() {
        let mut refuse = |key: &str, why: &str| {
            wrong.push((format!("auth.provider[{n}].{key}"), origin.clone(), why.to_owned()));
        };
        let name = text(item, "name").unwrap_or_default();
        if item.contains_key("name") && !is_name(name) {
            refuse("name", "must be 1 to 30 of a-z, 0-9, _ and -, and not dev, refresh or logout");
        } else if item.contains_key("name") && !names.insert(name) {
            refuse("name", "two providers have this name");
        }
        match text(item, "issuer").map(safe) {
            None if !["", "google", "github"].contains(&name) => refuse("issuer", "is missing"),
            Some(None) => refuse("issuer", UNSAFE_URL),
            Some(Some(url)) if url.query().is_some() => refuse("issuer", "must have no query"),
            _ => {}
        }
        match text(item, "redirect_url").map(safe) {
            Some(None) => refuse("redirect_url", UNSAFE_URL),
            Some(Some(url)) if url.query().is_some() => refuse("redirect_url", "must have no query"),
            _ => {}
        }
        if item.contains_key("operator_claim") != item.contains_key("operator_value") {
            refuse("operator_claim", "and operator_value mean something only together");
        }
    }
    for (key, origin, why) in wrong {
        said.refuse(key, origin, why);
    }
}

/// The providers, once they were checked.
pub fn all(said: &Said) -> Vec<Provider> {
    let provider = |(item, _): (&Item, _)| {
        let must = |key| text(item, key).expect("its presence was checked").to_owned();
        let issuer = text(item, "issuer").map(str::to_owned);
        let name = must("name");
        let protocol = match name.as_str() {
            "github" => Protocol::Github { base: issuer.map(|base| base.trim_end_matches('/').to_owned()) },
            "google" => Protocol::OpenId { issuer: issuer.unwrap_or_else(|| GOOGLE.to_owned()) },
            _ => Protocol::OpenId { issuer: issuer.expect("its presence was checked") },
        };
        let scopes = match item.get("scopes").and_then(Value::as_array) {
            Some(scopes) => scopes.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            // GitHub tells what is public without any.
            None if matches!(protocol, Protocol::Github { .. }) => Vec::new(),
            None => vec!["openid".to_owned(), "profile".to_owned()],
        };
        Provider {
            protocol,
            client_id: must("client_id"),
            client_secret_file: text(item, "client_secret_file").map(|file| said.folder.join(file)),
            redirect_url: safe(&must("redirect_url")).expect("checked"),
            scopes,
            operator: text(item, "operator_claim").map(|claim| (claim.to_owned(), must("operator_value"))),
            name,
        }
    };
    tables(said).map(provider).collect()
}

fn is_name(name: &str) -> bool {
    let valid = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    (1..=NAME_CHARS).contains(&name.len()) && name.bytes().all(valid) && !RESERVED.contains(&name)
}

fn safe(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(is_safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_over_tls_or_stay_on_the_machine() {
        for url in [
            "https://a.example",
            "https://a.example:8443/x",
            "http://127.0.0.1:1/x",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert!(safe(url).is_some(), "{url}");
        }
        for url in [
            "",
            "a.example",
            "http://a.example",
            "http://10.0.0.1",
            "http://localhost.a.example",
            "http://127.0.0.1.a.example",
            "https://u:p@a.example",
            "https://127.0.0.1@a.example",
            "https://a.example/#x",
            "ftp://127.0.0.1",
            "javascript:alert(1)",
            "data:text/html,x",
        ] {
            assert!(safe(url).is_none(), "{url}");
        }
    }

    #[test]
    fn a_name_is_one_segment_of_a_path_and_no_word_of_ours() {
        assert!(["google", "a", "my-company_2", &"a".repeat(30)].into_iter().all(is_name));
        for name in ["", "dev", "refresh", "logout", "A", "a/b", "a.b", "ä", "a b", &"a".repeat(31)] {
            assert!(!is_name(name), "{name}");
        }
    }
}

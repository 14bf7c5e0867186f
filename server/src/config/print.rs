//! Shows settings as a configuration file, with secrets hidden.

use std::fmt::Write;

use toml::Value;

use super::keys::KEYS;
use super::resolve::Settings;
use super::{Protocol, Provider, ShardNode};

const HIDDEN: &str = "(hidden)";

/// The settings, by section, in the order of the documentation, and the lists of tables behind them.
pub fn to_toml(settings: &Settings, shards: &[ShardNode], providers: &[Provider]) -> String {
    let mut text = String::new();
    let mut open = "";
    for key in KEYS {
        let Some(value) = settings.0.get(key.name) else { continue };
        let (section, leaf) = key.name.split_once('.').unwrap_or(("", key.name));
        if section != open {
            open = section;
            write!(text, "\n[{section}]\n").expect("a String takes all");
        }
        let shown = match value {
            _ if !key.secret => value.clone(),
            Value::Array(items) => Value::Array(vec![HIDDEN.into(); items.len()]),
            _ => HIDDEN.into(),
        };
        writeln!(text, "{leaf} = {shown}").expect("a String takes all");
    }
    for ShardNode { name, weight, .. } in shards {
        let name = Value::from(name.as_str());
        writeln!(text, "\n[[shard]]\nname = {name}\nurl = \"{HIDDEN}\"\nweight = {weight}")
            .expect("a String takes all");
    }
    for provider in providers {
        text.push_str("\n[[auth.provider]]\n");
        for (key, value) in provider_keys(provider) {
            writeln!(text, "{key} = {value}").expect("a String takes all");
        }
    }
    text
}

/// The keys of a provider in effect. The secret is in a file, and only the file is named.
fn provider_keys(provider: &Provider) -> Vec<(&'static str, Value)> {
    let mut keys = vec![("name", provider.name.as_str().into())];
    let issuer = match &provider.protocol {
        Protocol::OpenId { issuer } => Some(issuer),
        Protocol::Github { base } => base.as_ref(),
    };
    keys.extend(issuer.map(|issuer| ("issuer", issuer.as_str().into())));
    keys.push(("client_id", provider.client_id.as_str().into()));
    let file = provider.client_secret_file.as_ref();
    keys.extend(file.map(|file| ("client_secret_file", file.to_string_lossy().into_owned().into())));
    keys.push(("redirect_url", provider.redirect_url.as_str().into()));
    keys.push(("scopes", provider.scopes.clone().into()));
    if let Some((claim, value)) = &provider.operator {
        keys.push(("operator_claim", claim.as_str().into()));
        keys.push(("operator_value", value.as_str().into()));
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden() {
        let replicas = Value::Array(vec!["postgres://u:hunter2@b/d".into()]);
        let settings =
            Settings([("store.url", "postgres://u:hunter2@a/d".into()), ("store.replicas", replicas)].into());
        let shard = ShardNode { name: "a".into(), url: "redis://:hunter2@h".into(), weight: 2 };
        let text = to_toml(&settings, &[shard], &[]);
        let store = "\n[store]\nurl = \"(hidden)\"\nreplicas = [\"(hidden)\"]\n";
        assert_eq!(text, format!("{store}\n[[shard]]\nname = \"a\"\nurl = \"(hidden)\"\nweight = 2\n"));
    }
}

//! Shows settings as a configuration file, with secrets hidden.

use std::fmt::Write;

use toml::Value;

use super::ShardNode;
use super::keys::KEYS;
use super::resolve::Settings;

const HIDDEN: &str = "(hidden)";

/// The settings, by section, in the order of the documentation, and the lists of tables behind them.
pub fn to_toml(settings: &Settings, shards: &[ShardNode]) -> String {
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
    text
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
        let text = to_toml(&settings, &[shard]);
        let store = "\n[store]\nurl = \"(hidden)\"\nreplicas = [\"(hidden)\"]\n";
        assert_eq!(text, format!("{store}\n[[shard]]\nname = \"a\"\nurl = \"(hidden)\"\nweight = 2\n"));
    }
}

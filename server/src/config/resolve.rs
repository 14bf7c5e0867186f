//! Makes the checked [`Config`] out of what was said: defaults, relations between keys, and a plain word about
//! what this version cannot serve.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Value;
use tributary_engine::model::Mode;
use tributary_engine::{CacheBytes, Roles};

use super::error::Origin;
use super::keys::{KEYS, Key, Kind};
use super::layers::{self, Said, Sources};
use super::provider;
use super::{
    Auth, Config, ConfigErrors, Http, Kafka, KafkaDriver, Limits, Log, LogFormat, Origins, PostgresUrl, ShardNode,
    Store, Telemetry, ToldFlush, ToldHot, ToldTuning,
};

const NOT_SERVED: &str = "is not served by this version";

/// Resolves `sources`, or says everything that is wrong in them.
pub fn resolve(sources: &Sources) -> Result<Config, ConfigErrors> {
    let mut said = layers::gather(sources);
    if let Some(folder) = &sources.demo {
        apply_demo(&mut said, folder);
    }
    let mut settings = Settings::of(&said);
    check_served(&mut said, &settings);
    check_relations(&mut said, &settings, sources.demo.is_some());
    if !said.errors.is_empty() {
        return Err(ConfigErrors(said.errors));
    }
    settings.finish(&said.folder);
    Ok(build(&said, settings, sources.demo.is_some()))
}

/// The value in effect of each key that has one, each of its key's kind.
#[derive(Clone)]
pub struct Settings(pub BTreeMap<&'static str, Value>);

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Names alone: some of the values are secrets.
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Settings {
    /// What was said, and for the rest the defaults that stand for themselves.
    fn of(said: &Said) -> Self {
        let effective = |key: &Key| match said.values.get(key.name) {
            Some((value, _)) => Some((key.name, value.clone())),
            None => key.default.map(|text| {
                (key.name, key.kind.read_text(text).expect("a default is of its key's kind; a test reads them all"))
            }),
        };
        Self(KEYS.iter().filter_map(effective).collect())
    }

    /// Fills in the defaults that follow from other keys, makes paths absolute, and leaves out what has no effect.
    fn finish(&mut self, folder: &Path) {
        let idle: Vec<_> = KEYS.iter().filter(|key| !self.applies(key)).map(|key| key.name).collect();
        self.0.retain(|name, _| !idle.contains(name));
        let open = Value::Boolean(self.listen().ip().is_loopback() && self.text("store.kind") == "embedded");
        self.0.entry("auth.dev_login").or_insert(open);
        for key in KEYS.iter().filter(|key| matches!(key.kind, Kind::Path)) {
            if let Some(value) = self.0.get_mut(key.name) {
                let path = folder.join(value.as_str().expect("a path is a text"));
                *value = Value::String(path.to_string_lossy().into_owned());
            }
        }
        // Beside the store where that is a folder of ours, else beside the configuration.
        let beside = match self.0.get("store.path") {
            Some(_) => self.path("store.path").join("signing.key"),
            None => folder.join("signing.key"),
        };
        let beside = Value::String(beside.to_string_lossy().into_owned());
        self.0.entry("auth.signing_key_file").or_insert(beside);
    }

    fn applies(&self, key: &Key) -> bool {
        key.only_with.is_none_or(|(other, value)| self.text(other) == value)
    }

    fn get(&self, key: &str) -> &Value {
        self.0.get(key).expect("the key has a default, or its presence was checked")
    }

    fn text(&self, key: &str) -> &str {
        self.get(key).as_str().expect("the key's kind is a text")
    }

    fn path(&self, key: &str) -> PathBuf {
        self.text(key).into()
    }

    fn number(&self, key: &str) -> u64 {
        self.get(key).as_integer().and_then(|number| number.try_into().ok()).expect("the key's kind is a number from 0")
    }

    fn count(&self, key: &str) -> usize {
        usize::try_from(self.number(key)).expect("an address space of 64 bits")
    }

    fn seconds(&self, key: &str) -> Duration {
        Duration::from_secs(self.number(key))
    }

    fn texts(&self, key: &str) -> impl Iterator<Item = &str> {
        let items = self.get(key).as_array().expect("the key's kind is a list");
        items.iter().map(|item| item.as_str().expect("lists are of texts"))
    }

    fn listen(&self) -> SocketAddr {
        self.text("http.listen").parse().expect("checked by its kind")
    }
}

/// `--demo` brings its own world: no store of anybody else's, and tokens for whoever sits at this machine.
fn apply_demo(said: &mut Said, folder: &Path) {
    for (list, _, origin) in std::mem::take(&mut said.lists) {
        if list.name == "shard" {
            said.refuse("shard", origin, "cannot be said with --demo, which keeps its windows in this process");
        }
    }
    for key in ["store.kind", "store.path", "log.kind"] {
        if let Some((_, origin)) = said.values.get(key).cloned() {
            said.refuse(key, origin, "cannot be said with --demo, which keeps its world in a temporary folder");
        }
    }
    let by_demo = |value| (value, Origin::Flag("--demo"));
    said.values.insert("store.kind", by_demo(Value::String("embedded".into())));
    said.values.insert("store.path", by_demo(Value::String(folder.to_string_lossy().into_owned())));
    said.values.insert("log.kind", by_demo(Value::String("embedded".into())));
    said.values.insert("auth.dev_login", by_demo(Value::Boolean(true)));
}

fn check_served(said: &mut Said, settings: &Settings) {
    for (key, (value, origin)) in said.values.clone() {
        let key = super::keys::find(key).expect("only known keys are kept");
        let nothing = value.as_array().is_some_and(Vec::is_empty);
        if !key.served && !nothing {
            said.refuse(key.name, origin.clone(), NOT_SERVED);
        }
        if let (Some((other, word)), false) = (key.only_with, settings.applies(key)) {
            said.refuse(key.name, origin, format!("means something only with {other} = \"{word}\""));
        }
    }
    for (list, _, origin) in said.lists.clone().into_iter().filter(|(list, ..)| !list.served) {
        said.refuse(list.name, origin, format!("[[{}]] {NOT_SERVED}", list.name));
    }
}

fn check_relations(said: &mut Said, settings: &Settings, demo: bool) {
    not_above(said, settings, "hot.leave_followers", "hot.enter_followers");
    not_above(said, settings, "auth.access_ttl_s", "auth.refresh_ttl_s");
    check_store(said, settings);
    check_shards(said);
    provider::check(said);
    if demo && !settings.listen().ip().is_loopback() {
        let origin = origin_of(said, "http.listen");
        said.refuse("http.listen", origin, "must be a loopback address with --demo, which lets anybody in");
    }
}

/// PostgreSQL has one address; and log and store go together, for events are numbered by the store and many nodes need
/// a log that all of them reach.
fn check_store(said: &mut Said, settings: &Settings) {
    let (store, log) = (settings.text("store.kind").to_owned(), settings.text("log.kind").to_owned());
    if store == "postgres" && said.has("store.url") == said.has("store.url_file") {
        let (key, reason) = match said.has("store.url") {
            true => ("store.url_file", "store.url says the address already: leave one of them out"),
            false => ("store.url", "is missing: say it, or name a file that holds it in store.url_file"),
        };
        let origin = origin_of(said, if said.has(key) { key } else { "store.kind" });
        said.refuse(key, origin, reason);
    }
    let wanted = if store == "postgres" { "kafka" } else { "embedded" };
    if log != wanted {
        let key = if said.has("log.kind") { "log.kind" } else { "store.kind" };
        let origin = origin_of(said, key);
        said.refuse("log.kind", origin, format!("must be \"{wanted}\" with store.kind = \"{store}\""));
    }
}

fn check_shards(said: &mut Said) {
    let mut names = BTreeSet::new();
    for (_, items, origin) in said.lists.clone().into_iter().filter(|(list, ..)| list.name == "shard") {
        for (n, item) in items.iter().enumerate() {
            let text = |key| item.get(key).and_then(Value::as_str).unwrap_or_default();
            if item.contains_key("name") && !names.insert(text("name").to_owned()) {
                said.refuse(format!("shard[{n}].name"), origin.clone(), "two shards have this name");
            }
            if item.contains_key("url") && !text("url").starts_with("redis://") {
                said.refuse(format!("shard[{n}].url"), origin.clone(), "must begin with redis://");
            }
        }
    }
}

fn not_above(said: &mut Said, settings: &Settings, lower: &str, upper: &str) {
    let (low, high) = (settings.number(lower), settings.number(upper));
    if low > high {
        // Blame what was said, not a default.
        let key = if said.has(lower) { lower } else { upper };
        let origin = origin_of(said, key);
        said.refuse(key, origin, format!("{lower} = {low} must not be above {upper} = {high}"));
    }
}

fn origin_of(said: &Said, key: &str) -> Origin {
    said.values.get(key).map_or(Origin::Default, |(_, origin)| origin.clone())
}

fn store(s: &Settings) -> Store {
    if s.text("store.kind") == "embedded" {
        return Store::Embedded { path: s.path("store.path") };
    }
    let url = match s.0.get("store.url").and_then(Value::as_str) {
        Some(url) => PostgresUrl::Said(url.to_owned()),
        None => PostgresUrl::InFile(s.path("store.url_file")),
    };
    Store::Postgres { url, pool_size: s.count("store.pool_size") }
}

fn log(s: &Settings) -> Log {
    if s.text("log.kind") == "embedded" {
        return Log::Embedded;
    }
    Log::Kafka(Kafka {
        brokers: s.texts("log.brokers").map(str::to_owned).collect(),
        topic: s.text("log.topic").to_owned(),
        partitions: u32::try_from(s.number("log.partitions")).expect("checked by its kind"),
        driver: if s.text("log.driver") == "kafka" { KafkaDriver::RustKafka } else { KafkaDriver::Rdkafka },
    })
}

fn shards(said: &Said) -> Vec<ShardNode> {
    let shard = |item: &layers::Item| {
        let text = |key| item[key].as_str().expect("checked by its kind").to_owned();
        let weight =
            item["weight"].as_integer().and_then(|weight| weight.try_into().ok()).expect("checked by its kind");
        ShardNode { name: text("name"), url: text("url"), weight }
    };
    let lists = said.lists.iter().filter(|(list, ..)| list.name == "shard");
    lists.flat_map(|(_, items, _)| items).map(shard).collect()
}

fn build(said: &Said, settings: Settings, demo: bool) -> Config {
    let s = &settings;
    let told = |section: &str| said.values.keys().any(|key| key.split_once('.').is_some_and(|(of, _)| of == section));
    let role = |name| s.texts("roles").any(|role| role == name);
    let rate = |key| u32::try_from(s.number(key)).expect("checked by its kind");
    let bytes = |key| s.number(key);
    Config {
        roles: Roles { api: role("api"), worker: role("worker") },
        http: Http {
            listen: s.listen(),
            cors_origins: Origins::read(&s.texts("http.cors_origins").collect::<Vec<_>>()).expect("checked"),
            trusted_proxies: s.texts("http.trusted_proxies").map(|text| text.parse().expect("checked")).collect(),
        },
        store: store(s),
        log: log(s),
        shards: shards(said),
        cache: CacheBytes {
            ring: usize::try_from(bytes("cache.ring_bytes")).expect("16 GiB fit into an address space of 64 bits"),
            windows: bytes("cache.windows_bytes"),
            streams: bytes("cache.streams_bytes"),
            views: bytes("cache.views_bytes"),
            posts: bytes("cache.posts_bytes"),
        },
        auth: Auth {
            dev_login: s.get("auth.dev_login").as_bool().expect("the key's kind is a flag"),
            signing_key_file: s.path("auth.signing_key_file"),
            access_ttl: s.seconds("auth.access_ttl_s"),
            refresh_ttl: s.seconds("auth.refresh_ttl_s"),
            operators: s.texts("auth.operators").map(|text| text.parse().expect("checked by its kind")).collect(),
            providers: provider::all(said),
        },
        tuning: ToldTuning {
            hot: told("hot").then(|| ToldHot {
                mode: Mode::Threshold,
                enter_followers: s.number("hot.enter_followers"),
                leave_followers: s.number("hot.leave_followers"),
            }),
            flush: told("flush").then(|| ToldFlush {
                max_age_ms: s.number("flush.max_age_ms"),
                max_pairs: s.number("flush.max_pairs"),
            }),
        },
        limits: Limits {
            follows: s.number("limits.follows"),
            posts_per_minute: rate("limits.posts_per_minute"),
            requests_per_second: rate("limits.requests_per_second"),
        },
        telemetry: Telemetry {
            log: s.text("telemetry.log").to_owned(),
            log_format: if s.text("telemetry.log_format") == "json" { LogFormat::Json } else { LogFormat::Pretty },
        },
        demo,
        settings,
    }
}

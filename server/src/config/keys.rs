//! Each key of the configuration, described once: from this table come the known names, the environment's names,
//! the checks, the defaults and what is hidden when settings are shown.

use tributary_engine::limits;

use super::{Network, origins};
use tributary_engine::model::Handle;

const GIB: u64 = 1 << 30;
/// A cache larger than this is a slip of the finger.
const CACHE_BYTES_MAX: u64 = 1 << 44;
/// Numbers up to here are exact in JSON and in every store.
const EXACT_MAX: u64 = (1 << 53) - 1;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const YEAR_S: u64 = 366 * 24 * 60 * 60;

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text but the empty one.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number in this range.
    Number(u64, u64),
    /// `true` or `false`.
    Flag,
    /// A path.
    Path,
    /// An address and port.
    Address,
    /// What to log.
    LogFilter,
    /// Texts.
    Texts,
    /// At least one of these words.
    Choices(&'static [&'static str]),
    /// Networks.
    Networks,
    /// Origins of pages.
    Origins,
    /// Handles.
    Handles,
}

/// A key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name, with its section.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// Its default, as the environment would say it; none: it has none, or one that depends on other keys.
    pub default: Option<&'static str>,
    /// The key and value without which this one means nothing.
    pub only_with: Option<(&'static str, &'static str)>,
    /// Whether its value is never shown.
    pub secret: bool,
    /// Whether this version can do it. What it cannot may only be left out, or be an empty list.
    pub served: bool,
    /// Whether a table of a list may be without it, though it has no default.
    pub optional: bool,
}

const fn key(name: &'static str, kind: Kind, default: Option<&'static str>) -> Key {
    Key { name, kind, default, only_with: None, secret: false, served: true, optional: false }
}

impl Key {
    const fn only_with(self, key: &'static str, value: &'static str) -> Self {
        Self { only_with: Some((key, value)), ..self }
    }

    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    const fn not_served(self) -> Self {
        Self { served: false, ..self }
    }
}

use Kind::{Address, Choice, Choices, Flag, Handles, LogFilter, Networks, Number, Origins, Path, Text, Texts};

/// Every key outside the lists of tables, in the order of the documentation.
pub const KEYS: &[Key] = &[
    key("roles", Choices(&["api", "worker"]), Some("api,worker")),
    key("http.listen", Address, Some("127.0.0.1:8080")),
    key("http.cors_origins", Origins, Some("")),
    key("http.trusted_proxies", Networks, Some("")),
    key("store.kind", Choice(&["embedded", "postgres"]), Some("embedded")),
    key("store.path", Path, Some("data")).only_with("store.kind", "embedded"),
    key("store.url", Text, None).only_with("store.kind", "postgres").secret(),
    key("store.url_file", Path, None).only_with("store.kind", "postgres"),
    key("store.pool_size", Number(1, 1_000), Some("8")).only_with("store.kind", "postgres"),
    key("store.replicas", Texts, Some("")).only_with("store.kind", "postgres").secret().not_served(),
    key("log.kind", Choice(&["embedded", "kafka"]), Some("embedded")),
    key("log.brokers", Texts, Some("127.0.0.1:9092")).only_with("log.kind", "kafka"),
    key("log.topic", Text, Some("tributary-events")).only_with("log.kind", "kafka"),
    key("log.partitions", Number(1, 10_000), Some("12")).only_with("log.kind", "kafka"),
    key("log.driver", Choice(&["rdkafka", "kafka"]), Some("rdkafka")).only_with("log.kind", "kafka"),
    key("cache.ring_bytes", Number(limits::RING_BYTES_MIN as u64, 16 * GIB), Some("67108864")),
    key("cache.windows_bytes", Number(0, CACHE_BYTES_MAX), Some("268435456")),
    key("cache.streams_bytes", Number(0, CACHE_BYTES_MAX), Some("67108864")),
    key("cache.views_bytes", Number(0, CACHE_BYTES_MAX), Some("134217728")),
    key("cache.posts_bytes", Number(0, CACHE_BYTES_MAX), Some("268435456")),
    key("auth.dev_login", Flag, None),
    key("auth.signing_key_file", Path, None),
    key("auth.access_ttl_s", Number(1, YEAR_S), Some("900")),
    key("auth.refresh_ttl_s", Number(1, 10 * YEAR_S), Some("2592000")),
    key("auth.operators", Handles, Some("")),
    key("hot.mode", Choice(&["threshold", "cost"]), Some("threshold")),
    key("hot.enter_followers", Number(1, EXACT_MAX), Some("10000")),
    key("hot.leave_followers", Number(0, EXACT_MAX), Some("8000")),
    key("flush.max_age_ms", Number(0, DAY_MS), Some("900000")),
    key("flush.max_pairs", Number(1, 100_000_000), Some("4000000")),
    key("limits.follows", Number(0, EXACT_MAX), Some("10000")),
    key("limits.posts_per_minute", Number(0, u32::MAX as u64), Some("60")),
    key("limits.requests_per_second", Number(0, u32::MAX as u64), Some("50")),
    key("telemetry.log", LogFilter, Some("info")),
    key("telemetry.log_format", Choice(&["pretty", "json"]), Some("pretty")),
    key("telemetry.otlp_endpoint", Text, None).not_served(),
];

/// A list of tables, such as `[[shard]]`. It can be said in the file only.
#[derive(Clone, Copy, Debug)]
pub struct List {
    /// Its name.
    pub name: &'static str,
    /// Whether this version can do it.
    pub served: bool,
    /// The keys of one table; one without a default must be there, unless it is optional.
    pub keys: &'static [Key],
}

/// Every list of tables.
pub const LISTS: &[List] = &[
    List {
        name: "shard",
        served: true,
        keys: &[
            key("name", Text, None),
            key("url", Text, None).secret(),
            key("weight", Number(1, 1_000_000), Some("1")),
        ],
    },
    List {
        name: "auth.provider",
        served: true,
        keys: &[
            key("name", Text, None),
            key("issuer", Text, None).optional(),
            key("client_id", Text, None),
            key("client_secret_file", Path, None).optional(),
            key("redirect_url", Text, None),
            key("scopes", Texts, None).optional(),
            key("operator_claim", Text, None).optional(),
            key("operator_value", Text, None).optional(),
        ],
    },
];

/// The key of this name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether some key lies in the section of this name.
pub fn is_section(name: &str) -> bool {
    sections().any(|section| section == name)
}

/// The section of each key that lies in one.
pub fn sections() -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter_map(|key| key.name.split_once('.')).map(|(section, _)| section)
}

/// The known name that is most like `name`: the same key of another section, else the fewest slips of the finger.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> &'a str {
    let leaf = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let wanted = leaf(name);
    known
        .min_by_key(|known| if leaf(known) == wanted { 0 } else { 1 + strsim::osa_distance(name, known) })
        .expect("some name is known")
}

impl Kind {
    /// Reads a value of this kind as the file says it. The error says what it must be.
    pub fn read_toml(self, value: &toml::Value) -> Result<toml::Value, String> {
        use toml::Value;
        match (self, value) {
            (Flag, Value::Boolean(_)) => Ok(value.clone()),
            (Number(..), Value::Integer(number)) => self.number(i128::from(*number)),
            (Texts | Choices(_) | Networks | Origins | Handles, Value::Array(items)) => {
                let texts = items.iter().map(|item| item.as_str().ok_or_else(|| self.must_be()));
                self.list(texts.collect::<Result<Vec<_>, _>>()?)
            }
            (Flag | Number(..) | Texts | Choices(_) | Networks | Origins | Handles, _) => Err(self.must_be()),
            (_, Value::String(text)) => self.single(text),
            _ => Err(self.must_be()),
        }
    }

    /// Reads a value of this kind as the environment says it: bare, and lists separated by commas.
    pub fn read_text(self, text: &str) -> Result<toml::Value, String> {
        match self {
            Flag => text.trim().parse().map(toml::Value::Boolean).map_err(|_| self.must_be()),
            Number(..) => self.number(text.trim().parse().map_err(|_| self.must_be())?),
            Texts | Choices(_) | Networks | Origins | Handles => {
                self.list(text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect())
            }
            _ => self.single(text),
        }
    }

    fn number(self, number: i128) -> Result<toml::Value, String> {
        match (self, i64::try_from(number)) {
            (Number(least, most), Ok(fits)) if number >= i128::from(least) && number <= i128::from(most) => {
                Ok(toml::Value::Integer(fits))
            }
            _ => Err(self.must_be()),
        }
    }

    fn single(self, text: &str) -> Result<toml::Value, String> {
        let good = match self {
            Choice(words) => words.contains(&text),
            Address => text.parse::<std::net::SocketAddr>().is_ok(),
            LogFilter => tracing_subscriber::EnvFilter::try_new(text).is_ok(),
            _ => !text.trim().is_empty(),
        };
        if good { Ok(toml::Value::String(text.to_owned())) } else { Err(self.must_be()) }
    }

    fn list(self, items: Vec<&str>) -> Result<toml::Value, String> {
        let good = |item: &&str| match self {
            Choices(words) => words.contains(item),
            Networks => item.parse::<Network>().is_ok(),
            Handles => item.parse::<Handle>().is_ok(),
            _ => !item.trim().is_empty(),
        };
        let good_together = match self {
            Choices(_) => !items.is_empty(),
            Origins => origins::Origins::read(&items).is_some(),
            _ => true,
        };
        if !items.iter().all(good) || !good_together {
            return Err(self.must_be());
        }
        Ok(toml::Value::Array(items.into_iter().map(|item| toml::Value::String(item.to_owned())).collect()))
    }

    fn must_be(self) -> String {
        let words = |words: &[&str]| words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        match self {
            Text => "must be a text, and not an empty one".into(),
            Choice(of) => format!("must be one of {}", words(of)),
            Number(least, most) => format!("must be a whole number from {least} to {most}"),
            Flag => "must be true or false".into(),
            Path => "must be a path".into(),
            Address => "must be an address and port, such as 127.0.0.1:8080 or [::1]:8080".into(),
            LogFilter => "must be a log filter, such as info or info,tributary_engine=debug".into(),
            Texts => "must be a list of texts".into(),
            Choices(of) => format!("must be a list of at least one of {}", words(of)),
            Origins => "must be a list of origins as browsers send them, such as https://app.example or \
                        http://localhost:3000, or \"*\" alone"
                .into(),
            Networks => "must be a list of addresses or networks, such as 10.0.0.0/8".into(),
            Handles => "must be a list of handles: 1 to 30 of a-z, 0-9 and _".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_of_its_keys_kind() {
        for key in KEYS.iter().chain(LISTS.iter().flat_map(|list| list.keys)) {
            if let Some(text) = key.default {
                assert!(key.kind.read_text(text).is_ok(), "{}", key.name);
            }
        }
    }

    #[test]
    fn every_condition_names_a_key_and_a_value_that_exist() {
        for (key, (other, value)) in KEYS.iter().filter_map(|key| Some((key, key.only_with?))) {
            assert!(find(other).is_some_and(|other| other.kind.read_text(value).is_ok()), "{}", key.name);
        }
    }
}

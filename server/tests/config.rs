//! The configuration as its users meet it: every error at once with its key, the order of the layers, the defaults
//! of the documentation, and `tributary check`.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;
use tributary_engine::model::Mode;
use tributary_server::config::{
    Config, ConfigError, KafkaDriver, Log, LogFormat, Origin, Origins, PostgresUrl, Sources, Store, ToldFlush, ToldHot,
};

/// The sample of the documentation: every default, said.
const SAMPLE: &str = r#"
roles = ["api", "worker"]

[http]
listen = "127.0.0.1:8080"
cors_origins = []
trusted_proxies = []

[store]
kind = "embedded"
path = "data"

[log]
kind = "embedded"

[cache]
ring_bytes = 67108864
windows_bytes = 268435456
streams_bytes = 67108864
views_bytes = 134217728
posts_bytes = 268435456

[auth]
dev_login = true
access_ttl_s = 900
refresh_ttl_s = 2592000
operators = []

[hot]
mode = "threshold"
enter_followers = 10000
leave_followers = 8000

[flush]
max_age_ms = 900000
max_pairs = 4000000

[limits]
follows = 10000
posts_per_minute = 60
requests_per_second = 50

[telemetry]
log = "info"
log_format = "pretty"
"#;

/// A folder with a configuration file in it.
struct World {
    folder: TempDir,
}

impl World {
    fn new(file: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("tributary.toml"), file).expect("written");
        Self { folder }
    }

    fn sources(&self, env: &[(&str, &str)]) -> Sources {
        Sources {
            file: Some("tributary.toml".into()),
            env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            listen: None,
            demo: None,
            working_folder: self.folder.path().into(),
        }
    }

    fn tributary(&self, args: &[&str], env: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TRIBUTARY__")) {
            command.env_remove(name);
        }
        command.args(args).envs(env.iter().copied()).current_dir(self.folder.path()).output().expect("it runs")
    }
}

fn resolved(file: &str, env: &[(&str, &str)]) -> Config {
    let world = World::new(file);
    Config::resolve(&world.sources(env)).unwrap_or_else(|errors| panic!("{errors}"))
}

fn errors(file: &str, env: &[(&str, &str)]) -> Vec<ConfigError> {
    let world = World::new(file);
    Config::resolve(&world.sources(env)).expect_err("there are errors").0
}

#[test]
fn each_mistake_is_named_with_its_key_and_its_reason() {
    let mistakes = [
        ("rolls = []", "rolls", "is not known; the nearest key is roles"),
        ("[http]\nlisen = '1.1.1.1:1'", "http.lisen", "the nearest key is http.listen"),
        ("[htpp]\nlisten = '1.1.1.1:1'", "htpp", "the nearest section is [http]"),
        ("[store]\nring_bytes = 1", "store.ring_bytes", "the nearest key is cache.ring_bytes"),
        ("[[shards]]\nname = 'a'", "shards", "the nearest section is [shard]"),
        ("http = 5", "http", "must be a section: [http]"),
        ("roles = []", "roles", "at least one of \"api\", \"worker\""),
        ("roles = ['api', 'cook']", "roles", "at least one of \"api\", \"worker\""),
        ("roles = 'api'", "roles", "must be a list"),
        ("[http]\nlisten = '8080'", "http.listen", "must be an address and port"),
        ("[http]\nlisten = 8080", "http.listen", "must be an address and port"),
        ("[http]\ntrusted_proxies = ['10.0.0.0/64']", "http.trusted_proxies", "addresses or networks"),
        ("[http]\ncors_origins = ['https://a.example/']", "http.cors_origins", "origins as browsers send them"),
        ("[http]\ncors_origins = ['*', 'https://a.example']", "http.cors_origins", "\"*\" alone"),
        ("[http]\ncors_origins = 'https://a.example'", "http.cors_origins", "must be a list of origins"),
        ("[store]\nkind = 'mysql'", "store.kind", "must be one of \"embedded\", \"postgres\""),
        ("[store]\nkind = 'postgres'\n[log]\nkind = 'kafka'", "store.url", "is missing"),
        (
            "[store]\nkind = 'postgres'\nurl = 'a'\nurl_file = 'b'\n[log]\nkind = 'kafka'",
            "store.url_file",
            "leave one of them out",
        ),
        ("[store]\nkind = 'postgres'\nurl = 'a'", "log.kind", "must be \"kafka\" with store.kind = \"postgres\""),
        ("[store]\nkind = 'postgres'\nreplicas = ['a']", "store.replicas", "not served by this version"),
        ("[store]\nurl = 'postgres://a'", "store.url", "means something only with store.kind = \"postgres\""),
        ("[store]\npath = ''", "store.path", "must be a path"),
        ("[store]\npool_size = 0", "store.pool_size", "from 1 to 1000"),
        ("[log]\nkind = 'kafka'", "log.kind", "must be \"embedded\" with store.kind = \"embedded\""),
        ("[log]\nkind = 'pulsar'", "log.kind", "must be one of \"embedded\", \"kafka\""),
        ("[log]\ntopic = 'a'", "log.topic", "means something only with log.kind = \"kafka\""),
        ("[[shard]]\nname = 'a'\nurl = 'http://a'", "shard[0].url", "must begin with redis://"),
        (
            "[[shard]]\nname = 'a'\nurl = 'redis://a'\n[[shard]]\nname = 'a'\nurl = 'redis://b'",
            "shard[1].name",
            "two shards have this name",
        ),
        ("[[shard]]\nname = 'a'\nurl = 'redis://a'\nweight = 0", "shard[0].weight", "from 1 to 1000000"),
        ("[[shard]]\nname = 'a'\nurl = 'redis://a'\nweigth = 1", "shard[0].weigth", "the nearest is shard.weight"),
        ("[[shard]]\nname = 'a'", "shard[0].url", "is missing"),
        ("shard = 'a'", "shard", "must be a list of tables: [[shard]]"),
        ("[cache]\nring_bytes = 65535", "cache.ring_bytes", "from 65536 to 17179869184"),
        ("[cache]\nring_bytes = 17179869185", "cache.ring_bytes", "from 65536 to 17179869184"),
        ("[cache]\nposts_bytes = -1", "cache.posts_bytes", "must be a whole number from 0"),
        ("[cache]\nviews_bytes = '1'", "cache.views_bytes", "must be a whole number"),
        ("[auth]\ndev_login = 1", "auth.dev_login", "must be true or false"),
        ("[auth]\naccess_ttl_s = 0", "auth.access_ttl_s", "from 1"),
        ("[auth]\nrefresh_ttl_s = 60", "auth.refresh_ttl_s", "access_ttl_s = 900 must not be above"),
        ("[auth]\noperators = ['Ann']", "auth.operators", "must be a list of handles"),
        ("[[auth.provider]]\nname = 'a'", "auth.provider[0].client_id", "is missing"),
        ("[[auth.provider]]\nname = 'a'", "auth.provider[0].redirect_url", "is missing"),
        ("[[auth.provider]]\nname = 'a'", "auth.provider[0].issuer", "is missing"),
        ("[[auth.provider]]\nname = 'dev'", "auth.provider[0].name", "not dev, refresh or logout"),
        ("[[auth.provider]]\nname = 'a/b'", "auth.provider[0].name", "must be 1 to 30 of a-z, 0-9, _ and -"),
        ("[[auth.provider]]\nname = 'a'\n[[auth.provider]]\nname = 'a'", "auth.provider[1].name", "have this name"),
        ("[[auth.provider]]\nissuer = 'http://a.example'", "auth.provider[0].issuer", "must be a URL that begins with"),
        ("[[auth.provider]]\nissuer = 'https://a.example?b'", "auth.provider[0].issuer", "must have no query"),
        (
            "[[auth.provider]]\nname = 'a'\nredirect_url = 'http://a.example/v1/auth/a/callback'",
            "auth.provider[0].redirect_url",
            "on a loopback address",
        ),
        (
            "[[auth.provider]]\nname = 'a'\nredirect_url = 'https://a.example/?b'",
            "auth.provider[0].redirect_url",
            "must have no query",
        ),
        ("[[auth.provider]]\noperator_claim = 'a'", "auth.provider[0].operator_claim", "only together"),
        (
            "[[auth.provider]]\nclient_secret = 'a'",
            "auth.provider[0].client_secret",
            "auth.provider.client_secret_file",
        ),
        ("[hot]\nmode = 'price'", "hot.mode", "must be one of \"threshold\", \"cost\""),
        ("[hot]\nenter_followers = 0\nleave_followers = 0", "hot.enter_followers", "from 1"),
        ("[hot]\nleave_followers = 10001", "hot.leave_followers", "must not be above hot.enter_followers = 10000"),
        ("[hot]\nenter_followers = 9", "hot.enter_followers", "hot.leave_followers = 8000 must not be above"),
        ("[flush]\nmax_age_ms = 86400001", "flush.max_age_ms", "from 0 to 86400000"),
        ("[flush]\nmax_pairs = 0", "flush.max_pairs", "from 1 to 100000000"),
        ("[limits]\nfollows = 1.5", "limits.follows", "must be a whole number"),
        ("[telemetry]\nlog = 'a=b=c'", "telemetry.log", "must be a log filter"),
        ("[telemetry]\nlog_format = 'xml'", "telemetry.log_format", "must be one of \"pretty\", \"json\""),
        ("[telemetry]\notlp_endpoint = 'http://a'", "telemetry.otlp_endpoint", "not served by this version"),
        ("roles = [", "file", "is not TOML, line 1"),
    ];
    for (file, key, reason) in mistakes {
        let errors = errors(file, &[]);
        let found = errors.iter().find(|error| error.key == key && error.reason.contains(reason));
        assert!(found.is_some(), "{file:?} should say of {key}: {reason}\nbut says {errors:#?}");
        assert_eq!(found.map(|error| &error.origin), Some(&Origin::File("tributary.toml".into())), "{file:?}");
    }
}

#[test]
fn every_mistake_is_told_at_once_with_where_it_was_made() {
    let file = "rolls = []\n[hot]\nenter_followers = 5\nleave_followers = 6\n[http]\nlisten = 'here'\n[store]\nkind = 'postgres'";
    let env = [("TRIBUTARY__CACHE__RING_BYTES", "much"), ("TRIBUTARY__HTTP__LISSEN", "a"), ("TRIBUTARY__SHARD", "a")];
    let told: Vec<_> = errors(file, &env).iter().map(ToString::to_string).collect();
    let expected = [
        "rolls (tributary.toml): is not known",
        "http.listen (tributary.toml): must be an address",
        "cache.ring_bytes (TRIBUTARY__CACHE__RING_BYTES): must be a whole number",
        "http.lissen (TRIBUTARY__HTTP__LISSEN): is not known; the nearest key is http.listen (TRIBUTARY__HTTP__LISTEN)",
        "shard (TRIBUTARY__SHARD): can be said in the file only: [[shard]]",
        "store.url (tributary.toml): is missing",
        "log.kind (tributary.toml): must be \"kafka\"",
        "hot.leave_followers (tributary.toml): hot.leave_followers = 6 must not be above hot.enter_followers = 5",
    ];
    for line in expected {
        assert_eq!(told.iter().filter(|error| error.starts_with(line)).count(), 1, "{line}\nin {told:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[test]
fn the_environment_overrides_the_file_and_flags_override_both() {
    let file = "roles = ['api']\n[http]\nlisten = '127.0.0.1:1'\n[limits]\nfollows = 1";
    let env = [
        ("TRIBUTARY__ROLES", "api, worker"),
        ("TRIBUTARY__HTTP__LISTEN", "127.0.0.1:2"),
        ("TRIBUTARY__AUTH__DEV_LOGIN", "false"),
        ("TRIBUTARY__AUTH__OPERATORS", "ann,0123"),
        ("TRIBUTARY__HTTP__TRUSTED_PROXIES", ""),
        ("TRIBUTARY__HTTP__CORS_ORIGINS", "https://app.example, http://localhost:3000"),
        ("TRIBUTARYX", "not ours"),
    ];
    let world = World::new(file);
    let mut sources = world.sources(&env);
    let config = Config::resolve(&sources).expect("good");
    assert!(config.roles.api && config.roles.worker);
    assert_eq!(config.http.listen.port(), 2);
    assert_eq!(config.limits.follows, 1, "what the environment leaves out stays");
    assert!(!config.auth.dev_login);
    let origins: &[&str] = &["https://app.example", "http://localhost:3000"];
    assert_eq!(Some(config.http.cors_origins), Origins::read(origins));
    let operators: Vec<_> = config.auth.operators.iter().map(|handle| handle.as_str()).collect();
    assert_eq!(operators, ["ann", "0123"], "lists are separated by commas, and digits stay text");
    sources.listen = Some("127.0.0.1:3".into());
    assert_eq!(Config::resolve(&sources).expect("good").http.listen.port(), 3);
    sources.listen = Some("nowhere".into());
    let told = Config::resolve(&sources).expect_err("bad").to_string();
    assert!(told.starts_with("http.listen (--listen): must be an address"), "{told}");
}

#[test]
fn nothing_said_and_the_documented_sample_come_to_the_same() {
    let world = World::new(SAMPLE);
    let sample = Config::resolve(&world.sources(&[])).expect("good");
    let silent = Config::resolve(&Sources { file: None, ..world.sources(&[]) }).expect("good");
    assert_eq!(sample.to_toml(), silent.to_toml());
    let mut shown: toml::Table = sample.to_toml().parse().expect("what is shown is a configuration");
    let mut documented: toml::Table = SAMPLE.parse().expect("TOML");
    for (table, path) in [(&mut shown, world.folder.path().join("data")), (&mut documented, "data".into())] {
        assert_eq!(table["store"]["path"].as_str(), path.to_str());
        table["store"].as_table_mut().expect("a section").remove("path");
        table["auth"].as_table_mut().expect("a section").remove("signing_key_file");
    }
    assert_eq!(shown, documented);
    assert_eq!(sample.auth.access_ttl, Duration::from_secs(900));
    assert_eq!(sample.telemetry.log_format, LogFormat::Pretty);
}

#[test]
fn paths_are_relative_to_the_files_folder_or_else_to_the_working_folder() {
    let world = World::new("");
    let deep = world.folder.path().join("deep");
    std::fs::create_dir(&deep).expect("made");
    std::fs::write(deep.join("a.toml"), "[store]\npath = 'd'\n[auth]\nsigning_key_file = '/k'").expect("written");
    let config = Config::resolve(&Sources { file: Some("deep/a.toml".into()), ..world.sources(&[]) }).expect("good");
    assert_eq!(config.store, Store::Embedded { path: deep.join("d") });
    assert_eq!(config.auth.signing_key_file, Path::new("/k"));
    let config = Config::resolve(&Sources { file: None, ..world.sources(&[]) }).expect("good");
    assert_eq!(config.store, Store::Embedded { path: world.folder.path().join("data") });
    assert_eq!(config.auth.signing_key_file, world.folder.path().join("data/signing.key"));
}

#[test]
fn a_node_among_many_is_told_where_its_services_are() {
    let file = "[store]\nkind = 'postgres'\nurl_file = 'url'\npool_size = 3\n[log]\nkind = 'kafka'\nbrokers = ['a:1', 'b:2']\n\
        driver = 'kafka'\n[[shard]]\nname = 'a'\nurl = 'redis://a'\n[[shard]]\nname = 'b'\nurl = 'redis://b'\nweight = 5";
    let world = World::new(file);
    let config = Config::resolve(&world.sources(&[("TRIBUTARY__LOG__PARTITIONS", "3")])).expect("good");
    let url = PostgresUrl::InFile(world.folder.path().join("url"));
    assert_eq!(config.store, Store::Postgres { url, pool_size: 3 });
    let Log::Kafka(kafka) = &config.log else { panic!("{:?}", config.log) };
    assert_eq!((&kafka.brokers[..], &*kafka.topic), (&["a:1".to_owned(), "b:2".to_owned()][..], "tributary-events"));
    assert_eq!((kafka.partitions, kafka.driver), (3, KafkaDriver::RustKafka));
    let shards: Vec<_> = config.shards.iter().map(|shard| (&*shard.name, &*shard.url, shard.weight)).collect();
    assert_eq!(shards, [("a", "redis://a", 1), ("b", "redis://b", 5)]);
    assert_eq!(config.auth.signing_key_file, world.folder.path().join("signing.key"));
    assert!(!config.auth.dev_login, "open by default with the embedded store only");
}

#[test]
fn dev_login_is_open_by_default_on_a_loopback_address_only() {
    assert!(resolved("[http]\nlisten = '[::1]:0'", &[]).auth.dev_login);
    assert!(!resolved("[http]\nlisten = '0.0.0.0:8080'", &[]).auth.dev_login);
    assert!(resolved("[http]\nlisten = '0.0.0.0:8080'\n[auth]\ndev_login = true", &[]).auth.dev_login);
    assert!(!resolved("[auth]\ndev_login = false", &[]).auth.dev_login);
}

#[test]
fn the_tuning_is_told_by_section_and_only_where_something_is_said() {
    let told = |file, env| resolved(file, env).tuning;
    assert_eq!((told("", &[]).hot, told("", &[]).flush), (None, None));
    let hot = ToldHot { mode: Mode::Threshold, enter_followers: 9_000, leave_followers: 8_000 };
    assert_eq!(told("[hot]\nenter_followers = 9000", &[]).hot, Some(hot));
    let flush = ToldFlush { max_age_ms: 0, max_pairs: 4_000_000 };
    assert_eq!(told("", &[("TRIBUTARY__FLUSH__MAX_AGE_MS", "0")]).flush, Some(flush));
}

#[test]
fn a_demo_brings_its_own_store_and_lets_nobody_in_from_outside() {
    let world = World::new("[hot]\nenter_followers = 9000");
    let temporary = tempfile::tempdir().expect("a folder");
    let demo = Sources { demo: Some(temporary.path().into()), ..world.sources(&[]) };
    let config = Config::resolve(&demo).expect("good");
    assert_eq!(config.store, Store::Embedded { path: temporary.path().into() });
    assert!(config.demo && config.auth.dev_login);
    assert!(config.tuning.hot.is_some(), "the rest of the file counts");

    let open = Config::resolve(&Sources { listen: Some("0.0.0.0:80".into()), ..demo.clone() }).expect_err("refused");
    assert_eq!((open.0[0].key.as_str(), &open.0[0].origin), ("http.listen", &Origin::Flag("--listen")));
    let env = vec![("TRIBUTARY__STORE__PATH".to_owned(), "mine".to_owned())];
    let stored = Config::resolve(&Sources { env, ..demo }).expect_err("refused").to_string();
    assert!(stored.starts_with("store.path (TRIBUTARY__STORE__PATH): cannot be said with --demo"), "{stored}");
}

#[test]
fn errors_never_repeat_a_secret() {
    let secret = "hunter2";
    for file in [
        "[store]\nurl = 'postgres://u:hunter2@h/d'".to_owned(),
        "[store]\nurl = ['hunter2']".to_owned(),
        "[store]\nurl = hunter2".to_owned(),
        "[[shard]]\nname = 'a'\nurl = 'http://:hunter2@h'".to_owned(),
    ] {
        for error in errors(&file, &[]) {
            assert!(!error.to_string().contains(secret), "{error}");
        }
    }
    let good = "[store]\nkind = 'postgres'\nurl = 'postgres://u:hunter2@h/d'\n[log]\nkind = 'kafka'\n\
        [[shard]]\nname = 'a'\nurl = 'redis://:hunter2@h'";
    let config = resolved(good, &[]);
    assert!(!format!("{config:?}{}", config.to_toml()).contains(secret));
}

#[test]
fn check_prints_the_resolved_configuration_and_leaves_with_0() {
    let world = World::new("[limits]\nfollows = 7");
    let output = world.tributary(&["check", "--config", "tributary.toml"], &[("TRIBUTARY__ROLES", "worker")]);
    let shown = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let shown: toml::Table = shown.parse().expect("TOML");
    assert_eq!(shown["limits"]["follows"].as_integer(), Some(7));
    assert_eq!(shown["roles"].as_array().map(Vec::len), Some(1));
    assert_eq!(world.folder.path().read_dir().expect("listed").count(), 1, "a check makes nothing");
}

#[test]
fn check_prints_every_error_and_leaves_with_1() {
    let world = World::new("rolls = []\n[flush]\nmax_pairs = 0");
    for args in [&["check", "--config", "tributary.toml"][..], &["serve", "--config", "tributary.toml"]] {
        let output = world.tributary(args, &[]);
        let told = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert_eq!(told.lines().count(), 2, "{told}");
        assert!(told.contains("flush.max_pairs (tributary.toml): must be"), "{told}");
        assert!(told.contains("rolls (tributary.toml): is not known"), "{told}");
        assert!(output.stdout.is_empty());
    }
    let output = world.tributary(&["check", "--config", "missing.toml"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).expect("text");
    assert!(told.starts_with("file (missing.toml): cannot be read"), "{told}");
}

#[test]
fn wrong_usage_leaves_with_2_and_help_with_0() {
    let world = World::new("");
    for args in [&["--fast"][..], &["dance"], &["check", "--listen", "127.0.0.1:0"], &["--config"]] {
        assert_eq!(world.tributary(args, &[]).status.code(), Some(2), "{args:?}");
    }
    for args in [&["--help"][..], &["check", "--help"], &["--version"]] {
        let output = world.tributary(args, &[]);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("tributary"), "{args:?}");
    }
}

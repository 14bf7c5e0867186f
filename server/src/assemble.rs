//! The one file that names adapters: here the configuration becomes ports, and ports become an engine. Everything
//! else in the server knows the engine only.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use tokio::task::JoinHandle;
use tributary_engine::embedded::{EmbeddedLog, EmbeddedStore, ProcessShard};
use tributary_engine::kafka::{self, Driver, KafkaLog, KafkaOptions};
use tributary_engine::model::Tuning;
use tributary_engine::ports::{self, Clock, Shard};
use tributary_engine::postgres::{self, Migrated, PostgresOptions, PostgresStore};
use tributary_engine::redis::{self, NodeOptions, RedisShards};
use tributary_engine::{CacheBytes, Engine, Options, Ports};

use crate::config::{Config, Kafka, KafkaDriver, Keys, Log, PostgresUrl, ShardNode, Store, ToldTuning};
use crate::http::SharedRates;
use crate::slot_map::{self, Told};
use crate::{signing_keys, sync_tuning};

pub use tributary_engine::redis::{Share, SlotMap};

/// Our keys in Redis begin with this. Installations that share a server take another database of it each.
const KEY_PREFIX: &str = "tributary";

/// Truth and events, for those who need no engine.
pub struct Services {
    /// Truth.
    pub store: Arc<dyn ports::Store>,
    /// The events.
    pub log: Arc<dyn ports::Log>,
}

/// Store and log of this configuration.
///
/// # Errors
/// When one of them cannot be opened; the message names the setting.
pub async fn services(config: &Config, clock: Clock) -> Result<Services> {
    match (&config.store, &config.log) {
        (Store::Embedded { path }, _) => {
            let store = EmbeddedStore::open(path, clock)?;
            Ok(Services { store: store.clone(), log: Arc::new(EmbeddedLog::new(store)) })
        }
        (Store::Postgres { .. }, Log::Kafka(kafka)) => {
            let store = store(config, clock).await?;
            Ok(Services { store, log: KafkaLog::open(topic(kafka)).await? })
        }
        (Store::Postgres { .. }, Log::Embedded) => bail!("log.kind: PostgreSQL needs a log that all nodes reach"),
    }
}

/// The store of this configuration, for those who need nothing else.
///
/// # Errors
/// When it cannot be opened; the message names the setting.
pub async fn store(config: &Config, clock: Clock) -> Result<Arc<dyn ports::Store>> {
    match &config.store {
        Store::Embedded { path } => Ok(EmbeddedStore::open(path, clock)?),
        Store::Postgres { url, pool_size } => {
            let options = PostgresOptions { url: said(url)?, pool_size: *pool_size };
            Ok(PostgresStore::connect(options, clock).await.context(setting(url))?)
        }
    }
}

/// Brings schema and topics up to this version; what was done.
///
/// # Errors
/// When one of them cannot be reached or changed.
pub async fn migrate(config: &Config) -> Result<String> {
    let Store::Postgres { url, .. } = &config.store else {
        return Ok("the embedded store needs no migration\n".to_owned());
    };
    let Migrated { applied, version } = postgres::migrate(&said(url)?, Clock::System).await.context(setting(url))?;
    let mut told = format!("schema of version {version}, {} steps applied\n", applied.len());
    for step in applied {
        told += &format!("  {step}\n");
    }
    if let Log::Kafka(kafka) = &config.log {
        kafka::migrate(&topic(kafka)).await?;
        told += &format!("topics {topic} and {topic}.dead\n", topic = kafka.topic);
    }
    Ok(told)
}

/// The map of slots in force.
///
/// # Errors
/// When there is none, or the store does not answer.
pub async fn shards_in_force(config: &Config) -> Result<Told> {
    slot_map::show(&*store(config, Clock::System).await?).await
}

/// What the shards of the configuration would move, and with `apply` do.
///
/// # Errors
/// When they are no map, or the store does not answer.
pub async fn change_shards(config: &Config, apply: bool) -> Result<Told> {
    slot_map::change(&*store(config, Clock::System).await?, &config.shards, apply).await
}

fn setting(url: &PostgresUrl) -> &'static str {
    match url {
        PostgresUrl::Said(_) => "store.url",
        PostgresUrl::InFile(_) => "store.url_file",
    }
}

fn said(url: &PostgresUrl) -> Result<String> {
    match url {
        PostgresUrl::Said(url) => Ok(url.clone()),
        PostgresUrl::InFile(file) => {
            let text = std::fs::read_to_string(file);
            let text = text.with_context(|| format!("store.url_file: {} cannot be read", file.display()))?;
            Ok(text.trim().to_owned())
        }
    }
}

fn topic(Kafka { brokers, topic, partitions, driver }: &Kafka) -> KafkaOptions {
    let driver = match driver {
        KafkaDriver::Rdkafka => Driver::Rdkafka,
        KafkaDriver::RustKafka => Driver::Kafka,
    };
    KafkaOptions { brokers: brokers.clone(), topic: topic.clone(), partitions: *partitions, driver }
}

/// A running engine, with what it runs on.
pub struct Node {
    /// The engine.
    pub engine: Engine,
    /// The rate limits that nodes share, where they do.
    pub rates: Option<Arc<dyn SharedRates>>,
    store: Arc<dyn ports::Store>,
    /// Takes new maps of slots over, where windows are on shards of their own.
    _map: Option<Watch>,
}

impl Node {
    /// Opens what the configuration names and starts an engine on it.
    ///
    /// # Errors
    /// When something cannot be opened, or does not answer.
    pub async fn start(config: &Config, keys: &Keys) -> Result<Self> {
        let clock = Clock::System;
        let Services { store, log } = services(config, clock.clone()).await?;
        if matches!(config.store, Store::Postgres { .. }) {
            signing_keys::agree(&*store, &keys.fingerprints).await?;
        }
        let Windows { shard, cache, rates, map } = windows(config, &store, clock.clone()).await?;
        let ports = Ports { store: store.clone(), log, shard };
        let options = Options { roles: config.roles, cache, signer: keys.signer.clone(), clock };
        let engine = Engine::start(ports, options).await.context("the engine cannot start")?;
        Ok(Self { engine, rates, store, _map: map })
    }

    /// Makes a new version of the tuning where the configuration says something else than it last did.
    ///
    /// # Errors
    /// When the store does not answer. Trying again is harmless.
    pub async fn sync_tuning(&self, told: ToldTuning) -> Result<Option<Tuning>> {
        sync_tuning::on_node(&self.engine, &*self.store, told).await
    }
}

/// Where windows are held.
struct Windows {
    shard: Arc<dyn Shard>,
    cache: CacheBytes,
    rates: Option<Arc<dyn SharedRates>>,
    map: Option<Watch>,
}

async fn windows(config: &Config, store: &Arc<dyn ports::Store>, clock: Clock) -> Result<Windows> {
    if config.shards.is_empty() {
        // In one process L1 and the shard both hold windows: each gets half of the bytes meant for windows.
        let half = config.cache.windows / 2;
        let cache = CacheBytes { windows: config.cache.windows - half, ..config.cache };
        let shard = Arc::new(ProcessShard::new(usize::try_from(half).unwrap_or(usize::MAX), clock));
        return Ok(Windows { shard, cache, rates: None, map: None });
    }
    let map = slot_map::seeded(&**store, &config.shards).await?;
    let node = |shard: &ShardNode| NodeOptions { name: shard.name.as_str().into(), url: shard.url.clone() };
    let shards = RedisShards::open(config.shards.iter().map(node).collect(), map, KEY_PREFIX).await?;
    let rates = Arc::new(OverRedis(redis::SharedRates::new(shards.clone())));
    let map = Some(Watch::new(store.clone(), shards.clone()));
    Ok(Windows { shard: shards, cache: config.cache, rates: Some(rates), map })
}

struct OverRedis(redis::SharedRates);

#[async_trait]
impl SharedRates for OverRedis {
    async fn charge(&self, key: &[u8], cost: Duration, burst: Duration) -> Option<Result<Duration, Duration>> {
        self.0.charge(key, cost, burst).await
    }
}

/// Takes new maps of slots over, until it is dropped.
struct Watch(JoinHandle<()>);

impl Watch {
    fn new(store: Arc<dyn ports::Store>, shards: Arc<RedisShards>) -> Self {
        Self(tokio::spawn(async move {
            let mut refused = None;
            loop {
                tokio::time::sleep(slot_map::POLL).await;
                // A store that does not answer tells of no change.
                let Ok(Some(map)) = slot_map::in_force(&*store).await else { continue };
                let version = map.version();
                if version != shards.map().version()
                    && refused != Some(version)
                    && let Err(error) = shards.set_map(map)
                {
                    tracing::error!(%error, version, "a new slot map is not taken over");
                    refused = Some(version);
                }
            }
        }))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

//! Makes the topics. What exists is checked, and never changed: it may have another owner.
//!
//! By librdkafka for both drivers: rust-kafka has no administration.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;

use super::driver::Consumer as _;
use super::librdkafka::{self, RdConsumer};
use super::options::{KafkaOptions, SetupError};
use crate::limits::{LOG_RETENTION, LOG_TIMEOUT};

/// Replicas of a partition, where there are as many brokers.
const REPLICAS: usize = 3;
/// How often a new topic is looked for until the brokers know of it.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Creates the topic of events and that of dead letters, where they are not there. Can be repeated.
///
/// # Errors
/// When the brokers cannot be reached or refuse, or a topic is there and cannot be used.
pub async fn migrate(options: &KafkaOptions) -> Result<(), SetupError> {
    options.check()?;
    let unreachable = |why: String| SetupError::Unreachable { brokers: options.brokers.join(", "), why };
    let admin: AdminClient<DefaultClientContext> =
        librdkafka::config(&options.brokers).create().map_err(|error| unreachable(error.to_string()))?;
    let (admin, brokers) = count_brokers(admin).await.map_err(unreachable)?;
    let replicas = brokers.min(REPLICAS);
    // With three, one may be away and publishing goes on; with fewer there is no such choice.
    let in_sync = replicas.saturating_sub(1).max(1).to_string();
    let retention_ms = LOG_RETENTION.as_millis().to_string();
    let events = (options.topic.clone(), options.partitions, "delete", &*retention_ms);
    let dead = (options.dead_topic(), 1, "compact", "-1");
    for (topic, partitions, policy, retention_ms) in [events, dead] {
        let new = NewTopic::new(&topic, partitions as i32, TopicReplication::Fixed(replicas as i32))
            .set("cleanup.policy", policy)
            .set("retention.ms", retention_ms)
            .set("min.insync.replicas", &in_sync)
            .set("compression.type", "uncompressed");
        let created = admin.create_topics([&new], &AdminOptions::new().operation_timeout(Some(LOG_TIMEOUT))).await;
        match created.map_err(|error| unreachable(error.to_string()))?.into_iter().next() {
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => check_policy(&admin, &topic, policy).await?,
            Some(Err((topic, why))) => return Err(SetupError::Create { topic, why: why.to_string() }),
            _ => tracing::info!(topic, partitions, replicas, "the topic is created"),
        }
        check_partitions(options, topic, partitions).await?;
    }
    Ok(())
}

async fn count_brokers(
    admin: AdminClient<DefaultClientContext>,
) -> Result<(AdminClient<DefaultClientContext>, usize), String> {
    let count = move || {
        let metadata = admin.inner().fetch_metadata(None, LOG_TIMEOUT).map_err(|error| error.to_string())?;
        let brokers = metadata.brokers().len();
        Ok((admin, brokers))
    };
    tokio::task::spawn_blocking(count).await.map_err(|error| error.to_string())?
}

/// A compacted topic would forget events, one that is not would forget dead letters.
async fn check_policy(
    admin: &AdminClient<DefaultClientContext>,
    topic: &str,
    needed: &'static str,
) -> Result<(), SetupError> {
    let setting = "cleanup.policy";
    let failed = |why: String| SetupError::Create { topic: topic.to_owned(), why };
    let described = admin.describe_configs([&ResourceSpecifier::Topic(topic)], &AdminOptions::new()).await;
    let described = described.map_err(|error| failed(error.to_string()))?.pop();
    let settings = described.and_then(Result::ok).ok_or_else(|| failed("its settings cannot be read".to_owned()))?;
    let found = settings.get(setting).and_then(|entry| entry.value.clone()).unwrap_or_default();
    if found == needed {
        return Ok(());
    }
    Err(SetupError::TopicSetting { topic: topic.to_owned(), setting, found, needed })
}

/// Waits until the brokers tell of the topic, and holds it against what is set.
async fn check_partitions(options: &KafkaOptions, topic: String, set: u32) -> Result<(), SetupError> {
    let brokers = options.brokers.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let until = Instant::now() + LOG_TIMEOUT;
        let mut consumer = RdConsumer::new(&brokers)?;
        loop {
            let found = consumer.partitions(&topic, LOG_TIMEOUT)?;
            // Its offsets can be asked for once every partition has a leader.
            let led = found.is_some_and(|found| consumer.bounds(&topic, found).is_ok());
            if led || Instant::now() > until {
                return Ok((topic, found));
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
    });
    let unreachable = |why: String| SetupError::Unreachable { brokers: options.brokers.join(", "), why };
    let looked = looked.await.map_err(|error| unreachable(error.to_string()))?;
    let (topic, found) = looked.map_err(|error: super::driver::ReadError| unreachable(error.to_string()))?;
    match found {
        Some(found) if found == set => Ok(()),
        Some(found) => Err(SetupError::Partitions { topic, set, found }),
        None => Err(SetupError::NoTopic(topic)),
    }
}

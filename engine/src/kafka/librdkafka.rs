//! The driver over librdkafka, by the crate `rdkafka`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::try_join_all;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::timeout;

use super::driver::{Consumer, Got, Producer, ReadError, Record};
use crate::limits::{EVENTS_BATCH, LOG_TIMEOUT};
use crate::ports::LogError;

/// What consumers, producers and administration have in common.
pub(super) fn config(brokers: &[String]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers.join(","));
    config.set("client.id", "tributary");
    config.set("socket.nagle.disable", "true");
    config.set("socket.timeout.ms", "10000");
    // A broker that is back is noticed at once; the default waits up to 10 s.
    config.set("reconnect.backoff.ms", "50");
    config.set("reconnect.backoff.max.ms", "500");
    // Otherwise it forgets all brokers once none answers, and takes half a minute to find partitions again.
    config.set("metadata.recovery.strategy", "none");
    config
}

type Queue = PartitionQueue<DefaultConsumerContext>;

/// Each assigned partition has a queue of its own, so that the one that is needed can be waited for, and one that is
/// far ahead stays where it is: librdkafka bounds what it fetches in advance.
pub(super) struct RdConsumer {
    // Before the consumer, which they hold.
    queues: BTreeMap<u32, Queue>,
    consumer: Arc<BaseConsumer>,
    config: ClientConfig,
    /// Whether the consumer has had an assignment. It gets no second one: librdkafka (2.12) aborts the process when an
    /// assignment is replaced or closed while it still waits for partitions of the one before to stop.
    assigned: bool,
}

/// Messages that one poll takes from one partition at the most.
const POLL_MESSAGES: usize = EVENTS_BATCH;

fn unavailable(doing: &str, error: impl std::fmt::Display) -> ReadError {
    ReadError::Unavailable(format!("{doing}: {error}"))
}

impl RdConsumer {
    pub fn new(brokers: &[String]) -> Result<Self, ReadError> {
        let mut config = config(brokers);
        // Required for reading at all; nothing joins the group, and nothing is committed.
        config.set("group.id", "tributary");
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        // Never a silent jump.
        config.set("auto.offset.reset", "error");
        config.set("enable.partition.eof", "true");
        config.set("check.crcs", "true");
        // A broker answers as soon as there is a byte. The wait is short all the same: a new assignment waits for it.
        config.set("fetch.min.bytes", "1");
        config.set("fetch.wait.max.ms", "50");
        config.set("fetch.message.max.bytes", "262144");
        config.set("fetch.error.backoff.ms", "50");
        config.set("queued.min.messages", "20000");
        config.set("queued.max.messages.kbytes", "16384");
        // How long a partition waits that has as much as it may: a second by default.
        config.set("fetch.queue.backoff.ms", "5");
        let consumer = Arc::new(connect(&config)?);
        Ok(Self { queues: BTreeMap::new(), consumer, config, assigned: false })
    }
}

fn connect(config: &ClientConfig) -> Result<BaseConsumer, ReadError> {
    config.create().map_err(|error| unavailable("making a Kafka consumer", error))
}

/// What an event of a queue is to the log; none for what librdkafka mends by itself.
fn take(event: Result<BorrowedMessage<'_>, KafkaError>) -> Result<Option<Got>, ReadError> {
    use RDKafkaErrorCode as Code;
    match event {
        Ok(message) => Ok(Some(Got::Message {
            partition: message.partition() as u32,
            offset: message.offset(),
            key: message.key().unwrap_or_default().into(),
            value: message.payload().unwrap_or_default().into(),
        })),
        Err(KafkaError::PartitionEOF(partition)) => Ok(Some(Got::End { partition: partition as u32 })),
        Err(error) => match error.rdkafka_error_code() {
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => Err(ReadError::OutOfRange),
            // One broker of several, or one connection: it reconnects. When it was the last, AllBrokersDown follows.
            Some(Code::BrokerTransportFailure | Code::Resolve | Code::OperationTimedOut) => {
                tracing::debug!(%error, "a Kafka connection was lost; connecting again");
                Ok(None)
            }
            _ => Err(unavailable("reading from Kafka", error)),
        },
    }
}

impl Consumer for RdConsumer {
    fn partitions(&mut self, topic: &str, wait: Duration) -> Result<Option<u32>, ReadError> {
        let doing = "asking Kafka for its topics";
        let metadata = self.consumer.fetch_metadata(Some(topic), wait).map_err(|error| unavailable(doing, error))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let Some(found) = found.filter(|found| !found.partitions().is_empty()) else { return Ok(None) };
        Ok(Some(found.partitions().len() as u32))
    }

    fn bounds(&mut self, topic: &str, partitions: u32) -> Result<Vec<Range<i64>>, ReadError> {
        let until = Instant::now() + LOG_TIMEOUT;
        let bounds = |partition: u32| {
            let left = until.saturating_duration_since(Instant::now());
            let (first, next) = self
                .consumer
                .fetch_watermarks(topic, partition as i32, left)
                .map_err(|error| unavailable("asking Kafka for offsets", error))?;
            Ok(first..next)
        };
        (0..partitions).map(bounds).collect()
    }

    fn start(&mut self, topic: &str, from: &[(u32, i64)]) -> Result<(), ReadError> {
        let failed = |error: KafkaError| unavailable("assigning partitions", error);
        self.queues.clear();
        if self.assigned {
            let old = std::mem::replace(&mut self.consumer, Arc::new(connect(&self.config)?));
            self.assigned = false;
            // Closing takes a tenth of a second, for which nobody needs to wait.
            std::thread::spawn(move || drop(old));
        }
        if from.is_empty() {
            return Ok(());
        }
        let mut assigned = TopicPartitionList::with_capacity(from.len());
        for &(partition, offset) in from {
            assigned.add_partition_offset(topic, partition as i32, Offset::Offset(offset)).map_err(failed)?;
        }
        self.assigned = true;
        self.consumer.assign(&assigned).map_err(failed)?;
        for &(partition, _) in from {
            let queue = self.consumer.split_partition_queue(topic, partition as i32);
            let queue = queue.ok_or_else(|| unavailable("assigning partitions", "there is no such partition"))?;
            self.queues.insert(partition, queue);
        }
        Ok(())
    }

    fn poll(&mut self, wanted: &[u32], wait: Duration, got: &mut Vec<Got>) -> Result<(), ReadError> {
        // Errors of the whole client come here, and messages that were fetched before their queue was split off.
        for event in std::iter::from_fn(|| self.consumer.poll(Duration::ZERO)).take(POLL_MESSAGES) {
            got.extend(take(event)?);
        }
        let drain = |got: &mut Vec<Got>| {
            for queue in wanted.iter().filter_map(|partition| self.queues.get(partition)) {
                for event in std::iter::from_fn(|| queue.poll(Duration::ZERO)).take(POLL_MESSAGES) {
                    got.extend(take(event)?);
                }
            }
            Ok(())
        };
        drain(got)?;
        if !got.is_empty() {
            return Ok(());
        }
        let Some(first) = wanted.first().and_then(|partition| self.queues.get(partition)) else {
            std::thread::park_timeout(wait);
            return Ok(());
        };
        if let Some(event) = first.poll(wait) {
            got.extend(take(event)?);
            drain(got)?;
        }
        Ok(())
    }
}

/// Idempotent: what librdkafka sends again by itself comes once, and in order.
pub(super) struct RdProducer {
    config: ClientConfig,
    /// Made anew after an error that librdkafka cannot go on from.
    producer: Mutex<FutureProducer>,
}

impl RdProducer {
    pub fn new(brokers: &[String]) -> Result<Self, ReadError> {
        let mut config = config(brokers);
        config.set("enable.idempotence", "true");
        config.set("acks", "all");
        config.set("message.timeout.ms", LOG_TIMEOUT.as_millis().to_string());
        // The relay publishes in batches already: what waits goes out at once, and together.
        config.set("linger.ms", "0");
        config.set("compression.type", "none");
        let producer = config.create().map_err(|error| unavailable("making a Kafka producer", error))?;
        Ok(Self { config, producer: Mutex::new(producer) })
    }

    /// The producer to use now.
    fn producer(&self) -> Result<FutureProducer, LogError> {
        let mut producer = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, error)) = producer.client().fatal_error() {
            tracing::warn!(error, "the Kafka producer cannot go on; making another");
            *producer = self.config.create().map_err(failed)?;
        }
        Ok(producer.clone())
    }
}

fn failed(error: KafkaError) -> LogError {
    LogError::Unavailable(format!("publishing to Kafka: {error}"))
}

#[async_trait]
impl Producer for RdProducer {
    async fn send(&self, topic: &str, records: Vec<Record>) -> Result<(), LogError> {
        let producer = self.producer()?;
        let mut sent = Vec::with_capacity(records.len());
        for Record { partition, key, value } in &records {
            let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(topic).partition(*partition as i32);
            record.key = key.as_deref();
            record.payload = value.as_deref();
            sent.push(producer.send_result(record).map_err(|(error, _)| failed(error))?);
        }
        let deliveries = try_join_all(sent);
        // The producer gives up by itself a little earlier, with a reason.
        let told = timeout(LOG_TIMEOUT + Duration::from_secs(1), deliveries).await;
        let told = told.map_err(|_| LogError::Unavailable("publishing to Kafka: no answer in time".to_owned()))?;
        for delivery in told.map_err(|_| failed(KafkaError::Canceled))? {
            delivery.map_err(|(error, _)| failed(error))?;
        }
        Ok(())
    }
}

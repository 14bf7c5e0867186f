//! What the log needs of a Kafka client library: two small traits, the same for both libraries.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use super::options::{Driver, KafkaOptions};
use super::{librdkafka, rust_kafka};
use crate::ports::LogError;

/// Why reading did not work.
#[derive(Debug, Error)]
pub(super) enum ReadError {
    /// The log no longer has an offset that was asked for, or does not have it yet.
    #[error("an offset is out of range")]
    OutOfRange,
    /// Anything else. Trying again may help; the consumer reconnects by itself.
    #[error("{0}")]
    Unavailable(String),
}

impl From<ReadError> for LogError {
    fn from(error: ReadError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// What a consumer hands over.
#[derive(Debug)]
pub(super) enum Got {
    /// A message.
    Message { partition: u32, offset: i64, key: Box<[u8]>, value: Box<[u8]> },
    /// A partition was read to its present end. Told when the end is reached, not each time it is found again.
    End { partition: u32 },
}

/// Reads partitions. It blocks: it lives on a thread that may.
pub(super) trait Consumer: Send {
    /// Partitions of `topic`; none when there is no such topic, which this does not create.
    fn partitions(&mut self, topic: &str, wait: Duration) -> Result<Option<u32>, ReadError>;

    /// For each partition, the offset of the first message that is kept, and the one that the next message will have.
    fn bounds(&mut self, topic: &str, partitions: u32) -> Result<Vec<Range<i64>>, ReadError>;

    /// From now on reads these partitions of `topic` from these offsets on, and nothing else.
    fn start(&mut self, topic: &str, from: &[(u32, i64)]) -> Result<(), ReadError>;

    /// Appends to `got` what came for the `wanted` partitions. If there is nothing, waits for the first of them: the
    /// caller names the one it needs most first, and cannot go on without it.
    fn poll(&mut self, wanted: &[u32], wait: Duration, got: &mut Vec<Got>) -> Result<(), ReadError>;
}

/// A message to be written.
#[derive(Debug)]
pub(super) struct Record {
    pub partition: u32,
    pub key: Option<Box<[u8]>>,
    /// None: a tombstone, by which a compacted topic forgets the key.
    pub value: Option<Box<[u8]>>,
}

/// Writes messages.
#[async_trait]
pub(super) trait Producer: Send + Sync {
    /// Writes the records in the order given, until all in-sync replicas of each have it. Bounded in time; on an error
    /// any may have been written.
    async fn send(&self, topic: &str, records: Vec<Record>) -> Result<(), LogError>;
}

/// A consumer of the driver that is set. Makes no connection yet.
pub(super) fn consumer(options: &KafkaOptions) -> Result<Box<dyn Consumer>, ReadError> {
    Ok(match options.driver {
        Driver::Rdkafka => Box::new(librdkafka::RdConsumer::new(&options.brokers)?),
        Driver::Kafka => Box::new(rust_kafka::RustConsumer::new(&options.brokers)),
    })
}

/// A producer of the driver that is set. Makes no connection yet.
pub(super) fn producer(options: &KafkaOptions) -> Result<Box<dyn Producer>, ReadError> {
    Ok(match options.driver {
        Driver::Rdkafka => Box::new(librdkafka::RdProducer::new(&options.brokers)?),
        Driver::Kafka => Box::new(rust_kafka::RustProducer::new(&options.brokers)),
    })
}

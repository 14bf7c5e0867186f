//! The driver over rust-kafka, by the crate `kafka`: Rust only, for brokers up to 3.9.
//!
//! The library blocks and has time-outs of minutes that cannot be set. So it runs on threads of its own, which whoever
//! waits for them may leave behind. It keeps using a connection that broke: after any error the client is made anew.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use kafka::client::{FetchOffset, FetchPartition, KafkaClient, ProduceMessage, RequiredAcks};
use kafka::error::{Error, KafkaCode};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::driver::{Consumer, Got, Producer, ReadError, Record};
use crate::limits::LOG_TIMEOUT;
use crate::ports::LogError;

/// Bytes fetched from a partition at the first time: a look at one message should not cost megabytes, which the
/// broker must also convert for this library.
const FIRST_FETCH_BYTES: i32 = 64 << 10;
/// Bytes fetched at a time at the most. A message that is longer could never be read.
const FETCH_BYTES: i32 = 3 << 20;

fn connect(brokers: &[String]) -> Result<KafkaClient, Error> {
    let mut client = KafkaClient::new(brokers.to_vec());
    client.set_client_id("tributary".to_owned());
    // Of all topics: asking for one by name creates it where brokers do that.
    client.load_metadata_all()?;
    Ok(client)
}

fn unavailable(doing: &str, error: impl std::fmt::Display) -> ReadError {
    ReadError::Unavailable(format!("{doing}: {error}"))
}

/// Reads by single fetches.
pub(super) struct RustConsumer {
    brokers: Vec<String>,
    client: Option<KafkaClient>,
    topic: String,
    /// The next offset of each partition that is read.
    next: BTreeMap<u32, i64>,
    /// Bytes to fetch of each next.
    fetch_bytes: i32,
}

impl RustConsumer {
    pub fn new(brokers: &[String]) -> Self {
        Self { brokers: brokers.to_vec(), client: None, topic: String::new(), next: BTreeMap::new(), fetch_bytes: 0 }
    }

    /// Does something with a client, which is gone if that fails.
    fn with<T>(&mut self, doing: &str, f: impl FnOnce(&mut KafkaClient) -> Result<T, Error>) -> Result<T, ReadError> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => connect(&self.brokers).map_err(|error| unavailable("connecting to Kafka", error))?,
        };
        let done = f(&mut client).map_err(|error| unavailable(doing, error))?;
        self.client = Some(client);
        Ok(done)
    }

    /// Fetches once from these partitions.
    fn fetch(&mut self, wanted: &[u32], wait: Duration, got: &mut Vec<Got>) -> Result<(), ReadError> {
        let bytes = self.fetch_bytes;
        self.fetch_bytes = bytes.saturating_mul(2).min(FETCH_BYTES);
        let topic = std::mem::take(&mut self.topic);
        let from = wanted.iter().filter_map(|partition| Some((*partition, *self.next.get(partition)?)));
        let fetches: Vec<_> = from
            .map(|(partition, offset)| FetchPartition::new(&topic, partition as i32, offset).with_max_bytes(bytes))
            .collect();
        let fetched = self.with("reading from Kafka", |client| {
            client.set_fetch_max_wait_time(wait)?;
            client.set_fetch_min_bytes(1);
            client.fetch_messages(&fetches)
        });
        drop(fetches);
        self.topic = topic;
        let fetched = fetched?;
        let answers = fetched.iter().flat_map(|response| response.topics()).map(|topic| topic.partitions().len());
        if answers.sum::<usize>() < wanted.len() {
            return Err(self.no_leader("reading from Kafka"));
        }
        for response in fetched {
            for part in response.topics().iter().flat_map(|topic| topic.partitions()) {
                let partition = part.partition() as u32;
                let data = part.data().map_err(|error| self.refused(&error))?;
                let messages = data.messages();
                let behind = self.next.get(&partition).is_some_and(|next| *next < data.highwatermark_offset());
                // A message that is longer than what was fetched comes with the next, larger fetch.
                if messages.is_empty() && (!behind || bytes == FETCH_BYTES) {
                    got.push(Got::End { partition });
                }
                for message in messages {
                    self.next.insert(partition, message.offset + 1);
                    let (key, value) = (message.key.into(), message.value.into());
                    got.push(Got::Message { partition, offset: message.offset, key, value });
                }
            }
        }
        Ok(())
    }

    /// The library leaves out partitions that have no leader, without a word, and never looks for one: a new client
    /// does.
    fn no_leader(&mut self, doing: &str) -> ReadError {
        self.client = None;
        unavailable(doing, "a partition has no leader")
    }

    /// A partition's error. Another broker may lead it now, which a new client learns.
    fn refused(&mut self, error: &Error) -> ReadError {
        if let Error::Kafka(KafkaCode::OffsetOutOfRange) = error {
            return ReadError::OutOfRange;
        }
        self.client = None;
        unavailable("reading from Kafka", error)
    }
}

impl Consumer for RustConsumer {
    fn partitions(&mut self, topic: &str, _: Duration) -> Result<Option<u32>, ReadError> {
        self.with("asking Kafka for its topics", |client| {
            client.load_metadata_all()?;
            Ok(client.topics().partitions(topic).map(|partitions| partitions.len() as u32))
        })
    }

    fn bounds(&mut self, topic: &str, partitions: u32) -> Result<Vec<Range<i64>>, ReadError> {
        let doing = "asking Kafka for offsets";
        let (first, next) = self.with(doing, |client| {
            let mut ask = |which| -> Result<BTreeMap<i32, i64>, Error> {
                let told = client.fetch_topic_offsets(topic, which)?;
                Ok(told.into_iter().map(|told| (told.partition, told.offset)).collect())
            };
            Ok((ask(FetchOffset::Earliest)?, ask(FetchOffset::Latest)?))
        })?;
        let bounds = (0..partitions as i32).map(|partition| Some(*first.get(&partition)?..*next.get(&partition)?));
        bounds.collect::<Option<Vec<_>>>().ok_or_else(|| self.no_leader(doing))
    }

    fn start(&mut self, topic: &str, from: &[(u32, i64)]) -> Result<(), ReadError> {
        topic.clone_into(&mut self.topic);
        self.next = from.iter().copied().collect();
        self.fetch_bytes = FIRST_FETCH_BYTES;
        Ok(())
    }

    fn poll(&mut self, wanted: &[u32], wait: Duration, got: &mut Vec<Got>) -> Result<(), ReadError> {
        let Some(first) = wanted.first() else {
            std::thread::park_timeout(wait);
            return Ok(());
        };
        // The library asks brokers one after the other, so waits would add up: none for what is there, then one.
        self.fetch(wanted, Duration::ZERO, got)?;
        if !got.iter().any(|got| matches!(got, Got::Message { .. })) {
            self.fetch(&[*first], wait, got)?;
        }
        Ok(())
    }
}

/// Records to be written, and who waits for it.
struct Job {
    topic: String,
    records: Vec<Record>,
    done: oneshot::Sender<Result<(), Error>>,
}

/// Jobs that wait for the thread at the most.
const JOBS: usize = 16;

/// Writes on a thread of its own.
pub(super) struct RustProducer {
    brokers: Vec<String>,
    jobs: Mutex<mpsc::Sender<Job>>,
}

impl RustProducer {
    pub fn new(brokers: &[String]) -> Self {
        Self { brokers: brokers.to_vec(), jobs: Mutex::new(begin(brokers)) }
    }

    fn jobs(&self) -> mpsc::Sender<Job> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Leaves the thread behind, which may hang for minutes in a connection that is dead; it ends by itself.
    fn replace(&self, hanging: &mpsc::Sender<Job>) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.same_channel(hanging) {
            *jobs = begin(&self.brokers);
        }
    }
}

/// Starts a thread that writes until nobody can ask it any more.
fn begin(brokers: &[String]) -> mpsc::Sender<Job> {
    let (sender, mut jobs) = mpsc::channel::<Job>(JOBS);
    let brokers = brokers.to_vec();
    let work = move || {
        let mut client = None;
        while let Some(Job { topic, records, done }) = jobs.blocking_recv() {
            // A connection may have broken since the last job: that is worth a second try, and repetition is harmless.
            let written = match client.is_some().then(|| write(&mut client, &brokers, &topic, &records)) {
                Some(Ok(())) => Ok(()),
                _ => write(&mut client, &brokers, &topic, &records),
            };
            // Whoever waited may have given up.
            let _ = done.send(written);
        }
    };
    // A thread that does not start takes no jobs, and every `send` says so.
    if let Err(error) = std::thread::Builder::new().name("kafka-producer".to_owned()).spawn(work) {
        tracing::error!(%error, "a thread for Kafka does not start");
    }
    sender
}

/// Writes with a client, which is gone if that fails.
fn write(client: &mut Option<KafkaClient>, brokers: &[String], topic: &str, records: &[Record]) -> Result<(), Error> {
    let mut used = match client.take() {
        Some(client) => client,
        None => connect(brokers)?,
    };
    let messages = records.iter().map(|Record { partition, key, value }| {
        ProduceMessage::new(topic, *partition as i32, key.as_deref(), value.as_deref())
    });
    for confirmed in used.produce_messages(RequiredAcks::All, LOG_TIMEOUT, messages)? {
        for partition in confirmed.partition_confirms {
            partition.offset.map_err(Error::Kafka)?;
        }
    }
    *client = Some(used);
    Ok(())
}

#[async_trait]
impl Producer for RustProducer {
    async fn send(&self, topic: &str, records: Vec<Record>) -> Result<(), LogError> {
        let failed = |why: &str| LogError::Unavailable(format!("publishing to Kafka: {why}"));
        let jobs = self.jobs();
        let (done, told) = oneshot::channel();
        let job = Job { topic: topic.to_owned(), records, done };
        let write = async { if jobs.send(job).await.is_ok() { told.await.ok() } else { None } };
        let Ok(told) = timeout(LOG_TIMEOUT, write).await else {
            self.replace(&jobs);
            return Err(failed("no answer in time"));
        };
        let Some(told) = told else {
            self.replace(&jobs);
            return Err(failed("its thread ended"));
        };
        told.map_err(|error| failed(&error.to_string()))
    }
}

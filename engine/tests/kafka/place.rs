//! Where tests run: brokers, a driver, and topics of a test's own.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tributary_engine::kafka::{Driver, KafkaLog, KafkaOptions, migrate};
use tributary_engine::model::{Epoch, Event, LoggedEvent, NumberedEvent, Position};
use tributary_engine::ports::{Log, LogReader};

/// The epoch of these tests' events.
pub const EPOCH: Epoch = Epoch(7);
/// Waiting takes no longer, or something hangs.
pub const WAIT: Duration = Duration::from_secs(30);

/// Brokers and a driver, with the topics that were made there.
pub struct Place {
    brokers: Vec<String>,
    driver: Driver,
    topics: RefCell<Vec<String>>,
}

/// Every driver with every release that it speaks to and that is there.
pub fn places() -> Vec<Place> {
    let places = [
        ("TRIBUTARY_TEST_KAFKA", Driver::Rdkafka),
        ("TRIBUTARY_TEST_KAFKA_39", Driver::Rdkafka),
        ("TRIBUTARY_TEST_KAFKA_39", Driver::Kafka),
    ];
    places.into_iter().filter_map(|(variable, driver)| place(variable, driver)).collect()
}

/// The brokers that a variable names.
pub fn place(variable: &str, driver: Driver) -> Option<Place> {
    let Ok(brokers) = std::env::var(variable) else {
        eprintln!("skipped: {variable} is not set");
        return None;
    };
    Some(Place { brokers: brokers.split(',').map(str::to_owned).collect(), driver, topics: RefCell::default() })
}

impl Place {
    /// Options for a topic that is not there.
    pub fn options(&self, partitions: u32) -> KafkaOptions {
        let topic = format!("test-{:016x}", fastrand::u64(..));
        self.topics.borrow_mut().extend([topic.clone(), format!("{topic}.dead")]);
        KafkaOptions { brokers: self.brokers.clone(), topic, partitions, driver: self.driver }
    }

    /// Options for a new topic.
    pub async fn migrated(&self, partitions: u32) -> KafkaOptions {
        let options = self.options(partitions);
        migrate(&options).await.expect("the topics are made");
        options
    }

    /// The log in a new topic.
    pub async fn log(&self, partitions: u32) -> Arc<KafkaLog> {
        KafkaLog::open(self.migrated(partitions).await).await.expect("the log opens")
    }

    pub fn admin(&self) -> AdminClient<DefaultClientContext> {
        config(&self.brokers).create().expect("an admin client")
    }

    /// Writes something to a topic past the log.
    pub async fn write(&self, topic: &str, partition: i32, value: &[u8]) {
        let producer: FutureProducer = config(&self.brokers).create().expect("a producer");
        let record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(topic).partition(partition).payload(value);
        producer.send(record, WAIT).await.expect("Kafka takes a message");
    }

    /// Deletes the topics that were made.
    pub async fn clear(&self) {
        let topics = self.topics.take();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        if !topics.is_empty() {
            self.admin().delete_topics(&topics, &AdminOptions::new()).await.expect("the topics are deleted");
        }
    }
}

pub fn config(brokers: &[String]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers.join(","));
    config
}

/// Event `number` of `epoch`.
pub fn event(epoch: Epoch, number: u64) -> LoggedEvent {
    LoggedEvent::new(epoch, NumberedEvent { position: Position(number), event: Event::Tuned { version: number } })
}

/// Events of `EPOCH` with these numbers.
pub fn events(numbers: impl IntoIterator<Item = u64>) -> Vec<LoggedEvent> {
    numbers.into_iter().map(|number| event(EPOCH, number)).collect()
}

/// Reads until `count` events have come.
pub async fn read(reader: &mut dyn LogReader, count: usize) -> Vec<LoggedEvent> {
    let mut all = Vec::new();
    while all.len() < count {
        let some = tokio::time::timeout(WAIT, reader.next()).await.expect("the reader wakes");
        all.extend(some.expect("the log is read"));
    }
    all
}

/// The first events that come after `after`.
pub async fn read_after(log: &dyn Log, epoch: Epoch, after: u64, count: usize) -> Vec<LoggedEvent> {
    let mut reader = log.follow(epoch, Position(after)).await.expect("the log is followed");
    read(&mut *reader, count).await
}

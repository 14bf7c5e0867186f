//! What is done to the topic behind everybody's back: messages that come again, and one that nobody understands.

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use crate::nodes::{PARTITIONS, done_well};
use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(20);

/// Publishes the last `most` messages of each partition once more.
pub async fn repeat_messages(world: &World, most: i64) -> usize {
    let (broker, topic) = (world.services.kafka.clone(), world.nodes.topic.clone());
    tokio::task::spawn_blocking(move || (0..PARTITIONS).map(|part| repeat(&broker, &topic, part as i32, most)).sum())
        .await
        .unwrap()
}

fn repeat(broker: &str, topic: &str, partition: i32, most: i64) -> usize {
    let consumer: BaseConsumer =
        config(broker).set("group.id", "nobody").set("enable.auto.commit", "false").create().unwrap();
    let (low, high) = consumer.fetch_watermarks(topic, partition, PATIENCE).unwrap();
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(topic, partition, Offset::Offset(low.max(high - most))).unwrap();
    consumer.assign(&place).unwrap();
    let (mut values, until) = (Vec::new(), Instant::now() + PATIENCE);
    let mut next = low.max(high - most);
    while next < high {
        assert!(Instant::now() < until, "partition {partition} cannot be read");
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let message = message.unwrap();
            next = message.offset() + 1;
            values.push(message.payload().unwrap().to_vec());
        }
    }
    send(broker, topic, partition, &values);
    values.len()
}

fn send(broker: &str, topic: &str, partition: i32, values: &[Vec<u8>]) {
    let producer: BaseProducer = config(broker).create().unwrap();
    for value in values {
        let record = BaseRecord::<(), _>::to(topic).partition(partition).payload(value);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

fn config(broker: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker);
    config
}

/// Waits until each partition has a leader again: a broker answers before it has read its own log.
pub async fn until_led(world: &World) {
    let led = async || {
        let (broker, topic) = (world.services.kafka.clone(), world.nodes.topic.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = config(&broker).create().unwrap();
            let found = consumer.fetch_metadata(Some(&topic), PATIENCE).ok()?;
            let partitions = found.topics().first()?.partitions();
            let led = partitions.iter().all(|part| part.error().is_none() && part.leader() >= 0);
            (led && partitions.len() == PARTITIONS as usize).then_some(())
        });
        asked.await.unwrap()
    };
    world.until("the partitions have leaders", led).await;
}

/// Lets the store tell of something that nobody here understands, as a newer version might: a hole in the log, for
/// every node.
pub async fn say_something_unknown(world: &World) {
    world.sql("INSERT INTO outbox (event) VALUES ('\\xee6e6f626f6479206b6e6f7773')").await;
    let letters = async || {
        let told = done_well(world.nodes.run(&["dead", "list", "--json", "--config", "api-0.toml"]).await);
        told.contains("\"bytes\":\"ee6e6f626f6479206b6e6f7773\"").then_some(())
    };
    world.until("the event is a dead letter", letters).await;
}

/// Forgets the dead letter.
pub async fn drop_what_is_unknown(world: &World) {
    let told = done_well(world.nodes.run(&["dead", "drop", "--all", "--config", "api-0.toml"]).await);
    assert!(told.contains("1 dropped"), "{told}");
}

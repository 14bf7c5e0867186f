//! Whether the log can be used as it is set: asked once, at start, so that a mistake is told instead of hanging.

use super::driver::{Consumer, ReadError};
use super::message;
use super::options::{Driver, KafkaOptions, SetupError};
use super::tail;
use crate::limits::LOG_TIMEOUT;

/// Newest messages of each partition that are looked at. A foreign one among ours is a dead letter, not a mistake.
const LOOKED_AT: i64 = 16;

/// # Errors
/// What is wrong with it.
pub(super) fn check(consumer: &mut dyn Consumer, options: &KafkaOptions) -> Result<(), SetupError> {
    let unreachable =
        |error: ReadError| SetupError::Unreachable { brokers: options.brokers.join(", "), why: error.to_string() };
    // They have answered before.
    let broke_off = |error: ReadError| match options.driver {
        Driver::Kafka => SetupError::Driver(error.to_string()),
        Driver::Rdkafka => unreachable(error),
    };
    for (topic, set) in [(options.topic.clone(), options.partitions), (options.dead_topic(), 1)] {
        match consumer.partitions(&topic, LOG_TIMEOUT).map_err(unreachable)? {
            None => return Err(SetupError::NoTopic(topic)),
            Some(found) if found != set => return Err(SetupError::Partitions { topic, set, found }),
            Some(_) => {}
        }
    }
    let bounds = consumer.bounds(&options.topic, options.partitions).map_err(broke_off)?;
    let (mut ours, mut foreign) = (0, 0);
    tail::read(consumer, &options.topic, &tail::last(&bounds, LOOKED_AT), |(_, value)| {
        *if message::decode(&value).is_some() { &mut ours } else { &mut foreign } += 1;
    })
    .map_err(broke_off)?;
    if ours == 0 && foreign > 0 {
        return Err(SetupError::Foreign(options.topic.clone()));
    }
    Ok(())
}

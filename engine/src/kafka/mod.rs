//! The Log port over Apache Kafka: one message an event, spread over the partitions by number, and put back into one
//! gapless order by number (laws 6 and 9). Kafka keeps and hands on; it decides nothing.
//!
//! - An event is a message of the partition that its number says ([`message`]). Partitions are assigned by hand: no
//!   group, no commits.
//! - A reader ([`reader`]) finds where to begin in each partition ([`seek`]), and merges them ([`order`]).
//! - Two drivers ([`driver`]): librdkafka for all brokers, and rust-kafka, in Rust only, for brokers up to 3.9. Both
//!   are read by blocking code on threads of its own, so that seeking, merging and dead letters are written once.
//! - Dead letters are a compacted topic beside it ([`dead`]). [`migrate`] makes both topics.

mod check;
mod dead;
mod driver;
mod librdkafka;
mod log;
mod message;
mod migrate;
mod options;
mod order;
mod reader;
mod rust_kafka;
mod seek;
mod tail;

pub use log::KafkaLog;
pub use migrate::migrate;
pub use options::{Driver, KafkaOptions, SetupError};

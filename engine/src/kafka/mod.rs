//! The Log port over Apache Kafka.

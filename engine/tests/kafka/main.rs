//! The log over Kafka, held against the suite of its port and against what can be wrong around it. Brokers are named
//! by `TRIBUTARY_TEST_KAFKA` (any release) and `TRIBUTARY_TEST_KAFKA_39` (3.9, for both drivers); without them the
//! tests are skipped, and say so.

mod contract;
mod faults;
mod histories;
mod place;
mod setup;
mod speed;

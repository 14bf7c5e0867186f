//! The suite of the port, over every driver and release; and the faulty decorator over one.

use std::sync::Arc;

use tributary_engine::kafka::Driver;
use tributary_engine::ports::Log;
use tributary_engine::testkit::contract::log::{self, Source};
use tributary_engine::testkit::faulty::{Fault, Faults, FaultyLog};

use crate::place::place;

async fn keeps_the_laws(variable: &str, driver: Driver, decorate: impl Fn(Arc<dyn Log>) -> Arc<dyn Log>) {
    let Some(place) = place(variable, driver) else { return };
    log::run(async || Source::numbered_here(decorate(place.log(3).await))).await;
    place.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn librdkafka_keeps_the_laws_of_logs() {
    keeps_the_laws("TRIBUTARY_TEST_KAFKA", Driver::Rdkafka, |log| log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn librdkafka_keeps_the_laws_of_logs_with_kafka_3_9() {
    keeps_the_laws("TRIBUTARY_TEST_KAFKA_39", Driver::Rdkafka, |log| log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_kafka_keeps_the_laws_of_logs_with_kafka_3_9() {
    keeps_the_laws("TRIBUTARY_TEST_KAFKA_39", Driver::Kafka, |log| log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_repeats_keeps_the_laws_of_logs() {
    keeps_the_laws("TRIBUTARY_TEST_KAFKA", Driver::Rdkafka, |log| {
        let faults = Faults::new(fastrand::u64(..));
        for fault in [Fault::PublishedAgain, Fault::EventsRepeated, Fault::EventsFew] {
            faults.set(fault, 0.5);
        }
        Arc::new(FaultyLog::new(log, faults))
    })
    .await;
}

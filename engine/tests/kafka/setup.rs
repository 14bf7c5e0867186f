//! What is set wrongly is told at start, with the name of the setting.

use std::time::{Duration, Instant};

use tributary_engine::kafka::{Driver, KafkaLog, KafkaOptions, SetupError, migrate};
use tributary_engine::ports::Log;

use crate::place::{EPOCH, events, place, places, read_after};

async fn refused(options: KafkaOptions) -> SetupError {
    let begun = Instant::now();
    let refused = KafkaLog::open(options).await.err().expect("the log does not open");
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_does_not_fit_is_told() {
    for place in places() {
        let options = place.options(3);
        let error = refused(options.clone()).await;
        assert_eq!(error, SetupError::NoTopic(options.topic.clone()));
        assert!(error.to_string().contains("log.topic") && error.to_string().contains("tributary migrate"), "{error}");
        migrate(&options).await.unwrap();
        KafkaLog::open(options.clone()).await.unwrap();

        let four = KafkaOptions { partitions: 4, ..options.clone() };
        for error in [refused(four.clone()).await, migrate(&four).await.unwrap_err()] {
            assert_eq!(error, SetupError::Partitions { topic: options.topic.clone(), set: 4, found: 3 });
            let told = error.to_string();
            assert!(told.contains("log.partitions is 4") && told.contains("3 partitions"), "{told}");
        }
        place.clear().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_again_changes_nothing() {
    for place in places() {
        let options = place.migrated(3).await;
        let log = KafkaLog::open(options.clone()).await.unwrap();
        log.publish(&events(1..=9)).await.unwrap();
        migrate(&options).await.unwrap();
        assert_eq!(read_after(&*log, EPOCH, 0, 9).await, events(1..=9));
        // The topic of dead letters does not do for events, nor one of events for dead letters.
        let swapped = KafkaOptions { topic: options.topic.clone() + ".dead", partitions: 1, ..options.clone() };
        let error = migrate(&swapped).await.unwrap_err();
        assert!(matches!(error, SetupError::TopicSetting { setting: "cleanup.policy", .. }), "{error}");
        place.clear().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_do_not_answer_are_told() {
    // A port that nobody listens on, and one where nobody answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    for driver in [Driver::Rdkafka, Driver::Kafka] {
        for broker in ["127.0.0.1:1".to_owned(), silent.clone()] {
            let options = KafkaOptions { brokers: vec![broker], topic: "none".to_owned(), partitions: 3, driver };
            let error = refused(options.clone()).await;
            assert!(matches!(error, SetupError::Unreachable { .. }), "{error}");
            assert!(error.to_string().contains("log.brokers"), "{error}");
        }
    }
    let options = KafkaOptions {
        brokers: vec!["127.0.0.1:1".to_owned()],
        topic: "none".to_owned(),
        partitions: 3,
        driver: Driver::Rdkafka,
    };
    assert!(matches!(migrate(&options).await, Err(SetupError::Unreachable { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn impossible_settings_are_told_without_asking_anybody() {
    let good = KafkaOptions {
        brokers: vec!["127.0.0.1:1".to_owned()],
        topic: "tributary".to_owned(),
        partitions: 3,
        driver: Driver::Rdkafka,
    };
    let wrong = [
        ("log.brokers", KafkaOptions { brokers: vec![], ..good.clone() }),
        ("log.brokers", KafkaOptions { brokers: vec!["kafka".to_owned()], ..good.clone() }),
        ("log.topic", KafkaOptions { topic: "two words".to_owned(), ..good.clone() }),
        ("log.partitions", KafkaOptions { partitions: 0, ..good.clone() }),
    ];
    for (name, options) in wrong {
        let error = refused(options).await;
        assert!(matches!(error, SetupError::Setting { setting, .. } if setting == name), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_of_something_else_is_told() {
    for place in places() {
        let options = place.migrated(3).await;
        for partition in 0..3 {
            place.write(&options.topic, partition, b"{\"not\": \"an event\"}").await;
        }
        let error = refused(options.clone()).await;
        assert_eq!(error, SetupError::Foreign(options.topic.clone()));
        assert!(error.to_string().contains("log.topic"), "{error}");
        place.clear().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_are_too_new_for_rust_kafka_are_told() {
    let Some(place) = place("TRIBUTARY_TEST_KAFKA", Driver::Kafka) else { return };
    let error = refused(place.migrated(3).await).await;
    assert!(matches!(error, SetupError::Driver(_)), "{error}");
    assert!(error.to_string().contains("log.driver"), "{error}");
    place.clear().await;
}

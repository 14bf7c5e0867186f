//! What goes wrong around a log that runs.

use std::time::{Duration, Instant};

use tributary_engine::kafka::{Driver, KafkaLog};
use tributary_engine::model::{Epoch, Position};
use tributary_engine::ports::Log;

use crate::place::{EPOCH, WAIT, events, places, read, read_after};

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_not_ours_become_dead_letters_and_stop_nothing() {
    for place in places() {
        let options = place.migrated(3).await;
        let log = KafkaLog::open(options.clone()).await.unwrap();
        log.publish(&events(1..=5)).await.unwrap();
        place.write(&options.topic, 2, b"{}").await;
        place.write(&options.topic, 0, b"").await;
        // A node may be started all the same.
        let again = KafkaLog::open(options).await.unwrap();
        assert_eq!(log.newest(EPOCH).await.unwrap().unwrap(), events([5])[0]);
        log.publish(&events(6..=10)).await.unwrap();
        let mut reader = log.follow(EPOCH, Position(0)).await.unwrap();
        assert_eq!(read(&mut *reader, 10).await, events(1..=10));
        assert_eq!(read_after(&*again, EPOCH, 4, 6).await, events(5..=10));
        let begun = Instant::now();
        let letters = loop {
            // Events come whatever is in the other partitions: somebody has to read on there.
            let more = tokio::time::timeout(Duration::from_millis(50), reader.next()).await;
            assert!(more.is_err(), "{more:?}");
            let letters = log.dead_letters().await.unwrap();
            if letters.len() == 2 {
                break letters;
            }
            assert!(begun.elapsed() < WAIT, "{letters:?}");
        };
        let kept: Vec<_> = letters.iter().map(|letter| (letter.event.epoch, &*letter.event.bytes)).collect();
        assert_eq!(kept, [(Epoch(0), &b""[..]), (Epoch(0), &b"{}"[..])]);
        assert!(letters[1].reason.contains("partition 2"), "{}", letters[1].reason);
        place.clear().await;
    }
}

/// Threads of this process.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map(Iterator::count).unwrap_or_default()
}

/// Alone, since it counts the threads of the process.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "counts the threads of its process: run it alone"]
async fn dropped_readers_leave_nothing_behind() {
    for place in places() {
        let log = place.log(3).await;
        log.publish(&events(1..=10)).await.unwrap();
        assert_eq!(read_after(&*log, EPOCH, 0, 10).await.len(), 10);
        let before = threads();
        for round in 0..200 {
            // Some read, some never do.
            let mut reader = log.follow(EPOCH, Position(round % 10)).await.unwrap();
            if round % 2 == 0 {
                read(&mut *reader, 1).await;
            }
        }
        let begun = Instant::now();
        while threads() > before + 2 {
            assert!(begun.elapsed() < WAIT, "{} threads, {before} before", threads());
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        println!("{} threads before, {} after, settled in {:?}", before, threads(), begun.elapsed());
        place.clear().await;
    }
}

/// Restarts the brokers of a set of services that the variable names.
fn services(deed: &str, name: &str) -> bool {
    let Ok(folder) = std::env::var("TRIBUTARY_TEST_SERVICES") else { return false };
    let native = std::env::var("TRIBUTARY_TEST_NATIVE").unwrap_or_else(|_| "../compose/native.py".to_owned());
    let done = std::process::Command::new("python3").args([&native, "--folder", &folder, deed, name]).status();
    done.expect("the services are told").success()
}

/// Alone, since it restarts the broker under the other tests.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "restarts the brokers: run it alone"]
async fn a_broker_that_restarts_is_found_again() {
    for (variable, name, driver) in
        [("TRIBUTARY_TEST_KAFKA", "kafka", Driver::Rdkafka), ("TRIBUTARY_TEST_KAFKA_39", "kafka39", Driver::Kafka)]
    {
        let Some(place) = crate::place::place(variable, driver) else { continue };
        let log = place.log(3).await;
        log.publish(&events(1..=10)).await.unwrap();
        let mut reader = log.follow(EPOCH, Position::ZERO).await.unwrap();
        assert_eq!(read(&mut *reader, 10).await, events(1..=10));
        for (deed, numbers) in [("stop", 11..=20), ("kill", 21..=30)] {
            assert!(services(deed, name), "needs TRIBUTARY_TEST_SERVICES");
            let begun = Instant::now();
            assert!(log.reach().await.is_err());
            assert!(begun.elapsed() < std::time::Duration::from_millis(1_500), "{:?}", begun.elapsed());
            let begun = Instant::now();
            assert!(log.publish(&events(numbers.clone())).await.is_err());
            println!("{name} {deed}: publishing failed after {:?}", begun.elapsed());
            assert!(log.follow(EPOCH, Position::ZERO).await.is_err());
            println!("{name} {deed}: the reader says {:?}", reader.next().await);
            assert!(services("start", name));
            let back = Instant::now();
            while log.publish(&events(numbers.clone())).await.is_err() {}
            println!("{name} {deed}: published {:?} after it was back", back.elapsed());
            // The same reader goes on.
            let mut seen = Vec::new();
            while seen.last() != events([*numbers.end()]).last() {
                seen.extend(tokio::time::timeout(WAIT, reader.next()).await.unwrap().unwrap_or_default());
            }
            assert_eq!(seen, events(numbers), "{name} {deed}");
            println!("{name} {deed}: read {:?} after it was back", back.elapsed());
            assert!(log.reach().await.is_ok());
        }
        place.clear().await;
    }
}

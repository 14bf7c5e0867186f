//! How fast it is: figures to be read, run alone.

use std::time::{Duration, Instant};

use tributary_engine::limits::EVENTS_BATCH;
use tributary_engine::model::{Event, Position};
use tributary_engine::ports::Log;

use crate::place::{EPOCH, WAIT, events, places, read};

fn quantiles(mut latencies: Vec<Duration>) -> String {
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    format!("p50 {:?}, p99 {:?}, most {:?}", at(0.5), at(0.99), at(1.0))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures: run it alone"]
async fn publishing_and_following() {
    for (place, name) in places().into_iter().zip(["rdkafka, 4.1", "rdkafka, 3.9", "kafka, 3.9"]) {
        let log = place.log(12).await;
        let mut reader = log.follow(EPOCH, Position::ZERO).await.unwrap();
        let mut number = 0;

        // One event, seen, a pause: what an idle node's client waits for.
        let mut idle = Vec::new();
        for _ in 0..300 {
            number += 1;
            let begun = Instant::now();
            let event = events([number]);
            let (published, seen) = tokio::join!(log.publish(&event), read(&mut *reader, 1));
            published.unwrap();
            idle.push(begun.elapsed());
            assert_eq!(seen, event);
            tokio::time::sleep(Duration::from_millis(fastrand::u64(5..30))).await;
        }
        println!("{name}: idle, publish to seen: {}", quantiles(idle));

        // 2,000 events/s as a relay would: what has come meanwhile is one batch.
        let begun = Instant::now();
        let (first, count) = (number, 10_000_u64);
        let due = |n: u64| Duration::from_micros((n - first) * 500);
        let relay = async {
            let mut next = first + 1;
            while next <= first + count {
                let now = begun.elapsed();
                let end = (next..=first + count).find(|&n| due(n) > now).unwrap_or(first + count + 1);
                if end == next {
                    tokio::time::sleep(Duration::from_micros(200)).await;
                    continue;
                }
                log.publish(&events(next..end)).await.unwrap();
                next = end;
            }
        };
        let follow = async {
            let mut latencies = Vec::new();
            while latencies.len() < count as usize {
                let batch = tokio::time::timeout(WAIT, reader.next()).await.unwrap().unwrap();
                let now = begun.elapsed();
                latencies.extend(batch.iter().map(|event| match event.decode().unwrap().event {
                    Event::Tuned { version } => now.saturating_sub(due(version)),
                    other => panic!("{other:?}"),
                }));
            }
            latencies
        };
        let ((), latencies) = tokio::join!(relay, follow);
        println!("{name}: 2,000 events/s, due to seen: {}", quantiles(latencies));
        number += count;

        let begun = Instant::now();
        let all = events(number + 1..=number + 200_000);
        for batch in all.chunks(EVENTS_BATCH) {
            log.publish(batch).await.unwrap();
        }
        let took = begun.elapsed();
        println!("{name}: published {:.0} events/s", all.len() as f64 / took.as_secs_f64());
        drop(reader);
        let begun = Instant::now();
        let mut reader = log.follow(EPOCH, Position(number)).await.unwrap();
        println!("{name}: followed from the middle after {:?}", begun.elapsed());
        assert_eq!(read(&mut *reader, all.len()).await, all);
        println!("{name}: read {:.0} events/s", all.len() as f64 / begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        log.newest(EPOCH).await.unwrap().unwrap();
        println!("{name}: newest in {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
        let begun = Instant::now();
        log.reach().await.unwrap();
        println!("{name}: reached in {:?}", begun.elapsed());
        place.clear().await;
    }
}

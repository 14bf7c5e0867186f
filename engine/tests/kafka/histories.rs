//! What a reader is shown of what a topic holds: its own history, from the place it asks for, in order.

use std::time::{Duration, Instant};

use rdkafka::admin::AdminOptions;
use rdkafka::{Offset, TopicPartitionList};
use tributary_engine::kafka::KafkaLog;
use tributary_engine::limits::{EVENTS_BATCH, LOG_GAP_WAIT};
use tributary_engine::model::{Epoch, Position};
use tributary_engine::ports::{Log, LogError};

use crate::place::{EPOCH, event, events, places, read, read_after};

const NEW: Epoch = Epoch(8);

#[tokio::test(flavor = "multi_thread")]
async fn events_of_another_epoch_are_not_shown() {
    for place in places() {
        let log = place.log(3).await;
        let old = events(1..=2_000);
        log.publish(&old).await.unwrap();
        assert_eq!(log.newest(NEW).await, Ok(None));
        let mut waiting = log.follow(NEW, Position(1_500)).await.unwrap();
        // A restore: numbers start lower again.
        let new: Vec<_> = (1_501..=1_600).map(|number| event(NEW, number)).collect();
        log.publish(&new).await.unwrap();
        assert_eq!(read(&mut *waiting, 100).await, new);
        assert_eq!(read_after(&*log, NEW, 1_500, 100).await, new);
        assert_eq!(read_after(&*log, NEW, 1_550, 50).await, new[50..]);
        assert_eq!(read_after(&*log, EPOCH, 0, 2_000).await, old);
        assert_eq!(log.newest(NEW).await.unwrap().unwrap(), new[99]);
        assert_eq!(log.newest(EPOCH).await.unwrap().unwrap(), old[1_999]);
        place.clear().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_number_is_given_up_after_a_second() {
    for place in places() {
        let log = place.log(3).await;
        let mut reader = log.follow(EPOCH, Position::ZERO).await.unwrap();
        log.publish(&events([1, 2, 3, 5, 6, 7])).await.unwrap();
        assert_eq!(read(&mut *reader, 3).await, events(1..=3));
        let begun = Instant::now();
        assert_eq!(read(&mut *reader, 3).await, events(5..=7));
        let waited = begun.elapsed();
        assert!(waited > LOG_GAP_WAIT / 2 && waited < 3 * LOG_GAP_WAIT, "{waited:?}");
        // What comes next comes at once; what comes late, before it was given up, is in order.
        log.publish(&events([9])).await.unwrap();
        tokio::time::sleep(LOG_GAP_WAIT / 4).await;
        log.publish(&events([8])).await.unwrap();
        assert_eq!(read(&mut *reader, 2).await, events(8..=9));
        place.clear().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_begins_in_the_middle_of_a_long_log() {
    for place in places() {
        for partitions in [1, 12] {
            let log = place.log(partitions).await;
            let all = events(1..=20_000);
            let batch = 8_000..8_000 + EVENTS_BATCH;
            log.publish(&all[..batch.end]).await.unwrap();
            // A relay that heard nothing publishes its last batch again, and once more.
            log.publish(&all[batch.clone()]).await.unwrap();
            log.publish(&all[batch.start..]).await.unwrap();
            for after in [0, 7_999, 8_000, 10_000, 12_096, 12_097, 19_998, 19_999] {
                let begun = Instant::now();
                assert_eq!(read_after(&*log, EPOCH, after as u64, 20_000 - after).await, all[after..]);
                assert!(begun.elapsed() < Duration::from_secs(5), "{:?} from {after}", begun.elapsed());
            }
            assert_eq!(log.newest(EPOCH).await.unwrap().as_ref(), all.last());
            // A relay that was held up publishes an old batch behind it all.
            log.publish(&all[9_000..9_000 + EVENTS_BATCH]).await.unwrap();
            assert_eq!(log.newest(EPOCH).await.unwrap().as_ref(), all.last());
            assert_eq!(read_after(&*log, EPOCH, 15_000, 5_000).await, all[15_000..]);
        }
        place.clear().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_longer_kept_is_told() {
    for place in places() {
        let options = place.migrated(3).await;
        let log = KafkaLog::open(options.clone()).await.unwrap();
        let all = events(1..=9_000);
        log.publish(&all).await.unwrap();
        let mut behind = log.follow(EPOCH, Position::ZERO).await.unwrap();
        assert_eq!(read(&mut *behind, 1).await[0], all[0]);
        let number = |partition: u64, offset: usize| {
            (1..).filter(|number| number / 64 % 3 == partition).nth(offset).expect("there are enough numbers")
        };
        let mut gone = TopicPartitionList::new();
        for (partition, offset) in [(0, 1_000), (1, 1_500), (2, 500)] {
            gone.add_partition_offset(&options.topic, partition, Offset::Offset(offset)).unwrap();
        }
        place.admin().delete_records(&gone, &AdminOptions::new()).await.unwrap();
        // As if the log began behind the last that is gone.
        let last = number(1, 1_499);
        let oldest = Position(last);
        for after in [0, number(2, 499), last - 1] {
            let trimmed = log.follow(EPOCH, Position(after)).await.err();
            assert_eq!(trimmed, Some(LogError::Trimmed { oldest }), "after {after}");
        }
        let kept = &all[last as usize..];
        assert_eq!(read_after(&*log, EPOCH, last, kept.len()).await, kept);
        // Everything is gone: the log has nothing to tell of what was.
        gone.set_all_offsets(Offset::End).unwrap();
        place.admin().delete_records(&gone, &AdminOptions::new()).await.unwrap();
        assert_eq!(log.newest(EPOCH).await, Ok(None));
        log.publish(&events([9_001])).await.unwrap();
        assert_eq!(read_after(&*log, EPOCH, 9_000, 1).await, events([9_001]));
        place.clear().await;
    }
}

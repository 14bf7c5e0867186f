//! The laws of a log: one gapless sequence, repeated at will, for any number of readers that start anywhere.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::laws;
use crate::limits;
use crate::model::{
    ChangedBy, Command, CommandKey, DeadLetter, Epoch, Event, LoggedEvent, NumberedEvent, Position, Request, UserId,
};
use crate::ports::{Log, LogError, LogReader, Store};

/// A log, with a way to make events for it.
pub struct Source {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The epoch of its events.
    pub epoch: Epoch,
    /// Makes so many further numbered events; the suite publishes them.
    pub make: Box<dyn Fn(usize) -> BoxFuture<'static, Vec<LoggedEvent>> + Send + Sync>,
}

impl Source {
    /// A log whose events come out of `store`: each is a tuning version, numbered by the store.
    pub async fn over_store(log: Arc<dyn Log>, store: Arc<dyn Store>) -> Self {
        let epoch = store.epoch(None).await.expect("the store has an epoch");
        let keys = Arc::new(AtomicU64::new(0));
        let make = move |count: usize| {
            let (store, keys) = (store.clone(), keys.clone());
            async move {
                let settings = store.tuning().await.expect("the store has a tuning").settings;
                for _ in 0..count {
                    let key = keys.fetch_add(1, Ordering::Relaxed).to_string().into_bytes().into();
                    let key = CommandKey { key, fingerprint: [0; 16] };
                    let command = Command::Tune { expected: None, settings, by: ChangedBy::Config };
                    let request = Request { actor: UserId::default(), key, command };
                    store.commit(&request).await.expect("the tuning changes");
                }
                let mut made = Vec::new();
                while made.len() < count {
                    // Marking is the relay's affair after publishing; here the suite publishes everything it gets.
                    let some = store.number_events(count - made.len()).await.expect("the store numbers");
                    let last = some.last().expect("as many events as commands").position;
                    store.mark_published(last).await.expect("the store marks");
                    made.extend(some);
                }
                made
            }
            .boxed()
        };
        Self { log, epoch, make: Box::new(make) }
    }

    /// A log that takes whatever is published: events are numbered here, from 1.
    pub fn numbered_here(log: Arc<dyn Log>) -> Self {
        let last = Arc::new(Mutex::new(Position::ZERO));
        let make = move |count: usize| {
            let mut last = last.lock().expect("counting does not panic");
            let made = std::iter::repeat_with(|| {
                *last = last.next();
                LoggedEvent::new(EPOCH, NumberedEvent { position: *last, event: Event::Tuned { version: last.0 } })
            });
            futures::future::ready(made.take(count).collect()).boxed()
        };
        Self { log, epoch: EPOCH, make: Box::new(make) }
    }

    async fn publish(&self, count: usize) -> Vec<LoggedEvent> {
        let events = (self.make)(count).await;
        self.log.publish(&events).await.expect("the log publishes");
        events
    }

    async fn follow(&self, after: Position) -> Follower {
        let (log, epoch) = (self.log.clone(), self.epoch);
        let reader = log.follow(epoch, after).await.expect("the log is followed");
        Follower { log, epoch, reader, at: after, seen: BTreeMap::new(), troubles: 0 }
    }
}

/// Holds a log against every law of the port.
///
/// # Panics
/// When it breaks one; the message names them.
pub async fn run(make: impl AsyncFn() -> Source) {
    laws!(
        "log",
        make,
        events_come_in_order_without_a_gap,
        what_was_published_before_the_reader_began_comes_too,
        a_reader_may_begin_in_the_middle,
        a_reader_at_the_end_waits_and_wakes,
        a_dropped_wait_loses_nothing,
        publishing_again_is_harmless,
        publishing_in_overlapping_parts_is_harmless,
        readers_do_not_touch_each_other,
        the_newest_event_is_told,
        dead_letters_are_kept_until_dropped,
    );
}

/// The epoch of events that are numbered here.
const EPOCH: Epoch = Epoch(7);
/// Waiting for the log takes no longer, or it hangs.
const WAIT: Duration = Duration::from_secs(30);

/// A reader that holds every batch against the port's rules. A log may be away for a moment, and may give up waiting for
/// a number that is late: then whoever reads goes on from where he was, and so does this one, now and then.
struct Follower {
    log: Arc<dyn Log>,
    epoch: Epoch,
    reader: Box<dyn LogReader>,
    at: Position,
    seen: BTreeMap<Position, LoggedEvent>,
    troubles: u32,
}

/// Troubles of one reader at the most: more are not moments.
const TROUBLES: u32 = 5;

impl Follower {
    async fn take(&mut self, batch: Result<Vec<LoggedEvent>, LogError>) {
        let batch = match batch {
            Ok(batch) => batch,
            Err(LogError::Unavailable(why)) => return self.trouble(&why).await,
            Err(error) => panic!("the log is not read: {error}"),
        };
        assert!((1..=limits::EVENTS_BATCH).contains(&batch.len()), "a batch of {}", batch.len());
        assert!(batch.is_sorted_by_key(|event| event.position), "a batch is in order of number");
        for event in &batch {
            if event.position > self.at.next() {
                return self.trouble(&format!("{:?} after {:?}: a gap", event.position, self.at)).await;
            }
            let before = self.seen.insert(event.position, event.clone());
            assert!(before.is_none_or(|before| before == *event), "two events are {:?}", event.position);
            self.at = self.at.max(event.position);
        }
    }

    /// Begins again where it was.
    async fn trouble(&mut self, why: &str) {
        self.troubles += 1;
        assert!(self.troubles <= TROUBLES, "again and again, at {:?}: {why}", self.at);
        self.reader = self.log.follow(self.epoch, self.at).await.expect("the log is followed again");
    }

    async fn read_to(&mut self, position: Position) {
        let mut batches = 0;
        while self.at < position {
            batches += 1;
            assert!(batches < 10_000, "{batches} batches, and still at {:?} of {position:?}", self.at);
            let batch = tokio::time::timeout(WAIT, self.reader.next()).await.expect("the reader wakes");
            self.take(batch).await;
        }
    }

    /// Everything published from here on has come, and is what was published.
    async fn expect(&mut self, published: &[LoggedEvent]) {
        self.read_to(published.last().expect("something was published").position).await;
        for event in published {
            assert_eq!(self.seen.get(&event.position), Some(event), "{:?}", event.position);
        }
    }
}

async fn events_come_in_order_without_a_gap(source: Source) {
    let mut follower = source.follow(Position::ZERO).await;
    for count in [1, 7, 100, 2] {
        let published = source.publish(count).await;
        follower.expect(&published).await;
    }
}

async fn what_was_published_before_the_reader_began_comes_too(source: Source) {
    let published = source.publish(130).await;
    source.follow(Position::ZERO).await.expect(&published).await;
}

async fn a_reader_may_begin_in_the_middle(source: Source) {
    let published = source.publish(60).await;
    let mut follower = source.follow(published[29].position).await;
    follower.expect(&published[30..]).await;
    let more = source.publish(5).await;
    follower.expect(&more).await;
    let mut at_the_end = source.follow(more[4].position).await;
    let last = source.publish(1).await;
    at_the_end.expect(&last).await;
}

async fn a_reader_at_the_end_waits_and_wakes(source: Source) {
    let first = source.publish(3).await;
    let mut follower = source.follow(Position::ZERO).await;
    follower.expect(&first).await;
    let waiting = tokio::spawn(async move {
        follower.read_to(follower.at.next()).await;
        follower
    });
    tokio::task::yield_now().await;
    let second = source.publish(4).await;
    let mut follower = waiting.await.expect("the reader wakes");
    follower.expect(&second).await;
}

async fn a_dropped_wait_loses_nothing(source: Source) {
    let mut follower = source.follow(Position::ZERO).await;
    let mut published = Vec::new();
    for count in [1, 20, 3, 1, 50, 2] {
        // Dropped before, while and after something came.
        for _ in 0..10 {
            if let Some(batch) = follower.reader.next().now_or_never() {
                follower.take(batch).await;
            }
            tokio::task::yield_now().await;
        }
        published.extend(source.publish(count).await);
    }
    follower.expect(&published).await;
}

async fn publishing_again_is_harmless(source: Source) {
    let first = source.publish(20).await;
    let mut follower = source.follow(Position::ZERO).await;
    follower.expect(&first).await;
    source.log.publish(&first).await.expect("the log publishes again");
    source.log.publish(&first[5..10]).await.expect("the log publishes again");
    let second = source.publish(2).await;
    follower.expect(&second).await;
    let all: Vec<_> = first.iter().chain(&second).cloned().collect();
    source.follow(Position::ZERO).await.expect(&all).await;
}

async fn publishing_in_overlapping_parts_is_harmless(source: Source) {
    let events = (source.make)(30).await;
    // As after an error: any prefix was published, and is again.
    for end in [7, 7, 19, 30] {
        source.log.publish(&events[..end]).await.expect("the log publishes");
    }
    source.log.publish(&[]).await.expect("publishing nothing is fine");
    source.follow(Position::ZERO).await.expect(&events).await;
}

async fn readers_do_not_touch_each_other(source: Source) {
    let mut one = source.follow(Position::ZERO).await;
    let first = source.publish(10).await;
    one.expect(&first).await;
    let mut other = source.follow(Position::ZERO).await;
    let second = source.publish(10).await;
    other.expect(&first).await;
    drop(one);
    other.expect(&second).await;
}

async fn the_newest_event_is_told(source: Source) {
    assert_eq!(source.log.newest(source.epoch).await, Ok(None));
    for count in [1, 40, 3] {
        let published = source.publish(count).await;
        assert_eq!(source.log.newest(source.epoch).await, Ok(published.last().cloned()));
    }
    // What is repeated is not newer.
    let last = source.publish(5).await;
    source.log.publish(&last[..2]).await.expect("the log publishes again");
    assert_eq!(source.log.newest(source.epoch).await, Ok(last.last().cloned()));
}

async fn dead_letters_are_kept_until_dropped(source: Source) {
    let letter = |epoch: u64, position: u64, reason: &str| DeadLetter {
        event: LoggedEvent { epoch: Epoch(epoch), position: Position(position), bytes: [0xFF, 0, 9].into() },
        reason: reason.into(),
    };
    assert_eq!(source.log.dead_letters().await, Ok(vec![]));
    let (first, second, third) = (letter(7, 3, "a kind of ours"), letter(7, 40, "too short"), letter(9, 3, "foreign"));
    for letter in [&third, &first, &second, &letter(7, 3, "once more"), &first] {
        source.log.bury(letter).await.expect("the log buries");
    }
    assert_eq!(source.log.dead_letters().await, Ok(vec![first.clone(), second.clone(), third.clone()]));
    source.publish(3).await;
    let dropped = [(Epoch(7), Position(40)), (Epoch(7), Position(41))];
    source.log.drop_dead_letters(&dropped).await.expect("the log drops");
    assert_eq!(source.log.dead_letters().await, Ok(vec![first.clone(), third.clone()]));
    source.log.bury(&second).await.expect("the log buries");
    source.log.drop_dead_letters(&[(Epoch(9), Position(3))]).await.expect("the log drops");
    assert_eq!(source.log.dead_letters().await, Ok(vec![first, second]));
}

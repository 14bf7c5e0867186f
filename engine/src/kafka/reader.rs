//! A place in the log: a thread that reads the partitions, and the batches in order that it hands over.
//!
//! A thread, because both libraries block; and because what a call to `next` waits for goes on when that is dropped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::dead;
use super::driver::{self, Consumer, Got, Producer, ReadError};
use super::message;
use super::options::KafkaOptions;
use super::order::Order;
use super::seek;
use crate::limits::{BURY_TRIES, LOG_WAIT};
use crate::model::{DeadLetter, Epoch, LoggedEvent, Position};
use crate::ports::{LogError, LogReader};
use crate::retry::Backoff;

/// How long one poll waits: how soon a thread notices that its reader was dropped.
const POLL: Duration = Duration::from_millis(50);

type Batch = Result<Vec<LoggedEvent>, LogError>;

/// The reader's end of the thread.
pub(super) struct KafkaReader {
    batches: mpsc::Receiver<Batch>,
}

#[async_trait]
impl LogReader for KafkaReader {
    async fn next(&mut self) -> Batch {
        // Receiving is cancel-safe: a batch is taken or stays.
        let ended = || Err(LogError::Unavailable("the reader's thread ended".to_owned()));
        self.batches.recv().await.unwrap_or_else(ended)
    }
}

/// A reader of everything of `epoch` after `after`, once it has found where to begin.
pub(super) async fn follow(
    options: &KafkaOptions,
    producer: &Arc<dyn Producer>,
    epoch: Epoch,
    after: Position,
) -> Result<KafkaReader, LogError> {
    // One batch waits while the thread makes the next: more would only be memory.
    let (sender, batches) = mpsc::channel(1);
    let (begun, has_begun) = oneshot::channel();
    let (options, runtime, producer) = (options.clone(), Handle::current(), producer.clone());
    let run = move || {
        let consumer = match driver::consumer(&options) {
            Ok(consumer) => consumer,
            Err(error) => return drop(begun.send(Err(error.into()))),
        };
        let order = Order::new(epoch, after, options.partitions);
        let mut thread = Thread { options, consumer, order, epoch, reading: false, batches: sender, runtime, producer };
        let sought = thread.seek();
        let failed = sought.is_err();
        // Where nobody waits any more, there is no reader either, which the thread notices.
        let _ = begun.send(sought);
        if !failed {
            thread.run();
        }
    };
    let spawned = std::thread::Builder::new().name("kafka-reader".to_owned()).spawn(run);
    spawned.map_err(|error| LogError::Unavailable(format!("a thread for Kafka does not start: {error}")))?;
    let silent = |_| LogError::Unavailable("following the log in Kafka: no answer in time".to_owned());
    timeout(LOG_WAIT, has_begun).await.map_err(silent)?.unwrap_or_else(|_| {
        Err(LogError::Unavailable("following the log in Kafka: the reader's thread ended".to_owned()))
    })?;
    Ok(KafkaReader { batches })
}

/// What the thread has.
struct Thread {
    options: KafkaOptions,
    consumer: Box<dyn Consumer>,
    order: Order,
    epoch: Epoch,
    /// The consumer was started where the order needs it.
    reading: bool,
    batches: mpsc::Sender<Batch>,
    runtime: Handle,
    producer: Arc<dyn Producer>,
}

impl Thread {
    /// Reads until the reader is dropped.
    fn run(mut self) {
        let mut backoff = Backoff::default();
        while !self.batches.is_closed() {
            match self.step() {
                Ok(()) => backoff.reset(),
                Err(error) => {
                    // The reader learns of it, and may stay: this thread goes on where it was.
                    if self.batches.blocking_send(Err(error)).is_err() {
                        return;
                    }
                    std::thread::park_timeout(backoff.pause());
                }
            }
        }
    }

    fn seek(&mut self) -> Result<(), LogError> {
        let KafkaOptions { topic, partitions, .. } = &self.options;
        let from = seek::begin(&mut *self.consumer, topic, *partitions, self.epoch, self.order.position())?;
        self.consumer.start(topic, &from)?;
        self.reading = true;
        Ok(())
    }

    fn step(&mut self) -> Result<(), LogError> {
        if !self.reading {
            self.seek()?;
        }
        let mut got = Vec::new();
        let polled = self.consumer.poll(&self.order.wanted(), POLL, &mut got);
        // One time for all that is handed over: while that waits for the reader, more may come unread.
        let now = Instant::now();
        for got in got {
            match got {
                Got::End { partition } => self.order.end(partition),
                Got::Message { partition, offset, value, .. } => match message::decode(&value) {
                    Some(event) => self.order.put(event, now),
                    None => self.foreign(partition, offset, value),
                },
            }
        }
        loop {
            let run = self.order.run(now);
            // A reader that was dropped is noticed by `run`.
            if run.is_empty() || self.batches.blocking_send(Ok(run)).is_err() {
                break;
            }
        }
        match polled {
            Err(ReadError::OutOfRange) => {
                // Trimmed before it was read, or the log lost its end: what is there now tells.
                self.reading = false;
                Ok(())
            }
            polled => polled.map_err(LogError::from),
        }
    }

    /// A message that is not ours does not stop the rest. It is kept for operators: others may find it too, and keep
    /// it under the same number.
    fn foreign(&self, partition: u32, offset: i64, value: Box<[u8]>) {
        let topic = &*self.options.topic;
        metrics::counter!("log_foreign_messages_total").increment(1);
        tracing::warn!(topic, partition, offset, "a message in the log's topic is not an event: a dead letter");
        let letter = dead::foreign(partition, offset, value);
        self.runtime.spawn(bury(self.producer.clone(), self.options.dead_topic(), letter));
    }
}

/// Keeps a letter that nobody waits for. If that fails, its message is still in the topic.
async fn bury(producer: Arc<dyn Producer>, topic: String, letter: DeadLetter) {
    let mut backoff = Backoff::default();
    for _ in 0..BURY_TRIES {
        match producer.send(&topic, vec![dead::bury(&letter)]).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, reason = &*letter.reason, "a dead letter is not kept yet"),
        }
        tokio::time::sleep(backoff.pause()).await;
    }
    tracing::error!(reason = &*letter.reason, "a dead letter is not kept: Kafka does not take it");
}

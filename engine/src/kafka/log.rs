//! The adapter: the Log port over either driver.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::check;
use super::dead;
use super::driver::{self, Consumer, Producer, ReadError, Record};
use super::message;
use super::options::{KafkaOptions, SetupError};
use super::reader;
use super::tail;
use crate::limits::{EVENTS_BATCH, LOG_QUESTIONS, LOG_REACH_TIMEOUT, LOG_TIMEOUT};
use crate::model::{DeadLetter, Epoch, LoggedEvent, Position};
use crate::ports::{Log, LogError, LogReader};

/// The log in Kafka.
pub struct KafkaLog {
    options: KafkaOptions,
    producer: Arc<dyn Producer>,
    questions: Arc<Questions>,
}

/// What only looks, and does not follow.
struct Questions {
    options: KafkaOptions,
    /// A consumer that is connected and idle. Who finds none makes one.
    idle: Mutex<Option<Box<dyn Consumer>>>,
    /// A question may hang in a dead connection for minutes, and its thread with it: only so many at a time.
    turns: Arc<Semaphore>,
}

impl KafkaLog {
    /// The log that `options` name, after a look at it. A node does not start without its log; later the log may be
    /// away, and comes back by itself.
    ///
    /// # Errors
    /// When it cannot be used as it is set. The message names the setting.
    pub async fn open(options: KafkaOptions) -> Result<Arc<Self>, SetupError> {
        options.check()?;
        let unreachable = |why: String| SetupError::Unreachable { brokers: options.brokers.join(", "), why };
        let producer = driver::producer(&options).map_err(|error| unreachable(error.to_string()))?;
        let questions = Arc::new(Questions {
            options: options.clone(),
            idle: Mutex::new(None),
            turns: Arc::new(Semaphore::new(LOG_QUESTIONS)),
        });
        let checked = questions.ask(2 * LOG_TIMEOUT, |consumer, options| Ok(check::check(consumer, options))).await;
        checked.map_err(|error| unreachable(error.to_string()))??;
        Ok(Arc::new(Self { options, producer: Arc::from(producer), questions }))
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut dyn Consumer, &KafkaOptions) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, LogError> {
        // Longer than what the question itself may wait, which then says what it waited for.
        self.questions.ask(2 * LOG_TIMEOUT, question).await
    }
}

impl Questions {
    /// Asks on a thread that may block.
    async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        wait: Duration,
        question: impl FnOnce(&mut dyn Consumer, &KafkaOptions) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, LogError> {
        let this = self.clone();
        let asked = async {
            let turn = self.turns.clone().acquire_owned().await;
            tokio::task::spawn_blocking(move || {
                let _turn = turn;
                let idle = this.idle().take();
                let mut consumer = idle.map_or_else(|| driver::consumer(&this.options), Ok)?;
                let answer = question(&mut *consumer, &this.options)?;
                *this.idle() = Some(consumer);
                Ok::<T, ReadError>(answer)
            })
            .await
        };
        let answer = timeout(wait, asked).await;
        let answer = answer.map_err(|_| LogError::Unavailable("Kafka does not answer in time".to_owned()))?;
        Ok(answer.map_err(|error| LogError::Unavailable(format!("asking Kafka: {error}")))??)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Option<Box<dyn Consumer>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Log for KafkaLog {
    async fn publish(&self, events: &[LoggedEvent]) -> Result<(), LogError> {
        let KafkaOptions { topic, partitions, .. } = &self.options;
        // One batch after the other: what a client library holds of ours at a time is bounded.
        for batch in events.chunks(EVENTS_BATCH) {
            let record = |event: &LoggedEvent| Record {
                partition: message::partition(event.position.0, *partitions),
                key: None,
                value: Some(message::encode(event)),
            };
            self.producer.send(topic, batch.iter().map(record).collect()).await?;
        }
        Ok(())
    }

    async fn follow(&self, epoch: Epoch, after: Position) -> Result<Box<dyn LogReader>, LogError> {
        Ok(Box::new(reader::follow(&self.options, &self.producer, epoch, after).await?))
    }

    async fn newest(&self, epoch: Epoch) -> Result<Option<LoggedEvent>, LogError> {
        self.ask(move |consumer, options| tail::newest(consumer, &options.topic, options.partitions, epoch)).await
    }

    async fn reach(&self) -> Result<(), LogError> {
        let found = self
            .questions
            .ask(LOG_REACH_TIMEOUT, |consumer, options| consumer.partitions(&options.topic, LOG_REACH_TIMEOUT));
        match found.await? {
            Some(_) => Ok(()),
            None => Err(LogError::Unavailable(format!("the topic {} is gone", self.options.topic))),
        }
    }

    async fn bury(&self, letter: &DeadLetter) -> Result<(), LogError> {
        self.producer.send(&self.options.dead_topic(), vec![dead::bury(letter)]).await
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, LogError> {
        self.ask(|consumer, options| dead::read(consumer, &options.dead_topic())).await
    }

    async fn drop_dead_letters(&self, letters: &[(Epoch, Position)]) -> Result<(), LogError> {
        for some in letters.chunks(EVENTS_BATCH) {
            let forget = some.iter().map(|&(epoch, position)| dead::forget(epoch, position));
            self.producer.send(&self.options.dead_topic(), forget.collect()).await?;
        }
        Ok(())
    }
}

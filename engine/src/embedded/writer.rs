//! Group commit: one thread owns every write transaction (law 7).
//!
//! Jobs wait in a bounded queue (law 9). The thread takes what waits, up to [`GROUP_COMMANDS`], applies one after the
//! other inside one transaction, commits it durably, and only then answers: the cost of reaching the disk is shared.
//! A job whose caller has gone before its turn is skipped, so a caller that gave up and asks again finds the truth
//! in the order of the queue.

use std::sync::Arc;
use std::thread::JoinHandle;

use redb::{Database, Durability};
use tokio::sync::{Notify, mpsc, oneshot};

use super::fault::Fault;
use super::writing::{Need, Writing};
use crate::limits::{COMMAND_QUEUE, GROUP_COMMANDS};
use crate::ports::{Clock, StoreError};

/// Applies a job, or tells its caller why there is no transaction; gives back how to answer it once its fate is known.
/// A job that fails has answered by itself.
type Job = Box<dyn FnOnce(Result<&mut Writing<'_>, StoreError>) -> Result<Answer, StoreError> + Send>;
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// The thread's handle. Dropping it lets the thread finish what waits, and joins it, so that the file is closed.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread. `numbered` is notified when a commit gave new numbers.
    pub(super) fn start(database: Arc<Database>, clock: Clock, numbered: Arc<Notify>) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel(COMMAND_QUEUE);
        let group = Group { database, clock, numbered };
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(move || group.serve(jobs))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Runs `work` inside the next transaction and waits until it is committed as it asked for
    /// ([`Writing::must`]). `work` checks first and changes afterwards.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&mut Writing<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel::<Result<T, StoreError>>();
        let job: Job = Box::new(move |writing| {
            if answer.is_closed() {
                return Ok(Box::new(|_| ()));
            }
            match writing.and_then(|writing| work(writing).map_err(|fault| fault.during(doing))) {
                Ok(value) => Ok(Box::new(move |fate| drop(answer.send(fate.map(|()| value))))),
                Err(error) => {
                    drop(answer.send(Err(error.clone())));
                    Err(error)
                }
            }
        });
        let queue = self.queue.as_ref().expect("the queue is there until the writer is dropped");
        queue.try_send(job).map_err(|refused| {
            let why = match refused {
                mpsc::error::TrySendError::Full(_) => "too many commands wait",
                mpsc::error::TrySendError::Closed(_) => "the writing thread has ended",
            };
            StoreError::Unavailable(format!("{doing}: {why}"))
        })?;
        answered
            .await
            .unwrap_or_else(|_| Err(StoreError::OutcomeUnknown(format!("{doing}: the writing thread has ended"))))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writing thread had panicked");
        }
    }
}

/// What the thread works with.
struct Group {
    database: Arc<Database>,
    clock: Clock,
    numbered: Arc<Notify>,
}

impl Group {
    fn serve(self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP_COMMANDS
                && let Ok(job) = jobs.try_recv()
            {
                group.push(job);
            }
            let mut waiting = group.into_iter().peekable();
            while waiting.peek().is_some() {
                self.commit(&mut waiting);
            }
        }
    }

    /// One transaction: all of `waiting`, or those before the first that fails. A failed one leaves the transaction
    /// in doubt, so it is dropped, and those applied before it are told that nothing was committed.
    fn commit(&self, waiting: &mut impl Iterator<Item = Job>) {
        let mut answers = Vec::new();
        let end = self.apply(waiting, &mut answers);
        for answer in answers {
            answer(end.clone());
        }
    }

    fn apply(&self, waiting: &mut impl Iterator<Item = Job>, answers: &mut Vec<Answer>) -> Result<(), StoreError> {
        let failed = |fault: Fault| fault.during("committing");
        let refuse = |error: StoreError, waiting: &mut dyn Iterator<Item = Job>| {
            waiting.for_each(|job| drop(job(Err(error.clone()))));
            Err(error)
        };
        let mut transaction = match self.database.begin_write() {
            Ok(transaction) => transaction,
            Err(error) => return refuse(failed(error.into()), waiting),
        };
        let (need, numbered) = {
            let mut writing = match Writing::open(&transaction, self.clock.now()) {
                Ok(writing) => writing,
                Err(fault) => return refuse(failed(fault), waiting),
            };
            for job in waiting {
                match job(Ok(&mut writing)) {
                    Ok(answer) => answers.push(answer),
                    Err(error) => {
                        return Err(StoreError::Unavailable(format!("another command of its group failed ({error})")));
                    }
                }
            }
            writing.close().map_err(failed)?
        };
        let durability = match need {
            Need::Nothing => return transaction.abort().map_err(|error| failed(error.into())),
            Need::Visible => Durability::None,
            Need::Durable => Durability::Immediate,
        };
        transaction.set_durability(durability).map_err(|error| failed(error.into()))?;
        transaction.commit().map_err(|error| StoreError::OutcomeUnknown(error.to_string()))?;
        if numbered {
            self.numbered.notify_one();
        }
        Ok(())
    }
}

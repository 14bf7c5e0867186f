//! What runs while the load is on: connections, the probe, and a look at the server once a second.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, spawn_local};

use super::crew::Crew;
use super::figures::micros;
use super::live::Live;
use super::outcome::{Ended, Second};
use super::queue::{Job, Queue};
use super::scrape::ServerFigures;
use crate::api::tokens::RENEW_AFTER;
use crate::api::{Ask, PATIENCE, Target, Wire};
use crate::verify::probe::{self, Probe};

/// A server that has answered nothing for so long has gone away.
const GONE_AFTER: Duration = Duration::from_secs(5);
/// What a job that fell out of the queue is among errors.
const NOT_SENT: &str = "not sent in time";
/// Requests of one deed, one after the other, at the most: sign in, page, next page, like.
const STEPS_MAX: u32 = 4;

/// What runs while the load is on.
pub struct Load {
    crew: Rc<Crew>,
    queue: Arc<Queue>,
    target: Target,
    /// What each connection does.
    doing: RefCell<Vec<Option<Job>>>,
    seconds: RefCell<Vec<Second>>,
    /// Probes seen in this second: how many, and milliseconds in all.
    seen: Cell<(u32, f64)>,
}

impl Load {
    /// Nothing runs yet, on so many connections.
    pub fn new(crew: Rc<Crew>, queue: Arc<Queue>, target: Target, connections: usize) -> Self {
        let doing = RefCell::new(vec![None; connections]);
        Self { crew, queue, target, doing, seconds: RefCell::default(), seen: Cell::default() }
    }

    /// Starts the connections.
    pub fn start(self: &Rc<Self>) -> Vec<JoinHandle<()>> {
        let places = 0..self.doing.borrow().len();
        places.map(|place| spawn_local(Rc::clone(self).connection(place))).collect()
    }

    /// Counts what was not done, once nobody does it any more.
    pub fn count_undone(&self) {
        self.crew.missed(self.queue.take_missed(), NOT_SENT);
        self.crew.missed(self.queue.take_waiting(), NOT_SENT);
        self.crew.missed(self.doing.borrow_mut().iter_mut().filter_map(Option::take), "not answered at the end");
    }

    /// What was seen second by second.
    pub fn take_seconds(&self) -> Vec<Second> {
        self.seconds.take()
    }

    /// One connection: does jobs until there are no more.
    async fn connection(self: Rc<Self>, place: usize) {
        let mut wire = Wire::new(&self.target);
        while let Some(job) = self.queue.next().await {
            self.doing.borrow_mut()[place] = Some(job);
            self.crew.act(&mut wire, job).await;
            self.doing.borrow_mut()[place] = None;
        }
    }

    /// Probes until it is aborted. A node that does not answer is no news here: the load tells that.
    pub async fn probe(self: Rc<Self>, mut probe: Probe) {
        let mut ticks = tokio::time::interval(probe::EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut renewed = Instant::now();
        loop {
            ticks.tick().await;
            if renewed.elapsed() > RENEW_AFTER && probe.renew().await.is_ok() {
                renewed = Instant::now();
            }
            let Ok(seen) = probe.look().await else {
                // Tokens may have ended early.
                renewed = Instant::now().checked_sub(RENEW_AFTER).unwrap_or(renewed);
                continue;
            };
            let mut figures = self.crew.figures.borrow_mut();
            for after in seen {
                figures.unseen += u64::from(after.is_none());
                let after = after.unwrap_or(probe::GIVE_UP);
                figures.freshness.saturating_record(micros(after));
                let (count, sum) = self.seen.get();
                self.seen.set((count + 1, sum + after.as_secs_f64() * 1_000.0));
            }
        }
    }

    /// Looks at the server once a second, and tells how it goes, until the time is up or something ends it.
    pub async fn until_the_end(self: Rc<Self>, length: Duration) -> Ended {
        let mut live = Live::start();
        let ended = tokio::select! {
            ended = self.watch_seconds(length, &mut live) => ended,
            interrupted = tokio::signal::ctrl_c() => match interrupted {
                Ok(()) => Ended::Interrupted,
                // Signals cannot be had: then nobody interrupts it.
                Err(_) => self.watch_seconds(length, &mut live).await,
            },
        };
        live.finish();
        ended
    }

    async fn watch_seconds(&self, length: Duration, live: &mut Live) -> Ended {
        let mut wire = Wire::new(&self.target);
        let mut last: Option<ServerFigures> = None;
        let until = tokio::time::Instant::now() + length;
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.tick().await;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Ended::InTime,
                _ = ticks.tick() => {}
            }
            let now = self.scrape(&mut wire).await;
            self.crew.missed(self.queue.take_missed(), NOT_SENT);
            let (count, sum) = self.seen.take();
            let second = Second {
                moment: self.crew.figures.borrow_mut().end_second(),
                waiting: self.queue.waiting() as u64,
                server: now.as_ref().map(|now| last.as_ref().map_or_else(|| now.clone(), |last| now.since(last))),
                seen_ms: (count > 0).then(|| sum / f64::from(count)),
            };
            // Totals since the server began are no figures of a second.
            let first = last.is_none();
            last = now.or(last);
            live.show(&second, self.crew.figures.borrow().freshness.value_at_quantile(0.99) as f64 / 1_000.0);
            let second = if first { Second { server: None, ..second } } else { second };
            self.seconds.borrow_mut().push(second);
            if let Some(gone) = self.gone() {
                return gone;
            }
        }
    }

    /// How the run ends, where the server has gone away.
    fn gone(&self) -> Option<Ended> {
        let silent = self.crew.last_answer.get().elapsed();
        if silent <= GONE_AFTER {
            return None;
        }
        let trouble = self.crew.trouble.borrow();
        let why = if trouble.is_empty() { "connections are open, and nothing comes" } else { trouble.as_str() };
        let (url, silent) = (&self.target.url, silent.as_secs());
        Some(Ended::ServerGone(format!("the server at {url} has not answered for {silent} s ({why})")))
    }

    async fn scrape(&self, wire: &mut Wire) -> Option<ServerFigures> {
        // What takes longer is not of this second.
        let answer = tokio::time::timeout(Duration::from_secs(1), wire.send(&Ask::get("/metrics"))).await;
        match answer {
            Ok(Ok(answer)) => {
                self.crew.last_answer.set(Instant::now());
                answer.status.is_success().then(|| ServerFigures::parse(&String::from_utf8_lossy(&answer.body)))
            }
            Ok(Err(why)) => {
                *self.crew.trouble.borrow_mut() = why.to_string();
                None
            }
            Err(_) => {
                // The connection still waits for that answer.
                *wire = Wire::new(&self.target);
                None
            }
        }
    }

    /// Lets connections do what waits, for as long as one answer may take, and then what is in flight: a post whose
    /// acknowledgement is missed would be taken for one that nobody wrote. Tells whether the server has gone meanwhile.
    pub async fn drain(&self, connections: Vec<JoinHandle<()>>) -> Option<Ended> {
        let mut all = std::pin::pin!(futures::future::join_all(connections));
        if tokio::time::timeout(PATIENCE, &mut all).await.is_ok() {
            return None;
        }
        self.crew.missed(self.queue.take_waiting(), NOT_SENT);
        match tokio::time::timeout(PATIENCE * STEPS_MAX, all).await {
            Ok(_) => None,
            Err(_) => self.gone(),
        }
    }
}

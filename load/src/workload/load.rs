//! What runs while the load is on: connections, the probe, and a look at the server once a second.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::crew::Crew;
use super::figures::micros;
use super::live::Live;
use super::outcome::{Ended, Second};
use super::queue::Queue;
use super::scrape::ServerFigures;
use crate::api::tokens::RENEW_AFTER;
use crate::api::{Ask, PATIENCE, Target, Wire};
use crate::verify::probe::{self, Probe};

/// A server that has answered nothing for so long has gone away.
const GONE_AFTER: Duration = Duration::from_secs(5);

/// What runs while the load is on.
pub struct Load {
    crew: Rc<Crew>,
    queue: Arc<Queue>,
    target: Target,
    seconds: RefCell<Vec<Second>>,
    /// Probes seen in this second: how many, and milliseconds in all.
    seen: Cell<(u32, f64)>,
}

impl Load {
    /// Nothing runs yet.
    pub fn new(crew: Rc<Crew>, queue: Arc<Queue>, target: Target) -> Self {
        Self { crew, queue, target, seconds: RefCell::default(), seen: Cell::default() }
    }

    /// What was seen second by second.
    pub fn take_seconds(&self) -> Vec<Second> {
        self.seconds.take()
    }

    /// One connection: does jobs until there are no more.
    pub async fn connection(self: Rc<Self>) {
        let mut wire = Wire::new(&self.target);
        while let Some(job) = self.queue.next().await {
            self.crew.act(&mut wire, job).await;
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
            self.crew.missed(&self.queue.take_missed());
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
            let silent = self.crew.last_answer.get().elapsed();
            if silent > GONE_AFTER {
                let url = &self.target.url;
                let why = self.crew.trouble.borrow();
                return Ended::ServerGone(format!(
                    "the server at {url} has not answered for {} s ({why})",
                    silent.as_secs()
                ));
            }
        }
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

    /// Waits for what is in flight, and no longer than an answer may take.
    pub async fn drain(&self, connections: Vec<JoinHandle<()>>, ended: &mut Ended) {
        let all = futures::future::join_all(connections);
        if tokio::time::timeout(PATIENCE + Duration::from_secs(1), all).await.is_err()
            && self.crew.last_answer.get().elapsed() > GONE_AFTER
        {
            let (url, why) = (&self.target.url, self.crew.trouble.borrow());
            *ended = Ended::ServerGone(format!("the server at {url} does not answer ({why})"));
        }
    }
}

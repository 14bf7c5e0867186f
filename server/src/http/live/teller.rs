//! A live stream as both kinds tell it: events, heartbeats, and its end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tributary_engine::ports::Clock;
use tributary_engine::read::{Live, LiveEvent, News};

use super::streams::Seat;
use crate::http::app::App;
use crate::http::tokens::Caller;

/// Pause after the store did not answer.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// A heartbeat comes up to one part in so many early.
const JITTER_SHARE: u32 = 3;

/// What is said next.
pub enum Say {
    /// Something new.
    Event(LiveEvent),
    /// That the stream is there; the token that goes on after all that was told.
    Here(String),
    /// That the stream ends. Whoever comes back misses nothing.
    End(End),
}

/// Why a stream ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The access token has expired.
    Expired,
    /// The server stops.
    Stopping,
    /// The node begins anew, with another history of its store.
    Anew,
    /// The client takes what it is told too slowly.
    Slow,
}

impl End {
    /// For clients.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Expired => "the access token has expired",
            Self::Stopping => "the server is stopping",
            Self::Anew => "the node begins anew",
            Self::Slow => "what was told is taken too slowly",
        }
    }

    /// Takes note of a stream that is ended so.
    pub fn count(self) {
        let label = match self {
            Self::Expired => "expired",
            Self::Stopping => "stopping",
            Self::Anew => "anew",
            Self::Slow => "slow",
        };
        metrics::counter!("live_streams_ended_total", "reason" => label).increment(1);
    }
}

/// Tells one client of one timeline.
pub struct Teller {
    live: Live,
    /// What the present piece goes on with, as far as there is room.
    found: VecDeque<LiveEvent>,
    /// Whether there may be news.
    due: bool,
    /// When to look again though nobody says so: the store did not answer.
    again: Option<Instant>,
    heartbeat: Duration,
    /// When to say the next time that the stream is there.
    beat: Instant,
    expires: Instant,
    slow: Duration,
    stopping: watch::Receiver<bool>,
    _seat: Seat,
}

impl Teller {
    /// Tells what `live` finds, until the caller's token expires.
    pub fn new(live: Live, app: &Arc<App>, caller: Caller, seat: Seat) -> Self {
        let now = Instant::now();
        let left_ms = (caller.expires_s.saturating_mul(1_000)).saturating_sub(Clock::System.now().0);
        Self {
            live,
            found: VecDeque::new(),
            due: true,
            again: None,
            heartbeat: app.settings.bounds.heartbeat,
            beat: now,
            expires: now + Duration::from_millis(left_ms),
            slow: app.settings.bounds.slow,
            stopping: app.stopping.clone(),
            _seat: seat,
        }
    }

    /// How long a client may take for what it was told.
    pub fn slow(&self) -> Duration {
        self.slow
    }

    /// What is said next, once there is something. May be dropped at any time: nothing is lost.
    pub async fn next(&mut self) -> Say {
        // What the piece before had no room for is looked for again: it may be removed or hidden by now.
        self.found.clear();
        loop {
            let now = Instant::now();
            if let Some(end) = self.end(now) {
                return Say::End(end);
            }
            if let Some(event) = self.found() {
                return Say::Event(event);
            }
            if self.due {
                // Boxed: what looking takes in memory, a stream that waits does not.
                match Box::pin(self.live.look()).await {
                    Ok(events) => {
                        self.due = !events.is_empty();
                        self.found = events.into();
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a live stream waits for the store");
                        self.due = false;
                        self.again = Some(Instant::now() + TRY_AGAIN);
                    }
                }
            } else if now >= self.beat {
                return self.here(now);
            } else {
                self.wait().await;
            }
        }
    }

    /// What is there to be told already.
    pub fn found(&mut self) -> Option<LiveEvent> {
        self.found.pop_front()
    }

    /// This event is told now; the token that goes on after it.
    pub fn tell(&mut self, event: &LiveEvent) -> String {
        self.live.tell(event)
    }

    fn end(&self, now: Instant) -> Option<End> {
        if *self.stopping.borrow() || self.stopping.has_changed().is_err() {
            Some(End::Stopping)
        } else if now >= self.expires {
            Some(End::Expired)
        } else if self.live.is_over() {
            Some(End::Anew)
        } else {
            None
        }
    }

    /// Each heartbeat looks for news as well: should ever nobody say so, they are as late as that.
    fn here(&mut self, now: Instant) -> Say {
        self.due = true;
        let jitter = f64::from(self.heartbeat.as_millis() as u32 / JITTER_SHARE) * fastrand::f64();
        self.beat = now + self.heartbeat - Duration::from_millis(jitter as u64);
        Say::Here(self.live.token())
    }

    async fn wait(&mut self) {
        let until = self.beat.min(self.expires).min(self.again.unwrap_or(self.expires));
        tokio::select! {
            () = self.live.woken() => self.due = true,
            () = tokio::time::sleep_until(until) => {
                if self.again.take_if(|again| *again <= until).is_some() {
                    self.due = true;
                }
            }
            _ = self.stopping.wait_for(|stopping| *stopping) => {}
        }
    }
}

/// How events are named on the wire and in metrics.
pub fn name(news: &News) -> &'static str {
    match news {
        News::Post(_) => "post",
        News::Removed(_) => "removed",
        News::Gap => "gap",
    }
}

/// Appends an event's data, a JSON object, and counts it.
pub fn write_data(news: &News, out: &mut Vec<u8>) {
    metrics::counter!("live_events_total", "event" => name(news)).increment(1);
    match news {
        News::Post(post) => {
            post.write_json(out);
        }
        News::Removed(post) => out.extend_from_slice(format!(r#"{{"id":"{post}"}}"#).as_bytes()),
        News::Gap => out.extend_from_slice(b"{}"),
    }
}

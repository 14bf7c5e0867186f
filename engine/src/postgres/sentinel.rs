//! The node's own connection beside the pool. It hears the wake-ups of other nodes, sends this node's, and holds the
//! lock of the one node that publishes: when the node dies, so do its session and its lock, at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Notify};
use tokio_postgres::Client;

use super::connect::Server;
use super::fault::Fault;
use super::gate::{Gate, Refusal};
use super::lent::bounded;
use super::schema;
use crate::limits::LOAD_TIMEOUT;
use crate::ports::StoreError;

/// Advisory locks of two numbers have nothing to do with those of one number, which commands take. "trib".
const PUBLISHER: &str = "SELECT pg_try_advisory_lock(1953655138, 1)";
const LISTEN: &str = "LISTEN tributary_events";
const NOTIFY: &str = "NOTIFY tributary_events";

/// The connection, made again by whoever needs it after it was lost.
pub(super) struct Sentinel {
    server: Server,
    gate: Arc<Gate>,
    session: Mutex<Option<Session>>,
    /// Whether this node publishes, as far as it knows.
    publishes: AtomicBool,
    /// There may be events to number.
    pub(super) events: Arc<Notify>,
    /// Other nodes are to be told so, or the sentinel is gone.
    unannounced: Arc<Notify>,
}

struct Session {
    client: Arc<Client>,
    made: Instant,
    publishes: bool,
}

impl Sentinel {
    /// Connects, and announces from then on.
    pub(super) async fn start(server: Server, gate: Arc<Gate>) -> Result<Arc<Self>, StoreError> {
        let sentinel = Arc::new(Self {
            server,
            gate,
            session: Mutex::new(None),
            publishes: AtomicBool::new(false),
            events: Arc::default(),
            unannounced: Arc::default(),
        });
        sentinel.client().await?;
        tokio::spawn(announce(Arc::downgrade(&sentinel), sentinel.unannounced.clone()));
        Ok(sentinel)
    }

    /// Events were committed. A node that publishes has no need to tell the others; from any other the word goes out
    /// after the commit, in a statement of its own, once for all that happened meanwhile: a NOTIFY inside each
    /// transaction would make commits wait for each other.
    pub(super) fn committed(&self) {
        self.events.notify_one();
        if !self.publishes.load(Ordering::Relaxed) {
            self.unannounced.notify_one();
        }
    }

    /// Whether this node is the one that publishes: who has the lock, or gets it now.
    pub(super) async fn publishes(&self) -> Result<bool, StoreError> {
        let mut session = self.session.lock().await;
        let session = self.open(&mut session).await?;
        if !session.publishes {
            let row = bounded(LOAD_TIMEOUT, session.client.query_one(PUBLISHER, &[])).await;
            let got = row.and_then(|row| row.try_get(0).map_err(Fault::from));
            session.publishes = got.map_err(|fault| fault.during("asking to publish"))?;
            self.publishes.store(session.publishes, Ordering::Relaxed);
        }
        Ok(session.publishes)
    }

    async fn client(&self) -> Result<Arc<Client>, StoreError> {
        let mut session = self.session.lock().await;
        Ok(self.open(&mut session).await?.client.clone())
    }

    /// The session, made again where it has ended.
    async fn open<'a>(&self, session: &'a mut Option<Session>) -> Result<&'a mut Session, StoreError> {
        if session.as_ref().is_none_or(|session| session.client.is_closed() || !self.gate.is_present(session.made)) {
            *session = None;
            self.publishes.store(false, Ordering::Relaxed);
            let events = self.events.clone();
            let client = self.server.connect(move || events.notify_one()).await?;
            bounded(LOAD_TIMEOUT, self.gate.open(&client)).await.map_err(|fault| self.server.refused(&fault))?;
            bounded(LOAD_TIMEOUT, client.batch_execute(LISTEN)).await.map_err(|fault| self.server.refused(&fault))?;
            *session = Some(Session { client: Arc::new(client), made: Instant::now(), publishes: false });
        }
        session.as_mut().ok_or_else(|| StoreError::Unavailable("the session has ended".into()))
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Postgres(error) => Self::Postgres(error),
            Refusal::Standby => Self::Closed(schema::STANDBY.into()),
        }
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.unannounced.notify_one();
    }
}

/// Tells the other nodes, as long as there is the sentinel.
async fn announce(sentinel: Weak<Sentinel>, unannounced: Arc<Notify>) {
    // Between two words at the least: nobody is woken a thousand times a second, and no reader notices.
    const PAUSE: Duration = Duration::from_millis(2);
    loop {
        unannounced.notified().await;
        let Some(sentinel) = sentinel.upgrade() else { return };
        let told = match sentinel.client().await {
            Ok(client) => bounded(LOAD_TIMEOUT, client.batch_execute(NOTIFY)).await.map_err(|fault| fault.text()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = told {
            tracing::debug!(error, "other nodes were not woken; they poll besides");
        }
        drop(sentinel);
        tokio::time::sleep(PAUSE).await;
    }
}

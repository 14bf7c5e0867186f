//! The store itself: connected, with its pool, its gate and its sentinel. What the port asks of it stands in
//! [`port`](super::port).

use std::sync::Arc;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts};
use tokio::sync::Semaphore;

use super::connect::{PostgresOptions, Server};
use super::epoch::Witnesses;
use super::fault::Fault;
use super::gate::{Gate, Refusal};
use super::lent::{Lent, Params, bounded};
use super::schema;
use super::sentinel::Sentinel;
use crate::limits::{COMMAND_QUEUE, CONNECT_TIMEOUT, POOL_TIMEOUT};
use crate::ports::{Clock, StoreError};

/// Connections that are closed at the most before a good one is found: those of an earlier run of the server.
const STALE_MAX: usize = 64;

/// The store of one node: a handle to PostgreSQL.
pub struct PostgresStore {
    pub(super) inner: Arc<Inner>,
}

/// What commands, which outlive their callers, hold on to.
pub(super) struct Inner {
    pub(super) clock: Clock,
    pub(super) gate: Arc<Gate>,
    pub(super) sentinel: Arc<Sentinel>,
    /// What this node knows of the history.
    pub(super) witnesses: Witnesses,
    /// Places for commands under way and waiting.
    pub(super) commands: Arc<Semaphore>,
    server: Server,
    pool: Pool,
}

impl PostgresStore {
    /// Connects, within seconds or not at all.
    ///
    /// # Errors
    /// What is wrong and what to do about it: no such server, a wrong password, no database, no schema or another
    /// version's, a standby.
    pub async fn connect(options: PostgresOptions, clock: Clock) -> Result<Arc<Self>, StoreError> {
        let server = Server::parse(&options.url)?;
        let probe = server.connect(|| ()).await?;
        schema::check(&probe).await?;
        drop(probe);
        let gate = Arc::new(Gate::default());
        let sentinel = Sentinel::start(server.clone(), gate.clone()).await?;
        let pool = pool(&server, &gate, options.pool_size)
            .map_err(|why| StoreError::Unavailable(format!("making the pool of PostgreSQL: {why}")))?;
        let commands = Arc::new(Semaphore::new(COMMAND_QUEUE));
        Ok(Arc::new(Self {
            inner: Arc::new(Inner { clock, gate, sentinel, witnesses: Witnesses::default(), commands, server, pool }),
        }))
    }
}

fn pool(server: &Server, gate: &Arc<Gate>, size: usize) -> Result<Pool, deadpool_postgres::BuildError> {
    let recycling_method = RecyclingMethod::Fast;
    let manager = Manager::from_config(server.config.clone(), server.tls.clone(), ManagerConfig { recycling_method });
    let gate = gate.clone();
    let open = Hook::async_fn(move |client, _| {
        let gate = gate.clone();
        Box::pin(async move {
            gate.open(client).await.map_err(|refusal| match refusal {
                Refusal::Postgres(error) => HookError::Backend(error),
                Refusal::Standby => HookError::message(schema::STANDBY),
            })
        })
    });
    let timeouts = Timeouts { wait: Some(POOL_TIMEOUT), create: Some(2 * CONNECT_TIMEOUT), recycle: None };
    Pool::builder(manager).max_size(size.max(1)).runtime(Runtime::Tokio1).timeouts(timeouts).post_create(open).build()
}

impl Inner {
    /// A connection to the history that the node knows.
    pub(super) async fn lend(&self) -> Result<Lent, Fault> {
        let lent = self.lend_unconfirmed().await?;
        if !self.gate.is_confirmed() {
            return Err(Fault::Closed("PostgreSQL was restarted: its history is being confirmed".into()));
        }
        Ok(lent)
    }

    /// A connection to the latest run of the server that is known, whatever its history: to confirm it.
    pub(super) async fn lend_unconfirmed(&self) -> Result<Lent, Fault> {
        for _ in 0..STALE_MAX {
            let object = self.pool.get().await.map_err(|error| self.explained(error.into()))?;
            if self.gate.is_present(Object::metrics(&object).created) {
                return Ok(Lent::new(object));
            }
            drop(Object::take(object));
        }
        Err(Fault::Closed("PostgreSQL was restarted".into()))
    }

    /// A fault without the server's code says where the server was expected.
    fn explained(&self, fault: Fault) -> Fault {
        match &fault {
            Fault::Postgres(_) if fault.code().is_none() => match self.server.refused(&fault) {
                StoreError::Unavailable(why) => Fault::Closed(why),
                _ => fault,
            },
            _ => fault,
        }
    }

    /// Runs one statement and reads its rows.
    pub(super) async fn read<T>(
        &self,
        doing: &'static str,
        sql: &str,
        params: Params<'_>,
        read: impl Fn(&tokio_postgres::Row) -> Result<T, Fault>,
    ) -> Result<Vec<T>, StoreError> {
        let rows =
            async { self.lend().await?.query(sql, params).await?.iter().map(read).collect::<Result<Vec<T>, Fault>>() };
        rows.await.map_err(|fault: Fault| fault.during(doing))
    }

    /// Runs one statement that gives one row.
    pub(super) async fn read_one<T>(
        &self,
        doing: &'static str,
        sql: &str,
        params: Params<'_>,
        read: impl Fn(&tokio_postgres::Row) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let row = async { read(&self.lend().await?.one(sql, params).await?) };
        row.await.map_err(|fault: Fault| fault.during(doing))
    }

    /// Runs one statement for its effect.
    pub(super) async fn write(&self, doing: &'static str, sql: &str, params: Params<'_>) -> Result<(), StoreError> {
        self.read(doing, sql, params, |_| Ok(())).await.map(drop)
    }

    /// Does a piece of work that outlives its caller.
    pub(super) async fn apart<T: Send + 'static>(
        doing: &'static str,
        patience: std::time::Duration,
        work: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = tokio::spawn(bounded(patience, work)).await;
        let done = done.unwrap_or_else(|error| Err(Fault::Closed(error.to_string())));
        done.map_err(|fault| fault.during(doing))
    }
}

//! Connections to one Redis: a bb8 pool of connection managers. Each carries many calls at a time, so it is cloned out
//! of the pool and released at once. bb8-redis's own manager pings at every checkout, which costs six of seven calls,
//! and with that switched off never notices a dead connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bb8::{ManageConnection, Pool, QueueStrategy, RunError};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError};

use super::error::NodeError;
use crate::limits::{REDIS_CONNECT_TIMEOUT, REDIS_CONNECTIONS};

/// Some connections to one server.
pub(super) struct Lines {
    pool: Pool<Manager>,
    generation: Arc<AtomicU64>,
}

/// Makes connections.
struct Manager {
    client: Client,
    /// Rises when all connections are to be made anew.
    generation: Arc<AtomicU64>,
}

struct Line {
    manager: ConnectionManager,
    generation: u64,
}

impl Manager {
    fn is_current(&self, line: &Line) -> bool {
        line.generation == self.generation.load(Ordering::Relaxed)
    }
}

impl ManageConnection for Manager {
    type Connection = Line;
    type Error = RedisError;

    /// Waits for nothing: the connection is made by its first call, within that call's time.
    async fn connect(&self) -> Result<Line, RedisError> {
        // One attempt a call: the breaker knows when to try again. Calls have time-outs of their own.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(REDIS_CONNECT_TIMEOUT))
            .set_response_timeout(None);
        let generation = self.generation.load(Ordering::Relaxed);
        Ok(Line { manager: ConnectionManager::new_lazy_with_config(self.client.clone(), config)?, generation })
    }

    async fn is_valid(&self, line: &mut Line) -> Result<(), RedisError> {
        if self.is_current(line) { Ok(()) } else { Err((redis::ErrorKind::Client, "of an earlier generation").into()) }
    }

    fn has_broken(&self, line: &mut Line) -> bool {
        !self.is_current(line)
    }
}

impl Lines {
    pub fn new(client: Client) -> Self {
        let generation = Arc::new(AtomicU64::new(0));
        let manager = Manager { client, generation: generation.clone() };
        let pool = Pool::builder()
            .max_size(REDIS_CONNECTIONS)
            .min_idle(REDIS_CONNECTIONS)
            .max_lifetime(None)
            .idle_timeout(None)
            .queue_strategy(QueueStrategy::Fifo)
            .build_unchecked(manager);
        Self { pool, generation }
    }

    /// One of them, in turn.
    pub async fn line(&self) -> Result<ConnectionManager, NodeError> {
        match self.pool.get().await {
            Ok(line) => Ok(line.manager.clone()),
            Err(RunError::User(error)) => Err(error.into()),
            Err(RunError::TimedOut) => Err(NodeError::Unreachable("no connection is free".to_owned())),
        }
    }

    /// Has every connection made anew. One that hangs half open would be noticed by TCP alone, after many minutes.
    pub fn renew(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }
}

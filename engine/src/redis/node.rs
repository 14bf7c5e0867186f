//! One Redis or Valkey server: calls with time-outs behind a breaker, and the check that its keys are ours.

use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{Client, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo, Pipeline, cmd, pipe};

use super::breaker::Breaker;
use super::error::{NodeError, OpenError};
use super::keys::{Keys, VERSION};
use super::lines::Lines;
use super::wire::{Commands, Reply, Wires};
use crate::limits::{
    PROBE_FIRST, PROBE_MAX, REDIS_APPEND_TIMEOUT, REDIS_CONNECT_TIMEOUT, REDIS_START_TIMEOUT, REDIS_TIMEOUT,
};

/// Steps of a search for foreign keys at the most: a hundred thousand keys, a tenth of a second of the server's.
const SEARCH_STEPS: usize = 100;
const SEARCH_KEYS: usize = 1_000;
/// Keys under our prefix that are looked at: a stranger's show early.
const SEARCH_LOOKED_AT: usize = 100;

/// A server's name and address.
#[derive(Clone)]
pub struct NodeOptions {
    /// What messages, metrics and the slot map call it.
    pub name: Box<str>,
    /// `redis://[user:password@]host[:port][/database]`, or `unix:///path`.
    pub url: String,
}

/// One Redis or Valkey server.
pub(super) struct RedisNode {
    pub name: Box<str>,
    pub keys: Keys,
    /// For what readers wait for.
    calls: Lines,
    /// For appends, whose pipelines are long.
    appends: Wires,
    breaker: Breaker,
    this: Weak<Self>,
}

impl RedisNode {
    /// Checks the address; connects to nothing.
    pub fn new(options: &NodeOptions, keys: Keys) -> Result<Arc<Self>, OpenError> {
        let name = options.name.clone();
        if ["rediss://", "valkeys://"].iter().any(|scheme| options.url.starts_with(scheme)) {
            return Err(OpenError::Tls(name));
        }
        let refused =
            |error: redis::RedisError| OpenError::Url { name: options.name.clone(), reason: error.to_string() };
        let info = options.url.as_str().into_connection_info().map_err(refused)?;
        if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            return Err(OpenError::Tls(name));
        }
        // A call is one write, and must not wait for the answer to the one before.
        let quick = info.clone().set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = Client::open(quick).map_err(refused)?;
        Ok(Arc::new_cyclic(|this| Self {
            name,
            keys,
            calls: Lines::new(client),
            appends: Wires::new(info),
            breaker: Breaker::default(),
            this: this.clone(),
        }))
    }

    /// Sees whether the server is there and ours. One that does not answer is not an error: it is probed from now on.
    ///
    /// # Errors
    /// What only an operator can mend.
    pub async fn start(&self) -> Result<(), NodeError> {
        let claimed = tokio::time::timeout(REDIS_START_TIMEOUT, self.claim()).await;
        match claimed.unwrap_or(Err(NodeError::Slow(REDIS_START_TIMEOUT))) {
            Err(error) if error.is_lasting() => Err(error),
            Err(error) => {
                self.breaker.open();
                self.opened(&error);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Whether it answered when it was last asked.
    pub fn is_up(&self) -> bool {
        !self.breaker.is_open()
    }

    /// A call that a reader waits for: replies of its commands, in their order.
    pub async fn call<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, NodeError> {
        let asked = async { Ok(commands.query_async(&mut self.calls.line().await?).await?) };
        self.guarded(REDIS_TIMEOUT, asked).await
    }

    /// A pipeline of appends: its replies.
    pub async fn exchange(&self, commands: &Commands) -> Result<Vec<Reply>, NodeError> {
        self.guarded(REDIS_APPEND_TIMEOUT, self.appends.exchange(commands)).await
    }

    /// `doing` within `limit`, if the server is asked at all; the outcome is the breaker's to know.
    async fn guarded<T>(
        &self,
        limit: Duration,
        doing: impl Future<Output = Result<T, NodeError>>,
    ) -> Result<T, NodeError> {
        if self.breaker.is_open() {
            return Err(NodeError::Open);
        }
        let reply = within(limit, doing).await;
        match &reply {
            Err(error) if error.is_absence() => {
                if self.breaker.failed() {
                    self.opened(error);
                }
            }
            _ => self.breaker.succeeded(),
        }
        reply
    }

    /// A call that is given up early, and says nothing about the server then: it has the server asked, by nobody who
    /// waits, whether it is there.
    pub async fn call_briefly<T: FromRedisValue>(&self, command: &Cmd, limit: Duration) -> Result<T, NodeError> {
        if self.breaker.is_open() {
            return Err(NodeError::Open);
        }
        let reply = within(limit, async { Ok(command.query_async(&mut self.calls.line().await?).await?) }).await;
        if matches!(&reply, Err(error) if error.is_absence())
            && let Some(node) = self.this.upgrade()
        {
            tokio::spawn(async move { node.call::<()>(pipe().cmd("PING")).await });
        }
        reply
    }

    fn opened(&self, error: &NodeError) {
        tracing::warn!(shard = %self.name, %error, "a shard is down; readers go on without it");
        self.renew();
        tokio::spawn(Self::probe(self.this.clone()));
    }

    fn renew(&self) {
        self.calls.renew();
        self.appends.renew();
    }

    /// Asks the server until it answers, one question at a time.
    async fn probe(node: Weak<Self>) {
        let mut pause = PROBE_FIRST;
        let mut told = false;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PROBE_MAX);
            let Some(node) = node.upgrade() else { return };
            match within(REDIS_CONNECT_TIMEOUT, node.claim()).await {
                Ok(()) => {
                    node.breaker.close();
                    tracing::info!(shard = %node.name, "a shard is up again");
                    return;
                }
                Err(error) => {
                    // What nobody but an operator can mend is told once, for it is not what the first warning said.
                    if error.is_lasting() && !std::mem::replace(&mut told, true) {
                        tracing::warn!(shard = %node.name, %error, "a shard stays down");
                    }
                    node.renew();
                }
            }
        }
    }

    /// Sees that the server can do what we need and that the keys under our prefix are ours, and marks them so. A
    /// server that was emptied has no mark, and may have windows of nodes that went on: those are in our form.
    async fn claim(&self) -> Result<(), NodeError> {
        let mut line = self.calls.line().await?;
        let marker = self.keys.marker();
        match cmd("GET").arg(&marker).query_async::<Option<Vec<u8>>>(&mut line).await {
            Ok(Some(version)) if version == VERSION.as_bytes() => return Ok(()),
            Ok(Some(version)) => {
                let version = String::from_utf8_lossy(&version).into_owned();
                return Err(NodeError::Foreign(format!("{marker} says {version:?}, not {VERSION:?}")));
            }
            Ok(None) => {}
            Err(error) if error.code() == Some("WRONGTYPE") => {
                return Err(NodeError::Foreign(format!("{marker} is not a string")));
            }
            Err(error) => return Err(error.into()),
        }
        // The option is as old as Redis 7.0. The key does not exist.
        let conditional = cmd("PEXPIRE").arg(format!("{marker}?")).arg(0).arg("NX").query_async::<()>(&mut line).await;
        if let Err(error) = conditional {
            let error = NodeError::from(error);
            return Err(if let NodeError::Refused(text) = error { NodeError::TooOld(text) } else { error });
        }
        let (mut cursor, pattern, mut looked_at) = (0_u64, self.keys.all(), 0);
        for _ in 0..SEARCH_STEPS {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SEARCH_KEYS);
            let (next, keys): (u64, Vec<Vec<u8>>) = scan.query_async(&mut line).await?;
            for key in keys.iter().take(SEARCH_LOOKED_AT - looked_at) {
                looked_at += 1;
                let kind: String = cmd("TYPE").arg(key).query_async(&mut line).await?;
                if kind != "none" && (kind != "string" || !self.keys.is_ours(key)) {
                    return Err(NodeError::Foreign(format!("{:?}, a {kind}", String::from_utf8_lossy(key))));
                }
            }
            cursor = next;
            if cursor == 0 || looked_at == SEARCH_LOOKED_AT {
                break;
            }
        }
        // Whoever else claims it now writes the same.
        Ok(cmd("SET").arg(&marker).arg(VERSION).query_async(&mut line).await?)
    }
}

async fn within<T>(limit: Duration, doing: impl Future<Output = Result<T, NodeError>>) -> Result<T, NodeError> {
    tokio::time::timeout(limit, doing).await.unwrap_or(Err(NodeError::Slow(limit)))
}

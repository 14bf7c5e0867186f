//! A server in this process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tributary_engine::embedded::{EmbeddedLog, EmbeddedStore, ProcessShard};
use tributary_engine::ports::Clock;
use tributary_engine::recent::BYTES_PER_ENTRY;
use tributary_engine::timeline::Signer;
use tributary_engine::{CacheBytes, Engine, Options, Ports, Roles};
use tributary_server::config::{Network, Origins, TokenKey};
use tributary_server::http::{Bounds, Settings};
use tributary_server::telemetry::MetricsHandle;

use super::client::{Client, Session};

/// The key that signs the tokens of every server of the tests.
pub const TOKEN_KEY: [u8; 32] = [7; 32];

/// A running server; its folder goes with it.
pub struct Server {
    pub address: SocketAddr,
    pub engine: Engine,
    folder: Arc<TempDir>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

/// Settings without rate limits, so that only tests of limits meet them.
pub fn settings() -> Settings {
    Settings {
        api: true,
        dev_login: true,
        sign_in: Arc::default(),
        operators: vec!["root".parse().unwrap()],
        access_ttl_s: 900,
        refresh_ttl_s: 86_400,
        follows: 10_000,
        posts_per_minute: 0,
        requests_per_second: 0,
        cors_origins: Origins::Only(Vec::new()),
        trusted_proxies: Vec::new(),
        unbounded_peers: Network::loopback().into(),
        pages: |_| None,
        bounds: Bounds {
            headers: Duration::from_secs(2),
            body: Duration::from_secs(1),
            drain: Duration::from_secs(5),
            ..Bounds::default()
        },
    }
}

/// The parts of a node in `folder`.
pub fn ports(folder: &Path) -> Ports {
    let store = EmbeddedStore::open(folder, Clock::System).unwrap();
    let shard = Arc::new(ProcessShard::new(8 << 20, Clock::System));
    Ports { store: store.clone(), log: Arc::new(EmbeddedLog::new(store)), shard }
}

/// A node in both roles, with small caches.
pub async fn engine(ports: Ports) -> Engine {
    engine_with(ports, 1 << 20).await
}

async fn engine_with(ports: Ports, ring: usize) -> Engine {
    let cache = CacheBytes { ring, windows: 8 << 20, streams: 8 << 20, views: 8 << 20, posts: 8 << 20 };
    let roles = Roles { api: true, worker: true };
    let options = Options { roles, cache, signer: Signer::new(&[9; 32]), clock: Clock::System };
    Engine::start(ports, options).await.unwrap()
}

impl Server {
    pub async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// With other settings.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = Arc::new(TempDir::new().unwrap());
        let engine = engine(ports(folder.path())).await;
        Self::serve(folder, engine, change).await
    }

    /// With a ring of so many posts.
    pub async fn with_ring(posts: usize) -> Self {
        let folder = Arc::new(TempDir::new().unwrap());
        let engine = engine_with(ports(folder.path()), posts * BYTES_PER_ENTRY).await;
        Self::serve(folder, engine, |_| ()).await
    }

    /// With parts of the test's own making over those in the folder.
    pub async fn over(decorate: impl FnOnce(Ports) -> Ports, change: impl FnOnce(&mut Settings)) -> Self {
        let folder = Arc::new(TempDir::new().unwrap());
        let engine = engine(decorate(ports(folder.path()))).await;
        Self::serve(folder, engine, change).await
    }

    async fn serve(folder: Arc<TempDir>, engine: Engine, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings();
        change(&mut settings);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let (handle, served) = (MetricsHandle::install().unwrap(), engine.clone());
        let serving = tokio::spawn(async move {
            tributary_server::http::serve(
                settings,
                served,
                move || handle.render(),
                &[TokenKey::Hs256(TOKEN_KEY)],
                None,
                listener,
                stopped,
            )
            .await;
        });
        Self { address, engine, folder, stop, serving }
    }

    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    pub async fn sign_in(&self, handle: &str) -> Session {
        self.client().sign_in(handle).await
    }

    pub async fn operator(&self) -> Session {
        self.client().operator("op").await
    }

    /// Asks the server to stop, without waiting for it.
    pub fn begin_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until the server has stopped, and its engine.
    pub async fn stopped(self) {
        self.begin_stop();
        tokio::time::timeout(Duration::from_secs(20), self.serving).await.expect("a stop in time").unwrap();
        tokio::time::timeout(Duration::from_secs(20), self.engine.stop()).await.expect("a stop in time");
    }
}

//! A server in this process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tributary_engine::Engine;
use tributary_server::http::{Bounds, Settings};

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
        operators: vec!["root".parse().unwrap()],
        access_ttl_s: 900,
        follows: 10_000,
        posts_per_minute: 0,
        requests_per_second: 0,
        trusted_proxies: Vec::new(),
        pages: |_| None,
        bounds: Bounds {
            headers: Duration::from_secs(2),
            body: Duration::from_secs(1),
            drain: Duration::from_secs(5),
            ..Bounds::default()
        },
    }
}

async fn engine(_folder: &Path) -> Engine {
    Engine {}
}

/// One recorder a process, as in the server.
fn metrics() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap()).clone()
}

impl Server {
    pub async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// With other settings.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = Arc::new(TempDir::new().unwrap());
        let engine = engine(folder.path()).await;
        Self::serve(folder, engine, change).await
    }

    async fn serve(folder: Arc<TempDir>, engine: Engine, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings();
        change(&mut settings);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let (handle, served) = (metrics(), engine.clone());
        let serving = tokio::spawn(async move {
            tributary_server::http::serve(settings, served, move || handle.render(), &TOKEN_KEY, listener, stopped)
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

    /// Waits until the server has stopped.
    pub async fn stopped(self) {
        self.begin_stop();
        tokio::time::timeout(Duration::from_secs(20), self.serving).await.expect("a stop in time").unwrap();
    }
}

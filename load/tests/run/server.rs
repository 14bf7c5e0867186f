//! A server in this process, on a runtime of its own that can be pulled away from under it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tributary_server::assemble::Node;
use tributary_server::config::{Config, Keys};
use tributary_server::http::{self, Settings};
use tributary_server::telemetry::MetricsHandle;

/// The configuration of the import and of every server.
pub const CONFIG: &str = "[store]\npath = \"data\"\n";
/// Longer than a start may take.
const PATIENCE: Duration = Duration::from_secs(20);
const NO_LIMITS: &str = "[limits]\nrequests_per_second = 0\nposts_per_minute = 0\n";

/// A running server. Its folder goes with it.
pub struct Server {
    pub address: SocketAddr,
    runtime: Option<Runtime>,
    /// Where it is dropped, the server ends gracefully.
    _stop: watch::Sender<bool>,
    folder: TempDir,
}

impl Server {
    /// Serves the store in `folder`; `more` is added to its configuration, without which there are no limits.
    pub fn start(folder: TempDir, more: &str) -> Self {
        let limits = if more.contains("[limits]") { "" } else { NO_LIMITS };
        let path = folder.path().join("tributary.toml");
        std::fs::write(&path, format!("{CONFIG}{limits}{more}")).unwrap();
        let runtime = runtime();
        let (stop, stopped) = watch::channel(false);
        let address = runtime.block_on(serve(&path, "127.0.0.1:0".parse().unwrap(), stopped)).unwrap();
        Self { address, runtime: Some(runtime), _stop: stop, folder }
    }

    /// Serves again after it was killed, at the same address.
    pub fn serve_again(&mut self) {
        let path = self.folder.path().join("tributary.toml");
        let until = Instant::now() + PATIENCE;
        loop {
            let runtime = runtime();
            let (stop, stopped) = watch::channel(false);
            match runtime.block_on(serve(&path, self.address, stopped)) {
                Ok(_) => {
                    (self.runtime, self._stop) = (Some(runtime), stop);
                    return;
                }
                // What is left of the other one may still hold the store.
                Err(error) => assert!(Instant::now() < until, "it does not start again: {error:#}"),
            }
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it in the middle of whatever it does: connections break, and nobody listens any more.
    pub fn kill(&mut self) {
        self.runtime.take().unwrap().shutdown_timeout(Duration::from_secs(5));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

async fn serve(config: &Path, address: SocketAddr, stopped: watch::Receiver<bool>) -> anyhow::Result<SocketAddr> {
    let config = Config::load(Some(config))?;
    let keys = Keys::load(&config)?;
    let node = Node::start(&config, &keys).await?;
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr().unwrap();
    let settings = Settings::new(&config, |_| None);
    let metrics = MetricsHandle::install().unwrap();
    tokio::spawn(async move {
        let rates = node.rates.clone();
        http::serve(settings, node.engine.clone(), move || metrics.render(), &keys.tokens, rates, listener, stopped)
            .await;
    });
    Ok(address)
}

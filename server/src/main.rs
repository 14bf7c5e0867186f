//! The program `tributary`: from its start to its end.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{error, info, warn};
use tributary_server::assemble::Node;
use tributary_server::cli::{self, Command};
use tributary_server::config::{Config, Keys, Sources};
use tributary_server::http::SignIn;
use tributary_server::telemetry::{self, MetricsHandle};
use tributary_server::{demo, http, open_files, operate, page};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a graceful end may take, all in all.
const SHUTDOWN: Duration = Duration::from_secs(30);
/// The demo's dice: the same world each time.
const DEMO_SEED: u64 = 1;

fn main() -> ExitCode {
    let done = match cli::parse(std::env::args_os()) {
        Ok(Command::Check(check)) => print_config(&check),
        Ok(Command::Serve(how)) => serve(how),
        Ok(Command::Migrate(how)) => operate::migrate(&how),
        Ok(Command::Dead(what)) => operate::dead(what),
        Ok(Command::Shards(what)) => operate::shards(&what),
        Err(usage) => {
            // Help and version come this way too. Whoever closed the pipe did not want to read them.
            let _ = usage.print();
            return u8::try_from(usage.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print_config(check: &cli::Configured) -> Result<()> {
    let config = Config::load(check.config.as_deref())?;
    std::io::stdout().write_all(config.to_toml().as_bytes()).context("cannot print")
}

fn serve(how: cli::Serve) -> Result<()> {
    // Lives as long as the server, and goes with it.
    let demo_folder = how.demo.then(|| tempfile::Builder::new().prefix("tributary-demo-").tempdir()).transpose();
    let demo_folder = demo_folder.context("no temporary folder for the demo")?;
    let sources = Sources {
        file: how.config,
        listen: how.listen,
        demo: demo_folder.as_ref().map(|folder| folder.path().to_owned()),
        ..Sources::of_process()
    };
    let config = Config::resolve(&sources)?;
    telemetry::start_logs(&config.telemetry)?;
    let metrics = MetricsHandle::install()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let served = runtime.block_on(run(&sources, &config, metrics));
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

async fn run(sources: &Sources, config: &Config, metrics: MetricsHandle) -> Result<()> {
    let mut stop_asked = StopSignals::listen()?;
    let mut reload_asked = listen_for(SignalKind::hangup())?;
    let listen = config.http.listen;
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("http.listen: cannot listen on {listen}"))?;
    let address = listener.local_addr().context("http.listen: the address in use is not known")?;
    let keys = Keys::load(config)?;
    let node = Node::start(config, &keys).await?;
    sync_tuning(&node, config).await?;

    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    if config.demo {
        let world = demo::seed(&node.engine, DEMO_SEED).await?;
        tasks.spawn(demo::live(node.engine.clone(), world, stopped.clone()));
    }
    let mut settings = http::Settings::new(config, page::asset);
    settings.sign_in = Arc::new(SignIn::open(&config.auth.providers, &keys.sign_in)?);
    open_files::allow(&settings.bounds);
    let sampling = tokio::spawn(metrics.clone().sample_runtime());
    let render = move || metrics.render();
    let (engine, rates) = (node.engine.clone(), node.rates.clone());
    tasks.spawn(async move { http::serve(settings, engine, render, &keys.tokens, rates, listener, stopped).await });
    info!("listening on http://{address}");

    let ended = loop {
        tokio::select! {
            () = stop_asked.recv() => break Ok(()),
            _ = reload_asked.recv() => reload(&node, sources).await,
            Some(task) = tasks.join_next() => break task.context("a task died").and_then(|()| bail!("a task ended early")),
        }
    };
    info!("stopping: requests in flight are finished first");
    stop.send_replace(true);
    sampling.abort();
    let finish = async {
        while tasks.join_next().await.is_some() {}
        node.engine.stop().await;
    };
    tokio::select! {
        finished = tokio::time::timeout(SHUTDOWN, finish) => if finished.is_err() {
            warn!("work in flight was cut off after {} s; what was acknowledged is durable", SHUTDOWN.as_secs());
        },
        () = stop_asked.recv() => warn!("asked to stop again: work in flight is cut off"),
    }
    ended
}

/// Reads the configuration again. Only its tuning can change while a node runs; where it is wrong, all stays.
async fn reload(node: &Node, sources: &Sources) {
    match Config::resolve(sources) {
        Ok(config) => match sync_tuning(node, &config).await {
            Ok(()) => info!("the configuration was read again"),
            Err(error) => error!("the configuration was read again, but its tuning could not be applied: {error:#}"),
        },
        Err(errors) => {
            for error in errors.0 {
                error!("the configuration was read again, and is not used: {error}");
            }
        }
    }
}

async fn sync_tuning(node: &Node, config: &Config) -> Result<()> {
    if let Some(tuning) = node.sync_tuning(config.tuning).await? {
        info!(version = tuning.version, settings = ?tuning.settings, "the configuration made a new tuning");
    }
    Ok(())
}

/// The two ways to ask a process to end.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn listen() -> Result<Self> {
        Ok(Self { terminate: listen_for(SignalKind::terminate())?, interrupt: listen_for(SignalKind::interrupt())? })
    }

    async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn listen_for(kind: SignalKind) -> Result<Signal> {
    signal(kind).context("signals cannot be received")
}

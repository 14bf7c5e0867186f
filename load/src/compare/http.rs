//! The engine over HTTP, its timelines warm, against a bare hyper server that returns the same bytes to the same
//! requests. Each side has a thread of its own, so that on two cores each has one, and what each used can be told.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tributary_engine::Engine;
use tributary_server::config::{Config, Keys};
use tributary_server::http::{Settings, serve};

use super::cpu;
use super::figures::{HttpArm, HttpFigures, median};

/// Connections, with one request under way on each.
const CONNECTIONS: usize = 32;
/// Readers who take turns.
const READERS: usize = 500;
const SERVER: &str = "served";
const CLIENT: &str = "asking";

/// Who reads, by token.
type Tokens = Arc<[HeaderValue]>;

/// Measures both, in turns.
///
/// # Errors
/// When one of them cannot be started, or answers with something else than a page.
pub fn measure(
    engine: &Engine,
    config: &Config,
    handles: &[String],
    rounds: usize,
    seconds: f64,
) -> Result<HttpFigures> {
    let (serving, asking) = (runtime(SERVER)?, runtime(CLIENT)?);
    let (stop, stopped) = watch::channel(false);
    let listen = || serving.block_on(TcpListener::bind("127.0.0.1:0")).context("listening on a free port");
    let (listener, bare_listener) = (listen()?, listen()?);
    let addresses = [listener.local_addr()?, bare_listener.local_addr()?];
    let (settings, keys) = (Settings::new(config, |_| None), Keys::load(config)?.tokens);
    let served = engine.clone();
    let server =
        serving.spawn(async move { serve(settings, served, String::new, &keys, None, listener, stopped).await });
    let (tokens, bodies) = asking.block_on(warm(addresses[0], handles))?;
    let bare = serving.spawn(bare(bare_listener, bodies));
    let mut rates: [Vec<HttpArm>; 2] = Default::default();
    for round in 0..=rounds {
        for (address, rates) in addresses.into_iter().zip(&mut rates) {
            let rate = asking.block_on(turn(address, tokens.clone(), seconds))?;
            // The first round warms up.
            if round > 0 {
                rates.push(rate);
            }
        }
    }
    bare.abort();
    stop.send_replace(true);
    asking.block_on(server).context("the server died")?;
    serving.shutdown_timeout(Duration::from_secs(1));
    asking.shutdown_timeout(Duration::from_secs(1));
    let [tributary, bare] = rates.map(|rounds| {
        let of = |figure: fn(&HttpArm) -> f64| median(rounds.iter().map(figure).collect());
        HttpArm {
            reads_per_second: of(|arm| arm.reads_per_second),
            server_us_per_read: of(|arm| arm.server_us_per_read),
            client_share: of(|arm| arm.client_share),
        }
    });
    Ok(HttpFigures { tributary, bare })
}

fn runtime(name: &str) -> Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name(name).enable_all().build();
    runtime.context("starting a runtime")
}

/// Signs readers in and reads each one's page, twice, so that the second comes from L1. Gives the tokens, and the page
/// of each.
async fn warm(address: SocketAddr, handles: &[String]) -> Result<(Tokens, HashMap<Box<[u8]>, Bytes>)> {
    let mut sender = connect(address).await?;
    let step = (handles.len() / READERS).max(1);
    let (mut tokens, mut bodies) = (Vec::new(), HashMap::new());
    for handle in handles.iter().step_by(step).take(READERS) {
        let login = Request::builder()
            .method(Method::POST)
            .uri("/v1/auth/dev")
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(format!("{{\"handle\":\"{handle}\"}}")))
            .context("a login is a request")?;
        let answer: serde_json::Value = serde_json::from_slice(&send(&mut sender, login).await?)?;
        let token = answer["access_token"].as_str().context("a login gives a token")?;
        let token = HeaderValue::from_str(&format!("Bearer {token}")).context("a token is a header")?;
        send(&mut sender, page(&token)?).await?;
        bodies.insert(token.as_bytes().into(), send(&mut sender, page(&token)?).await?);
        tokens.push(token);
    }
    Ok((tokens.into(), bodies))
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await.context("connecting to a server of this process")?;
    stream.set_nodelay(true).context("setting TCP_NODELAY")?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // An error of the connection is told to whoever waits for an answer.
    tokio::spawn(connection);
    Ok(sender)
}

fn page(token: &HeaderValue) -> Result<Request<Full<Bytes>>> {
    let request = Request::builder().uri("/v1/feed").header(HOST, "localhost").header(AUTHORIZATION, token);
    request.body(Full::default()).context("a page is a request")
}

async fn send(sender: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> Result<Bytes> {
    sender.ready().await.context("a connection was closed")?;
    let answer = sender.send_request(request).await.context("sending a request")?;
    let status = answer.status();
    let body = answer.into_body().collect().await.context("reading an answer")?.to_bytes();
    ensure!(status.is_success(), "the server answered {status}: {}", String::from_utf8_lossy(&body));
    Ok(body)
}

/// The bare server: it looks the page up by the token, and knows nothing else.
async fn bare(listener: TcpListener, bodies: HashMap<Box<[u8]>, Bytes>) -> Result<()> {
    let bodies = Arc::new(bodies);
    loop {
        let (stream, _) = listener.accept().await.context("accepting a connection")?;
        stream.set_nodelay(true).context("setting TCP_NODELAY")?;
        let bodies = bodies.clone();
        let answer = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
            let body = request.headers().get(AUTHORIZATION).and_then(|token| bodies.get(token.as_bytes())).cloned();
            let answer = Response::builder()
                .header(CONTENT_TYPE, "application/json")
                .body(Full::<Bytes>::from(body.unwrap_or_default()));
            std::future::ready(answer)
        });
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}

/// As many pages as there is time for.
async fn turn(address: SocketAddr, tokens: Tokens, seconds: f64) -> Result<HttpArm> {
    let mut senders = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        senders.push(connect(address).await?);
    }
    let next = Arc::new(AtomicU64::new(0));
    let (server, client, begun) = (cpu::of_threads(SERVER)?, cpu::of_threads(CLIENT)?, Instant::now());
    let until = begun + Duration::from_secs_f64(seconds);
    let mut tasks = JoinSet::new();
    for mut sender in senders {
        let (tokens, next) = (tokens.clone(), next.clone());
        tasks.spawn(async move {
            let mut reads = 0_u64;
            while Instant::now() < until {
                let token = &tokens[next.fetch_add(1, Ordering::Relaxed) as usize % tokens.len()];
                std::hint::black_box(send(&mut sender, page(token)?).await?);
                reads += 1;
            }
            anyhow::Ok(reads)
        });
    }
    let mut reads = 0;
    while let Some(done) = tasks.join_next().await {
        reads += done.context("a connection's task died")??;
    }
    let (server, client) = (cpu::of_threads(SERVER)? - server, cpu::of_threads(CLIENT)? - client);
    Ok(HttpArm {
        reads_per_second: reads as f64 / begun.elapsed().as_secs_f64(),
        server_us_per_read: server * 1e6 / reads.max(1) as f64,
        client_share: client / (client + server).max(f64::MIN_POSITIVE),
    })
}

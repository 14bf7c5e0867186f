//! A proxy that leaves the second entry out of every longer page of a home timeline: what verification must find.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Pages with fewer entries are left as they are: the probe's have one.
const LONGER: usize = 3;

/// A running proxy.
pub struct Proxy {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Proxy {
    /// In front of a server.
    pub fn start(server: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            let client: Client<_, Incoming> = Client::builder(TokioExecutor::new()).build_http();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let client = client.clone();
                let forward = service_fn(move |request| forward(client.clone(), server, request));
                let serving =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), forward);
                tokio::spawn(serving);
            }
        });
        Self { address, _runtime: runtime }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn forward(
    client: Client<HttpConnector, Incoming>,
    server: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let feed = request.uri().path() == "/v1/feed";
    let path = request.uri().path_and_query().unwrap().clone();
    *request.uri_mut() = format!("http://{server}{path}").parse().unwrap();
    let (mut parts, body) = client.request(request).await.unwrap().into_parts();
    let mut body = body.collect().await.unwrap().to_bytes();
    if feed && parts.status == 200 {
        let mut page: Value = serde_json::from_slice(&body).unwrap();
        let items = page["items"].as_array_mut().unwrap();
        if items.len() > LONGER {
            items.remove(1);
            body = serde_json::to_vec(&page).unwrap().into();
            parts.headers.remove("content-length");
        }
    }
    Ok(Response::from_parts(parts, Full::new(body)))
}

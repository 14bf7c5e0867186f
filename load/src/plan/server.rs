//! What a running server has measured: its status, asked as an operator.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::costs::Figures;

/// How long an answer may take.
const WAIT: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const ANSWER_BYTES: usize = 1024 * 1024;
/// Who asks, where the server lets anybody in.
const HANDLE: &str = "load_plan";

/// The costs that the server at `url` tells. Without an operator's token it is asked for one as a development server.
///
/// # Errors
/// When it does not answer, or does not let us in.
pub async fn figures(url: &str, token: Option<&str>) -> Result<Figures> {
    let url = url.trim_end_matches('/');
    let token = match token {
        Some(token) => token.to_owned(),
        None => sign_in(url).await?,
    };
    let status = ask(Method::GET, &format!("{url}/v1/operator/status"), Some(&token), None).await?;
    let number = |of: &Value, name: &str| of[name].as_f64();
    // What all nodes have measured, before what this one has.
    let costs = &status["costs"];
    Ok(Figures {
        h_us: number(costs, "h_us").or(number(&status, "h_us")),
        l_us: number(costs, "l_us").or(number(&status, "l_us")),
        fills_per_day: number(costs, "fills_per_day"),
    })
}

async fn sign_in(url: &str) -> Result<String> {
    let body = json!({"handle": HANDLE, "operator": true});
    let signed_in = ask(Method::POST, &format!("{url}/v1/auth/dev"), None, Some(body)).await;
    let tokens = signed_in.context("the server gives no token for the asking: name an operator's with --token")?;
    tokens["access_token"].as_str().map(str::to_owned).context("the server gave no access token")
}

async fn ask(method: Method, url: &str, token: Option<&str>, body: Option<Value>) -> Result<Value> {
    let asking = || format!("asking {url}");
    let mut request = Request::builder().method(method).uri(url).header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let bytes = body.map(|body| body.to_string()).unwrap_or_default();
    let request = request.body(Full::new(Bytes::from(bytes))).with_context(asking)?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = async {
        let answer = client.request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await;
        let Ok(body) = body else { bail!("the answer broke off, or is longer than {ANSWER_BYTES} bytes") };
        let body = body.to_bytes();
        ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        Ok(serde_json::from_slice(&body)?)
    };
    let answer = tokio::time::timeout(WAIT, answer).await.context("no answer in time");
    answer.and_then(|answer| answer).with_context(asking)
}

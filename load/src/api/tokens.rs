//! Signing in by the login of developers.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use http::{HeaderValue, Method};
use serde_json::{Value, json};

use super::page::number;
use super::{Ask, Wire};

/// Tokens are renewed so often, long before they end by default (900 s).
pub const RENEW_AFTER: Duration = Duration::from_secs(400);
/// What helps against 429.
pub const LIMITS_ADVICE: &str =
    "for a load test start the server with limits.requests_per_second = 0 and limits.posts_per_minute = 0";

/// Signs a user in for work that is not measured: token and id.
///
/// # Errors
/// When the server has no login for developers, or does not answer.
pub async fn sign_in(wire: &mut Wire, handle: &str, operator: bool) -> Result<(HeaderValue, u64)> {
    let ask = Ask::new(Method::POST, "/v1/auth/dev").json(&json!({"handle": handle, "operator": operator}));
    let url = wire.target().url.clone();
    let answer = wire.send(&ask).await.map_err(|why| anyhow!("signing in at {url}: {why}"))?;
    match answer.status.as_u16() {
        200 => {}
        404 => bail!("{url} has no login for developers: start the server with auth.dev_login = true"),
        429 => bail!("{url} limits sign-ins: {LIMITS_ADVICE}"),
        status => bail!("signing in as {handle} at {url}: answered {status}"),
    }
    let tokens: Value = serde_json::from_slice(&answer.body).context("the answer is not JSON")?;
    Ok((bearer(&tokens)?, number(&tokens["user"]["id"])?))
}

/// The `authorization` header of a sign-in's answer.
///
/// # Errors
/// When there is no token in it.
pub fn bearer(tokens: &Value) -> Result<HeaderValue> {
    let token = tokens["access_token"].as_str().context("signing in: the answer has no access_token")?;
    let mut header: HeaderValue =
        format!("Bearer {token}").parse().context("signing in: the token is no header text")?;
    header.set_sensitive(true);
    Ok(header)
}

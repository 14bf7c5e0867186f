//! The doors of routes: who may come in. A good token is counted against its user's rate; everybody else
//! against the address.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, HeaderMap, SEC_WEBSOCKET_PROTOCOL};

use super::app::App;
use super::limits::Counted;
use super::problem::Fault;
use super::request;
use super::tokens::{Caller, TokenError};

/// Whoever the token names, counted.
pub async fn caller(app: &App, headers: &HeaderMap, address: IpAddr) -> Result<(Caller, Counted), Fault> {
    match token(headers).and_then(|token| verified(app, token)) {
        Ok(caller) => app.limits.user(caller.id).await.map(|counted| (caller, counted)),
        Err(fault) => Err(app.limits.address(address).await?.told_by(fault)),
    }
}

/// Whoever the token names, or a guest where none is sent; counted. A token that is not good is refused all the same: its
/// client must learn that it has to sign in again.
pub async fn visitor(app: &App, headers: &HeaderMap, address: IpAddr) -> Result<(Option<Caller>, Counted), Fault> {
    if headers.contains_key(AUTHORIZATION) {
        return caller(app, headers, address).await.map(|(caller, counted)| (Some(caller), counted));
    }
    app.limits.address(address).await.map(|counted| (None, counted))
}

/// The caller, if it is an operator.
pub fn operator(caller: Caller) -> Result<Caller, Fault> {
    if caller.operator {
        return Ok(caller);
    }
    Err(Fault::new(http::StatusCode::FORBIDDEN, "operator_required", "only operators may do this"))
}

fn token(headers: &HeaderMap) -> Result<&str, Fault> {
    let missing = || Fault::unauthorized("token_missing", "send Authorization: Bearer with an access token");
    let Some(value) = request::header(headers, &AUTHORIZATION)? else {
        return offered(headers).ok_or_else(missing);
    };
    let value = std::str::from_utf8(value).map_err(|_| missing())?;
    let (scheme, token) = value.split_once(' ').ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(missing());
    }
    Ok(token.trim_matches(' '))
}

/// A browser can give a WebSocket no headers but the subprotocols it offers: `bearer.` and the token may be one.
fn offered(headers: &HeaderMap) -> Option<&str> {
    let offers = headers.get(SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    offers.split(',').find_map(|offer| offer.trim_matches(' ').strip_prefix("bearer."))
}

fn verified(app: &App, token: &str) -> Result<Caller, Fault> {
    app.tokens.verify(token).map_err(|error| match error {
        TokenError::Expired => Fault::unauthorized("token_expired", "the access token has expired"),
        TokenError::Invalid => Fault::unauthorized("token_invalid", "the access token is not valid"),
    })
}

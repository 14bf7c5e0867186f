//! From a request to its route: role, method, door, body, handler, in this order, so that the cheapest refusal
//! comes first and nothing is read for somebody who may not ask. All of it has a deadline, and a panic is an answer.

use std::any::Any;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use http::{HeaderMap, Method, Request};
use hyper::body::Incoming;

use super::app::App;
use super::limits::Counted;
use super::problem::Fault;
use super::respond::Answer;
use super::router::{self, Call, Door, Handled, Resource};
use super::settings::Asset;
use super::tokens::Caller;
use super::{address, auth, idempotency, request};

/// A request as it came in, with what was found out about it at once.
pub struct Inbound {
    /// What requests share.
    pub app: Arc<App>,
    /// The request.
    pub request: Request<Incoming>,
    /// The other end of the connection.
    pub peer: IpAddr,
    /// The resource of its path, with the path's id.
    pub found: Option<(&'static Resource, Box<str>)>,
}

impl Inbound {
    /// Finds the resource.
    pub fn new(app: Arc<App>, request: Request<Incoming>, peer: IpAddr) -> Self {
        let found = router::find(request.uri().path());
        Self { app, request, peer, found }
    }

    /// The route as metrics and logs name it; no client can make a new name.
    pub fn route(&self) -> &'static str {
        match &self.found {
            Some((resource, _)) => resource.pattern,
            None if (self.app.settings.pages)(self.request.uri().path()).is_some() => "page",
            None => "none",
        }
    }
}

/// Answers a request.
pub async fn dispatch(inbound: Inbound) -> Answer {
    let mut counted = Counted::default();
    let deadline = inbound.app.settings.bounds.request;
    let answered = bounded(deadline, answered(inbound, &mut counted)).await;
    let mut answer = answered.unwrap_or_else(Fault::into_answer);
    counted.tell(answer.headers_mut());
    answer
}

/// What `work` comes to. What is still under way at the deadline is dropped.
async fn bounded(deadline: Duration, work: impl Future<Output = Result<Answer, Fault>>) -> Result<Answer, Fault> {
    match tokio::time::timeout(deadline, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(answered)) => answered,
        Ok(Err(panic)) => Err(Fault::mistake(format!("a panic: {}", message(&*panic)))),
        Err(_) => Err(Fault::unavailable("the deadline of the request passed")),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

/// `counted`: what the caller is told of its rate, whatever the answer is.
async fn answered(inbound: Inbound, counted: &mut Counted) -> Result<Answer, Fault> {
    let Inbound { app, request, peer, found } = inbound;
    request::bounded_head(request.uri(), request.headers())?;
    let address = address::caller(peer, request.headers(), &app.settings.trusted_proxies);
    let Some((resource, id)) = found.filter(|(resource, _)| app.settings.api || resource.is_probe()) else {
        let asset = (app.settings.pages)(request.uri().path()).filter(|_| app.settings.api);
        if asset.is_none_or(|asset| asset.is_document()) {
            *counted = app.limits.address(address).await?;
        }
        return page(&app, request.method(), request.headers(), asset).await;
    };
    let Some(door) = resource.door(request.method()) else {
        *counted = app.limits.address(address).await?;
        return Err(Fault::method(&resource.allow));
    };
    let admitted = match door {
        Door::Probe(handler) => Admitted::Anybody(handler),
        Door::Guest(handler) => {
            *counted = app.limits.address(address).await?;
            Admitted::Anybody(handler)
        }
        Door::Visitor(handler) => {
            let (caller, told) = auth::visitor(&app, request.headers(), address).await?;
            *counted = told;
            Admitted::Visitor(handler, caller)
        }
        Door::User(handler) | Door::Operator(handler) => {
            let (caller, told) = auth::caller(&app, request.headers(), address).await?;
            *counted = told;
            let operators_only = matches!(door, Door::Operator(_));
            Admitted::Caller(handler, if operators_only { auth::operator(caller)? } else { caller })
        }
    };
    let (parts, body) = request.into_parts();
    let reads = parts.method == Method::GET || parts.method == Method::HEAD;
    let body = if reads { Bytes::new() } else { request::body(body, &app.settings.bounds).await? };
    let key = match admitted {
        Admitted::Caller(..) if !reads => idempotency::client_key(&parts, &body)?,
        _ => None,
    };
    let call = Call { app, parts, id, body, key };
    match admitted {
        Admitted::Anybody(handler) => handler(call).await,
        Admitted::Visitor(handler, caller) => handler(call, caller).await,
        Admitted::Caller(handler, caller) => handler(call, caller).await,
    }
}

/// Who came through a door, on the way to its handler.
enum Admitted {
    Anybody(fn(Call) -> Handled),
    Visitor(fn(Call, Option<Caller>) -> Handled, Option<Caller>),
    Caller(fn(Call, Caller) -> Handled, Caller),
}

/// A static page, where there is one.
async fn page(app: &App, method: &Method, headers: &HeaderMap, asset: Option<Asset>) -> Result<Answer, Fault> {
    let asset = asset.ok_or_else(|| Fault::unknown("unknown_route", "there is nothing at this path"))?;
    if method != Method::GET && method != Method::HEAD {
        return Err(Fault::method("GET, HEAD"));
    }
    Ok(app.pages.answer(&asset, headers).await)
}

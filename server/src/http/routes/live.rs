//! The home timeline as it comes: a stream of events, or a WebSocket where the client asks for one.

use std::borrow::Cow;

use http::header::HeaderName;

use crate::http::live::{Teller, server_sent, websocket};
use crate::http::problem::Fault;
use crate::http::request;
use crate::http::respond::Answer;
use crate::http::router::Call;
use crate::http::tokens::Caller;

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// `GET /v1/feed/live`
pub async fn live(call: Call, caller: Caller) -> Result<Answer, Fault> {
    let websocket_asked = websocket::asked(&call.parts);
    if websocket_asked {
        websocket::acceptable(&call.parts)?;
    }
    // What a client heard last goes before what its address says: that stays the same when a browser comes back.
    let heard = request::header(&call.parts.headers, &LAST_EVENT_ID)?.filter(|id| !id.is_empty());
    let heard = heard.map(|id| String::from_utf8_lossy(id).into_owned());
    let since = match heard {
        Some(id) => Some(id),
        None => request::parameter(&call.parts, "since")?.map(Cow::into_owned),
    };
    let seat = call.app.streams.take(caller.id, if websocket_asked { "websocket" } else { "sse" })?;
    let live = call.app.engine.live(caller.id, since.as_deref()).await?;
    let teller = Teller::new(live, &call.app, caller, seat);
    if websocket_asked { websocket::answer(call.parts, teller) } else { Ok(server_sent::answer(teller)) }
}

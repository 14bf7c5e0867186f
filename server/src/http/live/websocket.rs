//! A live stream as a WebSocket (RFC 6455), over HTTP/1.1. Text messages from us, each a JSON object:
//! `{"event":"post","id":token,"data":{...}}`, and `{"id":token}` where nothing has happened. A client says nothing.
//!
//! The access token is sent, not kept by the browser: a page of another origin has none to send, so `Origin` need not
//! be looked at.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::request::Parts;
use http::{Method, Request, StatusCode, Version};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::teller::{End, Say, Teller, name, write_data};
use crate::http::problem::Fault;
use crate::http::respond::{self, Answer};
use crate::http::server::Place;

/// The subprotocol.
const PROTOCOL: &str = "tributary";
/// Bytes of a client's message.
const HEARD_BYTES: usize = 4 * 1024;
/// Bytes that are read at a time. Each open stream has as many.
const READ_BYTES: usize = 1_024;
/// Bytes of ours from which on they are sent, not gathered. No more is found before they are.
const GATHERED_BYTES: usize = 16 * 1024;
/// Longer than any message of ours, and what is gathered.
const WRITE_BYTES: usize = 128 * 1024;
/// Messages of a client from one heartbeat to the next.
const HEARD: u32 = 32;
/// How long the switch from HTTP may take.
const SWITCH: Duration = Duration::from_secs(5);
/// How long a client may take to return our farewell. A server that stops waits for it.
const FAREWELL: Duration = Duration::from_secs(1);
/// The access token has expired. The other codes are of RFC 6455.
const EXPIRED: u16 = 4_401;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Whether the client asks for a WebSocket. What else it may offer to speak is passed over.
pub fn asked(parts: &Parts) -> bool {
    parts.headers.get(UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Refuses what is no handshake that we can answer.
pub fn acceptable(parts: &Parts) -> Result<(), Fault> {
    let upgradable = parts.version == Version::HTTP_11 && parts.method == Method::GET;
    if !(upgradable && parts.extensions.get::<OnUpgrade>().is_some()) {
        return Err(refused("a stream is upgraded to a WebSocket by GET over HTTP/1.1"));
    }
    if parts.headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        let fault = Fault::new(StatusCode::UPGRADE_REQUIRED, "bad_handshake", "WebSockets of version 13 are spoken");
        let fault = fault.with(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return Err(fault.with(UPGRADE, HeaderValue::from_static("websocket")));
    }
    Ok(())
}

fn refused(detail: &'static str) -> Fault {
    Fault::malformed("bad_handshake", detail)
}

/// The answer after which the connection is a WebSocket that tells what the teller says.
pub fn answer(parts: Parts, teller: Teller) -> Result<Answer, Fault> {
    let mut request = Request::from_parts(parts, ());
    let accepted = create_response_with_body(&request, || respond::whole(""));
    let mut answer = accepted.map_err(|_| refused("the headers of the WebSocket's handshake are not complete"))?;
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|offers| offers.to_str().ok());
    if offered.flat_map(|offers| offers.split(',')).any(|offer| offer.trim_matches(' ') == PROTOCOL) {
        answer.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    }
    let place = request.extensions_mut().remove::<Place>();
    let upgrading = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        serve(upgrading, teller).await;
        drop(place);
    });
    Ok(answer)
}

async fn serve(upgrading: OnUpgrade, mut teller: Teller) {
    let Ok(Ok(upgraded)) = timeout(SWITCH, upgrading).await else { return };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(GATHERED_BYTES)
        .max_write_buffer_size(WRITE_BYTES)
        .max_message_size(Some(HEARD_BYTES))
        .max_frame_size(Some(HEARD_BYTES));
    let mut socket = Socket::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let Some(farewell) = tell(&mut socket, &mut teller).await else { return };
    // A client that does not read any more does not hear it either.
    let close = async {
        socket.close(Some(farewell)).await?;
        while let Some(heard) = socket.next().await {
            heard?;
        }
        Ok::<_, Error>(())
    };
    if !matches!(timeout(FAREWELL, close).await, Ok(Ok(()))) {
        tracing::debug!("a WebSocket ended without a farewell");
    }
}

/// Tells until there is an end; with what the client is told of it, where there is somebody to tell.
async fn tell(socket: &mut Socket, teller: &mut Teller) -> Option<CloseFrame> {
    let mut heard = 0;
    loop {
        let say = tokio::select! {
            say = teller.next() => say,
            message = socket.next() => match message {
                Some(Err(Error::Capacity(_))) => return Some(farewell(CloseCode::Size, "say less")),
                Some(Ok(Message::Close(_))) => {
                    // The library has made the reply, and sends it with the next flush.
                    let _ = timeout(FAREWELL, socket.flush()).await;
                    return None;
                }
                Some(Err(_)) | None => return None,
                Some(Ok(_)) if heard == HEARD => return Some(farewell(CloseCode::Policy, "say less")),
                Some(Ok(_)) => {
                    heard += 1;
                    continue;
                }
            },
        };
        if matches!(say, Say::Here(_)) {
            heard = 0;
        }
        let said = match say {
            Say::End(end) => return Some(ended(end)),
            say => timeout(teller.slow(), send(socket, teller, say)).await,
        };
        match said {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(_) => return Some(ended(End::Slow)),
        }
    }
}

async fn send(socket: &mut Socket, teller: &mut Teller, say: Say) -> Result<(), Error> {
    let (mut next, mut gathered) = (Some(say), 0);
    while let Some(say) = next {
        match say {
            Say::Event(event) => {
                let token = teller.tell(&event);
                let mut text = format!(r#"{{"event":"{}","id":"{token}","data":"#, name(&event.news)).into_bytes();
                write_data(&event.news, &mut text);
                text.push(b'}');
                let text = String::from_utf8(text).expect("JSON is UTF-8");
                gathered += text.len();
                socket.feed(Message::text(text)).await?;
            }
            Say::Here(token) => {
                socket.feed(Message::text(format!(r#"{{"id":"{token}"}}"#))).await?;
                socket.feed(Message::Ping(bytes::Bytes::new())).await?;
            }
            Say::End(_) => break,
        }
        next = if gathered < GATHERED_BYTES { teller.found().map(Say::Event) } else { None };
    }
    socket.flush().await
}

fn ended(end: End) -> CloseFrame {
    end.count();
    let code = match end {
        End::Expired => CloseCode::Library(EXPIRED),
        End::Stopping => CloseCode::Away,
        End::Anew | End::Slow => CloseCode::Again,
    };
    farewell(code, end.reason())
}

fn farewell(code: CloseCode, reason: &'static str) -> CloseFrame {
    CloseFrame { code, reason: reason.into() }
}

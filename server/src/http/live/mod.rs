//! Live streams: what both kinds have in common ([`teller`], [`streams`]), and what each makes of it
//! ([`server_sent`], [`websocket`]).
//!
//! A stream is pulled: the next thing is asked of the engine only when the client has room for it. So a slow client
//! has no queue here that could grow; it falls behind in the log, and is ended before it falls far (law 9).

pub mod server_sent;
mod streams;
mod teller;
pub mod websocket;

pub use streams::Streams;
pub use teller::Teller;

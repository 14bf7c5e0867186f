//! Connections for appends. What goes over them is one command in great numbers, and what comes back is one number
//! each. Written and read here by hand an append costs a quarter of a microsecond of our processor's time; as
//! commands and values of the general client it cost half of one, for two microseconds of Redis's.
//!
//! A connection carries one pipeline at a time, so bb8 lends it out. It is made by the first pipeline, within that
//! one's time; one whose replies were not all read is not used again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bb8::{ManageConnection, Pool, RunError};
use bytes::{Buf, BytesMut};
use redis::{ConnectionAddr, ConnectionInfo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::error::NodeError;
use crate::limits::{REDIS_APPEND_TIMEOUT, REDIS_CONNECTIONS};

/// Bytes of a reply at the most: Redis's own words about an error are far shorter.
const REPLY_BYTES: usize = 64 * 1024;

/// A pipeline of commands whose replies are numbers.
#[derive(Default)]
pub(super) struct Commands {
    bytes: Vec<u8>,
    count: usize,
}

impl Commands {
    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    pub fn push(&mut self, arguments: &[&[u8]]) {
        self.length(b'*', arguments.len());
        for argument in arguments {
            self.length(b'$', argument.len());
            self.bytes.extend_from_slice(argument);
            self.bytes.extend_from_slice(b"\r\n");
        }
        self.count += 1;
    }

    /// As `write!` would, without the machinery of formatting: three times in every command.
    fn length(&mut self, kind: u8, length: usize) {
        let (mut digits, mut start, mut rest) = ([0; 20], 20, length);
        while start == 20 || rest > 0 {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.bytes.push(kind);
        self.bytes.extend_from_slice(&digits[start..]);
        self.bytes.extend_from_slice(b"\r\n");
    }
}

/// What Redis said to one command: a number (0 where it said a word), or why not.
pub(super) type Reply = Result<u64, String>;

/// Connections to one server.
pub(super) struct Wires {
    pool: Pool<Manager>,
    generation: Arc<AtomicU64>,
}

struct Manager {
    info: ConnectionInfo,
    generation: Arc<AtomicU64>,
}

struct Wire {
    info: ConnectionInfo,
    stream: Option<Box<dyn Stream>>,
    received: BytesMut,
    /// Replies may be on their way.
    busy: bool,
    generation: u64,
}

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

impl ManageConnection for Manager {
    type Connection = Wire;
    type Error = NodeError;

    async fn connect(&self) -> Result<Wire, NodeError> {
        let generation = self.generation.load(Ordering::Relaxed);
        Ok(Wire { info: self.info.clone(), stream: None, received: BytesMut::new(), busy: false, generation })
    }

    async fn is_valid(&self, wire: &mut Wire) -> Result<(), NodeError> {
        if self.has_broken(wire) { Err(NodeError::Unreachable("of an earlier generation".to_owned())) } else { Ok(()) }
    }

    fn has_broken(&self, wire: &mut Wire) -> bool {
        wire.busy || wire.generation != self.generation.load(Ordering::Relaxed)
    }
}

impl Wires {
    /// A connection for each pipeline in flight.
    pub fn new(info: ConnectionInfo) -> Self {
        let generation = Arc::new(AtomicU64::new(0));
        let pool = Pool::builder()
            .max_size(REDIS_CONNECTIONS)
            .max_lifetime(None)
            .idle_timeout(None)
            .connection_timeout(REDIS_APPEND_TIMEOUT)
            .build_unchecked(Manager { info, generation: generation.clone() });
        Self { pool, generation }
    }

    /// Has every connection made anew.
    pub fn renew(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// Sends the commands and waits for all their replies.
    pub async fn exchange(&self, commands: &Commands) -> Result<Vec<Reply>, NodeError> {
        match self.pool.get().await {
            Ok(mut wire) => wire.exchange(commands).await,
            Err(RunError::User(error)) => Err(error),
            Err(RunError::TimedOut) => Err(NodeError::Unreachable("no connection is free".to_owned())),
        }
    }
}

impl Wire {
    async fn exchange(&mut self, commands: &Commands) -> Result<Vec<Reply>, NodeError> {
        self.busy = true;
        if self.stream.is_none() {
            self.connect().await?;
        }
        let replies = self.ask(commands).await?;
        self.busy = false;
        Ok(replies)
    }

    async fn connect(&mut self) -> Result<(), NodeError> {
        self.stream = Some(match self.info.addr() {
            ConnectionAddr::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(broken)?;
                stream.set_nodelay(true).map_err(broken)?;
                Box::new(stream)
            }
            #[cfg(unix)]
            ConnectionAddr::Unix(path) => Box::new(tokio::net::UnixStream::connect(path).await.map_err(broken)?),
            _ => return Err(NodeError::Unreachable("such an address is not supported".to_owned())),
        });
        let settings = self.info.redis_settings();
        let (database, mut greeting) = (settings.db().to_string(), Commands::default());
        if let Some(password) = settings.password() {
            match settings.username() {
                Some(name) => greeting.push(&[b"AUTH", name.as_bytes(), password.as_bytes()]),
                None => greeting.push(&[b"AUTH", password.as_bytes()]),
            }
        }
        greeting.push(&[b"SELECT", database.as_bytes()]);
        match self.ask(&greeting).await?.into_iter().find_map(Result::err) {
            Some(error) => Err(NodeError::Denied(error)),
            None => Ok(()),
        }
    }

    /// Writing to the end before reading is safe: a reply is short, and what does not fit the sockets Redis keeps.
    async fn ask(&mut self, commands: &Commands) -> Result<Vec<Reply>, NodeError> {
        let Self { stream: Some(stream), received, .. } = self else {
            return Err(NodeError::Unreachable("not connected".to_owned()));
        };
        stream.write_all(&commands.bytes).await.map_err(broken)?;
        let mut replies = Vec::with_capacity(commands.count);
        while replies.len() < commands.count {
            received.reserve(16 * 1024);
            if stream.read_buf(received).await.map_err(broken)? == 0 {
                return Err(NodeError::Unreachable("the connection was closed".to_owned()));
            }
            while let Some((reply, length)) = take_reply(received)? {
                replies.push(reply);
                received.advance(length);
            }
        }
        Ok(replies)
    }
}

fn broken(error: std::io::Error) -> NodeError {
    NodeError::Unreachable(error.to_string())
}

/// The reply at the front, with its length, if all of it is there.
fn take_reply(bytes: &[u8]) -> Result<Option<(Reply, usize)>, NodeError> {
    let foreign = || NodeError::Unreachable("what answers does not speak as Redis does".to_owned());
    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
        return if bytes.len() < REPLY_BYTES { Ok(None) } else { Err(foreign()) };
    };
    let Some((kind, line)) = bytes[..end].strip_suffix(b"\r").and_then(<[u8]>::split_first) else {
        return Err(foreign());
    };
    let reply = match kind {
        b':' => Ok(number(line).ok_or_else(foreign)?),
        b'+' => Ok(0),
        b'-' => Err(String::from_utf8_lossy(line).into_owned()),
        _ => return Err(foreign()),
    };
    Ok(Some((reply, end + 1)))
}

fn number(digits: &[u8]) -> Option<u64> {
    let digit = |sum: u64, &byte: &u8| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| sum.checked_mul(10)?.checked_add(u64::from(digit))).flatten()
    };
    (!digits.is_empty()).then(|| digits.iter().try_fold(0, digit)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::fuzz;

    #[test]
    fn commands_are_written_as_redis_reads_them() {
        let mut commands = Commands::default();
        commands.push(&[b"APPEND", b"key", &[b'x'; 120]]);
        commands.push(&[b""]);
        let expected = format!("*3\r\n$6\r\nAPPEND\r\n$3\r\nkey\r\n$120\r\n{}\r\n*1\r\n$0\r\n\r\n", "x".repeat(120));
        assert_eq!((&*commands.bytes, commands.count), (expected.as_bytes(), 2));
    }

    #[test]
    fn replies_are_taken_whole_and_one_at_a_time() {
        let take = |text: &str| take_reply(text.as_bytes()).unwrap();
        assert_eq!(take(":3456\r\n:1\r\n"), Some((Ok(3_456), 7)));
        assert_eq!(take("+OK\r\n"), Some((Ok(0), 5)));
        assert_eq!(take("-OOM no memory\r\n"), Some((Err("OOM no memory".into()), 16)));
        assert_eq!((take(""), take(":34"), take(":34\r")), (None, None, None));
        assert!(take_reply(b"HTTP/1.1 400\r\n").is_err() && take_reply(b"\n").is_err());
        assert!(take_reply(b":-1\r\n").is_err() && take_reply(b":\r\n").is_err() && take_reply(b":1\n").is_err());
        assert!(take_reply(b":18446744073709551616\r\n").is_err());
        assert!(take_reply(&[b'-'; REPLY_BYTES]).is_err());
    }

    #[test]
    fn a_reply_is_one_line_and_a_number_is_these_digits() {
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/reply");
        let seeds = [&b":3456\r\n:1\r\n"[..], b"+OK\r\n", b"-OOM no memory\r\n", b":18446744073709551615\r\n"];
        fuzz(kept, seeds.map(<[u8]>::to_vec).to_vec(), |input| {
            let Ok(Some((reply, length))) = take_reply(input) else { return false };
            let line = &input[1..length - 2];
            assert!(input[..length].ends_with(b"\r\n") && !line.contains(&b'\n'), "{reply:?}");
            match reply {
                Ok(number) if input[0] == b':' => {
                    let digits = number.to_string();
                    assert!(
                        line.ends_with(digits.as_bytes())
                            && line[..line.len() - digits.len()].iter().all(|b| *b == b'0')
                    );
                }
                Ok(number) => assert_eq!(number, 0),
                Err(told) => assert!(told.len() <= 3 * line.len()),
            }
            true
        });
    }
}

//! A bare connection, for what no well-behaved client would send.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Longer than any answer may take: a hang fails the test.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection.
pub struct Wire(TcpStream);

impl Wire {
    pub async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// From this address of the machine's own.
    pub async fn open_from(address: SocketAddr, from: IpAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from, 0)).unwrap();
        Self(socket.connect(address).await.unwrap())
    }

    /// Sends bytes. The server may have hung up already, which is its right.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Ends what is sent; the answer can still be read.
    pub async fn end(&mut self) {
        self.0.shutdown().await.ok();
    }

    /// Everything until the server closes.
    pub async fn rest(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.rest_as_bytes().await).into_owned();
        assert!(!text.contains("HTTP/1.1 500"), "{text}");
        text
    }

    /// Everything until the server closes, whatever it is.
    pub async fn rest_as_bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let read = self.0.read_to_end(&mut bytes);
        tokio::time::timeout(PATIENCE, read).await.expect("the server closes in time").ok();
        bytes
    }

    /// The first `count` bytes of what comes; fewer where the server closes before.
    pub async fn first(&mut self, count: usize) -> String {
        let mut bytes = Vec::new();
        let mut limited = (&mut self.0).take(count as u64);
        tokio::time::timeout(PATIENCE, limited.read_to_end(&mut bytes)).await.expect("an answer in time").ok();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What comes until `text` did.
    pub async fn until(&mut self, text: &str) -> String {
        let mut bytes = Vec::new();
        loop {
            let mut chunk = [0; 4096];
            let read =
                tokio::time::timeout(PATIENCE, self.0.read(&mut chunk)).await.expect("an answer in time").unwrap();
            assert_ne!(read, 0, "closed after {:?}", String::from_utf8_lossy(&bytes));
            bytes.extend_from_slice(&chunk[..read]);
            let so_far = String::from_utf8_lossy(&bytes);
            assert!(!so_far.contains("HTTP/1.1 500"), "{so_far}");
            if so_far.contains(text) {
                return so_far.into_owned();
            }
        }
    }

    /// Sends bytes, and reads until the server closes.
    pub async fn exchange(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
        let mut wire = Self::open(address).await;
        wire.send(bytes).await;
        wire.rest().await
    }
}

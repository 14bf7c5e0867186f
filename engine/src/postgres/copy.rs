//! Rows in the binary format of COPY, encoded as a whole before they are sent: a batch is bounded by its caller.

use bytes::{BufMut, Bytes, BytesMut};
use futures::SinkExt;
use tokio_postgres::Client;

use super::fault::Fault;

/// Signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Bytes of a message.
const MESSAGE_BYTES: usize = 256 * 1024;

/// Rows of a table.
pub(super) struct Rows {
    bytes: BytesMut,
}

impl Rows {
    pub(super) fn new() -> Self {
        Self { bytes: BytesMut::from(HEADER) }
    }

    /// Begins a row of so many columns, which follow.
    pub(super) fn row(&mut self, columns: i16) -> &mut Self {
        self.bytes.put_i16(columns);
        self
    }

    /// A `smallint`.
    pub(super) fn small(&mut self, value: i16) -> &mut Self {
        self.bytes.put_i32(2);
        self.bytes.put_i16(value);
        self
    }

    /// A `bigint`.
    pub(super) fn big(&mut self, value: i64) -> &mut Self {
        self.bytes.put_i32(8);
        self.bytes.put_i64(value);
        self
    }

    /// A `text`.
    pub(super) fn text(&mut self, value: &str) -> &mut Self {
        self.bytes.put_i32(value.len() as i32);
        self.bytes.put_slice(value.as_bytes());
        self
    }

    /// Copies them into the table that `sql` names.
    pub(super) async fn copy(mut self, client: &Client, sql: &str) -> Result<(), Fault> {
        self.bytes.put_i16(-1);
        let mut left: Bytes = self.bytes.freeze();
        let mut sink = Box::pin(client.copy_in::<_, Bytes>(sql).await?);
        while !left.is_empty() {
            let message = left.split_to(left.len().min(MESSAGE_BYTES));
            sink.send(message).await?;
        }
        sink.as_mut().finish().await?;
        Ok(())
    }
}

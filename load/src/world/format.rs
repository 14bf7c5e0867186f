//! The bytes of a world's files: how they are framed, so that a truncated or damaged one is noticed.
//!
//! Numbers in the frame are little-endian; a *varint* is LEB128 (seven bits a byte, lowest first), at most ten bytes.
//!
//! | part | bytes |
//! |---|---|
//! | header | magic `TRIBWRLD` (8), version (u16, now 1), kind (u16: 1 users, 2 follows, 3 posts), zero (u32) |
//! | body | varints, see below |
//! | trailer | count of records (u64), CRC-32 as in gzip of everything before it (u32) |
//!
//! | file | body |
//! |---|---|
//! | `users.bin` | by rising number: number, less the previous number. A user's *index* is its place here, from 0; its handle is `u<number>` |
//! | `follows.bin` | by rising follower: follower's index less the previous follower's, count (>= 1), then that many followees' indices by rising index, each less the previous one; the first of each is as it is. The trailer counts follows |
//! | `posts.bin` | by time: Unix second less the previous second, index of the author. Posts of one second keep their order |

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use flate2::Crc;

use super::FileSummary;

/// The version that this program writes and reads.
pub const VERSION: u16 = 1;
const MAGIC: &[u8; 8] = b"TRIBWRLD";
const HEADER_BYTES: u64 = 16;
const TRAILER_BYTES: u64 = 12;
const BUFFER_BYTES: usize = 64 * 1024;

/// Which of the three files it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `users.bin`
    Users = 1,
    /// `follows.bin`
    Follows = 2,
    /// `posts.bin`
    Posts = 3,
}

impl Kind {
    /// Its name in a world's folder.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Users => "users.bin",
            Self::Follows => "follows.bin",
            Self::Posts => "posts.bin",
        }
    }

    fn header(self) -> [u8; HEADER_BYTES as usize] {
        let mut header = [0; HEADER_BYTES as usize];
        header[..8].copy_from_slice(MAGIC);
        header[8..10].copy_from_slice(&VERSION.to_le_bytes());
        header[10..12].copy_from_slice(&(self as u16).to_le_bytes());
        header
    }
}

/// Writes one file from beginning to end.
pub struct BodyWriter {
    path: PathBuf,
    output: BufWriter<File>,
    crc: Crc,
    count: u64,
}

impl BodyWriter {
    /// # Errors
    /// When the file cannot be made.
    pub fn create(folder: &Path, kind: Kind) -> Result<Self> {
        let path = folder.join(kind.file_name());
        let file = File::create(&path).with_context(|| format!("making {}", path.display()))?;
        let output = BufWriter::with_capacity(BUFFER_BYTES, file);
        let mut writer = Self { path, output, crc: Crc::new(), count: 0 };
        writer.put(&kind.header())?;
        Ok(writer)
    }

    /// Appends one varint.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn varint(&mut self, mut value: u64) -> Result<()> {
        let mut bytes = [0; 10];
        let mut length = 0;
        while value >= 0x80 {
            bytes[length] = value as u8 | 0x80;
            value >>= 7;
            length += 1;
        }
        bytes[length] = value as u8;
        self.put(&bytes[..=length])
    }

    /// Counts one more record as written.
    pub fn record(&mut self) {
        self.count += 1;
    }

    /// Writes the trailer and makes the file durable.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(mut self) -> Result<FileSummary> {
        let count = self.count;
        self.put(&count.to_le_bytes())?;
        let crc32 = self.crc.sum();
        let written = self.output.write_all(&crc32.to_le_bytes()).and_then(|()| self.output.flush());
        written.and_then(|()| self.output.get_ref().sync_all()).with_context(|| self.writing())?;
        Ok(FileSummary { count, crc32 })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.crc.update(bytes);
        self.output.write_all(bytes).with_context(|| self.writing())
    }

    fn writing(&self) -> String {
        format!("writing {}", self.path.display())
    }
}

/// Reads one file from beginning to end, and checks it on the way.
pub struct BodyReader {
    path: PathBuf,
    input: File,
    crc: Crc,
    buffer: Vec<u8>,
    /// What of the buffer is read.
    at: usize,
    /// Bytes of the body that are not in the buffer yet.
    left: u64,
    summary: FileSummary,
}

impl BodyReader {
    /// # Errors
    /// When the file cannot be read, is not of this kind and version, or is too short to be whole.
    pub fn open(folder: &Path, kind: Kind) -> Result<Self> {
        let path = folder.join(kind.file_name());
        let (input, length, header, trailer) = read_frame(&path)?;
        let shown = path.display();
        ensure!(&header[..8] == MAGIC, "{shown} is not a file of a world");
        let version = u16::from_le_bytes([header[8], header[9]]);
        ensure!(version == VERSION, "{shown} has version {version}, this program reads version {VERSION}");
        ensure!(header == kind.header(), "{shown} holds something other than its name says");
        let mut crc = Crc::new();
        crc.update(&header);
        let (count, crc32) = trailer.split_at(8);
        let summary = FileSummary {
            count: u64::from_le_bytes(count.try_into().expect("eight bytes")),
            crc32: u32::from_le_bytes(crc32.try_into().expect("four bytes")),
        };
        let left = length - HEADER_BYTES - TRAILER_BYTES;
        Ok(Self { path, input, crc, buffer: Vec::with_capacity(BUFFER_BYTES), at: 0, left, summary })
    }

    /// What the trailer says.
    pub fn summary(&self) -> FileSummary {
        self.summary
    }

    /// Whether the body is read to its end. There, the checksum and the number of records read must agree.
    ///
    /// # Errors
    /// When they do not: the file is damaged.
    pub fn at_end(&mut self, records: u64) -> Result<bool> {
        if self.at < self.buffer.len() || self.left > 0 {
            return Ok(false);
        }
        self.crc.update(&self.summary.count.to_le_bytes());
        if self.crc.sum() != self.summary.crc32 || records != self.summary.count {
            return Err(self.damaged("its checksum does not agree"));
        }
        Ok(true)
    }

    /// The next varint.
    ///
    /// # Errors
    /// When the file cannot be read, or ends or overflows within the number.
    pub fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.damaged("a number overflows"))
    }

    /// The error for content that cannot be.
    pub fn damaged(&self, why: &str) -> anyhow::Error {
        anyhow::anyhow!("{} is truncated or damaged: {why}. Make the world again", self.path.display())
    }

    fn byte(&mut self) -> Result<u8> {
        if self.at == self.buffer.len() {
            self.refill()?;
        }
        self.at += 1;
        Ok(self.buffer[self.at - 1])
    }

    fn refill(&mut self) -> Result<()> {
        let length = self.left.min(BUFFER_BYTES as u64) as usize;
        if length == 0 {
            return Err(self.damaged("a record is cut off"));
        }
        self.buffer.resize(length, 0);
        self.input.read_exact(&mut self.buffer).with_context(|| format!("reading {}", self.path.display()))?;
        self.crc.update(&self.buffer);
        self.left -= length as u64;
        self.at = 0;
        Ok(())
    }
}

type Frame = (File, u64, [u8; HEADER_BYTES as usize], [u8; TRAILER_BYTES as usize]);

/// The file, placed at its body, with its length, header and trailer.
fn read_frame(path: &Path) -> Result<Frame> {
    let reading = || format!("reading {}", path.display());
    let mut file = File::open(path).with_context(reading)?;
    let length = file.metadata().with_context(reading)?.len();
    if length < HEADER_BYTES + TRAILER_BYTES {
        bail!("{} is truncated: {length} bytes cannot be a file of a world", path.display());
    }
    let (mut header, mut trailer) = ([0; HEADER_BYTES as usize], [0; TRAILER_BYTES as usize]);
    let read = file
        .seek(SeekFrom::Start(length - TRAILER_BYTES))
        .and_then(|_| file.read_exact(&mut trailer))
        .and_then(|()| file.rewind())
        .and_then(|()| file.read_exact(&mut header));
    read.with_context(reading)?;
    Ok((file, length, header, trailer))
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;

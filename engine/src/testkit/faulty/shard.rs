//! A shard that fails on purpose. Every string it shows was true once (law 2), but it may be gone, older than the
//! last one, repeated within, or joined by segments from long ago.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Fault, Faults};
use crate::model::UserId;
use crate::ports::{SegmentBatch, Shard, ShardError, ShardState};

/// Older strings kept of a reader, and readers they are kept of.
const OLDER_STRINGS: usize = 4;
const OLDER_READERS: usize = 4_096;
/// Segments that are late at the same time; more are in time.
const LATE_SEGMENTS: usize = 4_096;

/// Any shard, with faults.
pub struct FaultyShard {
    inner: Arc<dyn Shard>,
    faults: Arc<Faults>,
    memory: Mutex<Memory>,
}

/// What it brings up later.
#[derive(Default)]
struct Memory {
    older: BTreeMap<UserId, VecDeque<Bytes>>,
    late: VecDeque<(UserId, Vec<u8>)>,
}

impl Memory {
    fn remember(&mut self, reader: UserId, string: &Bytes) {
        let strings = self.older.entry(reader).or_default();
        if strings.back() != Some(string) {
            strings.push_back(string.clone());
        }
        if strings.len() > OLDER_STRINGS {
            strings.pop_front();
        }
        if self.older.len() > OLDER_READERS {
            self.older.pop_first();
        }
    }
}

fn unavailable() -> ShardError {
    ShardError("an injected fault".into())
}

impl FaultyShard {
    /// `inner` with `faults`.
    pub fn new(inner: Arc<dyn Shard>, faults: Arc<Faults>) -> Self {
        Self { inner, faults, memory: Mutex::default() }
    }

    fn memory<T>(&self, with: impl FnOnce(&mut Memory) -> T) -> T {
        with(&mut self.memory.lock().expect("remembering does not panic"))
    }

    fn refuse(&self) -> Result<(), ShardError> {
        if self.faults.strikes(Fault::ShardUnavailable) { Err(unavailable()) } else { Ok(()) }
    }

    fn lose_reply(&self) -> Result<(), ShardError> {
        if self.faults.strikes(Fault::ShardReplyLost) { Err(unavailable()) } else { Ok(()) }
    }

    /// At every call some of what is late arrives: mostly the oldest first, sometimes any.
    async fn let_late_segments_arrive(&self) -> Result<(), ShardError> {
        let arrived = self.memory(|memory| {
            let mut batch = SegmentBatch::default();
            self.faults.draw(|random| {
                let arriving = if random.u8(..4) == 0 { random.usize(..=memory.late.len()) } else { 0 };
                for _ in 0..arriving {
                    let place = if random.bool() { 0 } else { random.usize(..memory.late.len()) };
                    let (reader, segment) = memory.late.remove(place).expect("the place is within");
                    batch.push(reader, |out| out.extend(segment));
                }
            });
            batch
        });
        if arrived.is_empty() { Ok(()) } else { self.inner.append(&arrived).await }
    }

    /// Puts a random part of the batch off; what is left is appended now.
    fn put_off(&self, batch: &SegmentBatch) -> SegmentBatch {
        let mut now = SegmentBatch::default();
        self.memory(|memory| {
            for (reader, segment) in batch.iter() {
                if memory.late.len() < LATE_SEGMENTS && self.faults.draw(fastrand::Rng::bool) {
                    memory.late.push_back((reader, segment.to_vec()));
                } else {
                    now.push(reader, |out| out.extend(segment));
                }
            }
        });
        now
    }
}

#[async_trait]
impl Shard for FaultyShard {
    async fn read(&self, reader: UserId) -> Result<Option<Bytes>, ShardError> {
        self.refuse()?;
        self.let_late_segments_arrive().await?;
        if self.faults.strikes(Fault::StringLost) {
            self.inner.remove(&[reader]).await?;
        }
        if self.faults.strikes(Fault::StringOlder) {
            let older = self.memory(|memory| {
                let strings = memory.older.get(&reader)?;
                self.faults.draw(|random| strings.get(random.usize(..strings.len())).cloned())
            });
            if let Some(older) = older {
                self.inner.set(reader, older).await?;
            }
        }
        let string = self.inner.read(reader).await?;
        if let Some(string) = &string {
            self.memory(|memory| memory.remember(reader, string));
        }
        self.lose_reply()?;
        Ok(string)
    }

    async fn set(&self, reader: UserId, fill: Bytes) -> Result<(), ShardError> {
        self.refuse()?;
        self.let_late_segments_arrive().await?;
        self.memory(|memory| memory.remember(reader, &fill));
        if !self.faults.strikes(Fault::SetLost) {
            self.inner.set(reader, fill).await?;
        }
        self.lose_reply()
    }

    async fn append(&self, batch: &SegmentBatch) -> Result<(), ShardError> {
        self.refuse()?;
        self.let_late_segments_arrive().await?;
        if self.faults.strikes(Fault::AppendedLate) {
            self.inner.append(&self.put_off(batch)).await?;
        } else {
            self.inner.append(batch).await?;
        }
        if self.faults.strikes(Fault::AppendedTwice) {
            self.inner.append(batch).await?;
        }
        self.lose_reply()
    }

    async fn read_popular(&self) -> Result<Option<Bytes>, ShardError> {
        self.refuse()?;
        let string = self.inner.read_popular().await?.filter(|_| !self.faults.strikes(Fault::StringLost));
        self.lose_reply()?;
        Ok(string)
    }

    async fn set_popular(&self, posts: Bytes) -> Result<(), ShardError> {
        self.refuse()?;
        if !self.faults.strikes(Fault::SetLost) {
            self.inner.set_popular(posts).await?;
        }
        self.lose_reply()
    }

    async fn sweep(&self) -> Result<(), ShardError> {
        self.refuse()?;
        self.inner.sweep().await
    }

    fn states(&self) -> Vec<ShardState> {
        self.inner.states()
    }

    async fn remove(&self, readers: &[UserId]) -> Result<(), ShardError> {
        self.refuse()?;
        self.inner.remove(readers).await?;
        self.lose_reply()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::ProcessShard;
    use crate::ports::Clock;

    fn faulty(faults: &Arc<Faults>) -> FaultyShard {
        FaultyShard::new(Arc::new(ProcessShard::new(1 << 24, Clock::System)), faults.clone())
    }

    fn segment(reader: UserId, bytes: &[u8]) -> SegmentBatch {
        let mut batch = SegmentBatch::default();
        batch.push(reader, |out| out.extend(bytes));
        batch
    }

    #[tokio::test]
    async fn what_is_late_arrives_once_across_sets() {
        let faults = Faults::new(11);
        let shard = faulty(&faults);
        let reader = UserId(5);
        shard.set(reader, Bytes::from_static(b"0")).await.unwrap();
        faults.set(Fault::AppendedLate, 1.0);
        for byte in b'a'..=b'z' {
            shard.append(&segment(reader, &[byte])).await.unwrap();
        }
        faults.switch(false);
        shard.set(reader, Bytes::from_static(b"1")).await.unwrap();
        while shard.memory(|memory| !memory.late.is_empty()) {
            shard.read(reader).await.unwrap();
        }
        let string = shard.read(reader).await.unwrap().unwrap();
        assert!(string.len() > 1 && string[1..].iter().all(u8::is_ascii_lowercase), "{string:?}");
        let mut sorted = string[1..].to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), string.len() - 1);
    }

    #[tokio::test]
    async fn older_strings_come_back_and_every_fault_strikes() {
        let faults = Faults::new(12);
        let shard = faulty(&faults);
        faults.set_all(0.2);
        let mut older = 0;
        for n in 0..2_000_u32 {
            let reader = UserId(u64::from(n % 3) + 1);
            let _ = shard.set(reader, n.to_be_bytes().to_vec().into()).await;
            let _ = shard.append(&segment(reader, b"+")).await;
            if let Ok(Some(string)) = shard.read(reader).await {
                older += u32::from(string[..4] != n.to_be_bytes());
            }
        }
        assert!(older > 100, "{older}");
        for fault in Fault::ALL.into_iter().skip_while(|&fault| fault != Fault::ShardUnavailable) {
            assert!(faults.injected(fault) > 50, "{fault:?}");
        }
    }
}

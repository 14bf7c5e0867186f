//! The in-process shard: the windows of all readers in this process's memory, bounded in bytes (law 9).
//!
//! Law 2 makes it simple: every string is a true statement, so any of them may be dropped at any time, and a
//! full shard drops what was read longest ago without asking anybody.

use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use rustc_hash::FxHashMap;

use crate::limits;
use crate::model::{Millis, UserId};
use crate::ports::{Clock, SegmentBatch, Shard, ShardError, ShardState};

/// Stripes, each with its own lock: many more than there are cores, so that readers rarely meet a flush.
const STRIPE_BITS: u32 = 7;
/// What an entry costs beside its string: map slot, key in the list, the allocator's share.
const ENTRY_BYTES: usize = 80;
/// How many strings are looked at to find one that was read long ago. Five are nearly as good as all of them
/// (Redis's approximated LRU has the same default).
const EVICTION_SAMPLE: usize = 5;

/// Strings of bytes, one a reader, in memory.
pub struct ProcessShard {
    stripes: Box<[Mutex<Stripe>]>,
    /// The string of the popular posts.
    popular: Mutex<Option<Bytes>>,
    clock: Clock,
}

#[derive(Default)]
struct Stripe {
    windows: FxHashMap<UserId, Window>,
    /// The readers again, in no order, to draw a random one.
    readers: Vec<UserId>,
    /// What the windows take: capacities and [`ENTRY_BYTES`] each.
    bytes: usize,
    share_bytes: usize,
    random: fastrand::Rng,
}

struct Window {
    string: Vec<u8>,
    read_at: Millis,
    /// Where `readers` has this reader.
    place: u32,
}

impl ProcessShard {
    /// A shard that takes up to `bytes` (shared out evenly among its stripes).
    pub fn new(bytes: usize, clock: Clock) -> Self {
        let count = 1_usize << STRIPE_BITS;
        let stripe = |n: usize| Stripe {
            share_bytes: bytes / count,
            random: fastrand::Rng::with_seed(n as u64),
            ..Stripe::default()
        };
        Self { stripes: (0..count).map(|n| Mutex::new(stripe(n))).collect(), popular: Mutex::default(), clock }
    }

    /// Strings held.
    pub fn entries(&self) -> usize {
        self.sum(|stripe| stripe.readers.len())
    }

    /// Bytes they take, with what it costs to keep them.
    pub fn bytes(&self) -> usize {
        self.sum(|stripe| stripe.bytes)
    }

    fn sum(&self, of: impl Fn(&mut Stripe) -> usize) -> usize {
        (0..self.stripes.len()).map(|n| of(&mut self.lock(n))).sum()
    }

    fn lock(&self, stripe: usize) -> MutexGuard<'_, Stripe> {
        self.stripes[stripe].lock().expect("nobody panics with a stripe in hand")
    }

    fn stripe_of(&self, reader: UserId) -> MutexGuard<'_, Stripe> {
        self.lock(stripe_number(reader))
    }
}

fn stripe_number(reader: UserId) -> usize {
    (reader.spread() >> (u64::BITS - STRIPE_BITS)) as usize
}

impl Window {
    fn expired(&self, now: Millis) -> bool {
        now.0.saturating_sub(self.read_at.0) >= limits::WINDOW_TTL.as_millis() as u64
    }

    fn bytes(&self) -> usize {
        self.string.capacity() + ENTRY_BYTES
    }
}

impl Stripe {
    fn set(&mut self, reader: UserId, string: Vec<u8>, now: Millis) {
        self.remove(reader);
        if string.len() > limits::WINDOW_STRING_BYTES {
            return;
        }
        let place = u32::try_from(self.readers.len()).expect("a stripe's readers fit its share of the memory");
        let window = Window { string, read_at: now, place };
        self.bytes += window.bytes();
        self.readers.push(reader);
        self.windows.insert(reader, window);
        self.shrink();
    }

    fn append(&mut self, reader: UserId, segment: &[u8]) {
        let Some(window) = self.windows.get_mut(&reader) else { return };
        let string = &mut window.string;
        if string.len() + segment.len() > limits::WINDOW_STRING_BYTES {
            self.remove(reader);
            return;
        }
        let capacity = string.capacity();
        if segment.len() <= capacity - string.len() {
            string.extend_from_slice(segment);
            return;
        }
        // Growth by a quarter keeps appends cheap at a fraction of the waste that doubling has.
        string.reserve_exact(segment.len().max(string.len() / 4));
        string.extend_from_slice(segment);
        self.bytes += string.capacity() - capacity;
        self.shrink();
    }

    fn remove(&mut self, reader: UserId) {
        let Some(window) = self.windows.remove(&reader) else { return };
        self.bytes -= window.bytes();
        let place = window.place as usize;
        self.readers.swap_remove(place);
        if let Some(moved) = self.readers.get(place) {
            self.windows.get_mut(moved).expect("every reader in the list has a window").place = window.place;
        }
    }

    /// Drops windows that were read long ago until the stripe takes no more than its share.
    fn shrink(&mut self) {
        while self.bytes > self.share_bytes && !self.readers.is_empty() {
            let sample = std::iter::repeat_with(|| self.readers[self.random.usize(..self.readers.len())]);
            let oldest = sample.take(EVICTION_SAMPLE).min_by_key(|reader| self.windows[reader].read_at);
            self.remove(oldest.expect("the sample is not empty"));
        }
    }
}

#[async_trait]
impl Shard for ProcessShard {
    async fn read(&self, reader: UserId) -> Result<Option<Bytes>, ShardError> {
        let now = self.clock.now();
        let mut stripe = self.stripe_of(reader);
        let Some(window) = stripe.windows.get_mut(&reader) else { return Ok(None) };
        if window.expired(now) {
            stripe.remove(reader);
            return Ok(None);
        }
        window.read_at = now;
        Ok(Some(Bytes::copy_from_slice(&window.string)))
    }

    async fn set(&self, reader: UserId, fill: Bytes) -> Result<(), ShardError> {
        let (string, now) = (fill.to_vec(), self.clock.now());
        self.stripe_of(reader).set(reader, string, now);
        Ok(())
    }

    /// Readers without a string are passed over. The batch is taken stripe by stripe: each lock is taken once, and
    /// the stripe's table stays in the processor's cache (a quarter faster than in the order given, with a million
    /// readers). It is a counting sort, which is stable, so segments of one reader keep their order.
    async fn append(&self, batch: &SegmentBatch) -> Result<(), ShardError> {
        let mut ends = vec![0; self.stripes.len()];
        for (reader, _) in batch.iter() {
            ends[stripe_number(reader)] += 1;
        }
        let mut sum = 0;
        for end in &mut ends {
            sum += std::mem::replace(end, sum);
        }
        let mut segments = vec![(UserId(0), [].as_slice()); batch.len()];
        for segment in batch.iter() {
            let end = &mut ends[stripe_number(segment.0)];
            segments[*end] = segment;
            *end += 1;
        }
        let mut start = 0;
        for (stripe, &end) in ends.iter().enumerate() {
            if start < end {
                let mut stripe = self.lock(stripe);
                segments[start..end].iter().for_each(|&(reader, segment)| stripe.append(reader, segment));
            }
            start = end;
        }
        Ok(())
    }

    async fn read_popular(&self) -> Result<Option<Bytes>, ShardError> {
        Ok(self.popular.lock().expect("nobody panics with the string in hand").clone())
    }

    /// Forgotten with the process, which is no longer here than its node.
    async fn set_popular(&self, posts: Bytes) -> Result<(), ShardError> {
        *self.popular.lock().expect("nobody panics with the string in hand") = Some(posts);
        Ok(())
    }

    async fn remove(&self, readers: &[UserId]) -> Result<(), ShardError> {
        for &reader in readers {
            self.stripe_of(reader).remove(reader);
        }
        Ok(())
    }

    async fn sweep(&self) -> Result<(), ShardError> {
        let now = self.clock.now();
        for n in 0..self.stripes.len() {
            let mut stripe = self.lock(n);
            let expired = stripe.windows.iter().filter(|(_, window)| window.expired(now));
            let expired: Vec<UserId> = expired.map(|(&reader, _)| reader).collect();
            expired.into_iter().for_each(|reader| stripe.remove(reader));
        }
        Ok(())
    }

    fn states(&self) -> Vec<ShardState> {
        vec![ShardState { name: "local".into(), up: true }]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn shard(bytes: usize) -> (ProcessShard, Arc<AtomicU64>) {
        let now = Arc::new(AtomicU64::new(1_763_000_000_000));
        (ProcessShard::new(bytes, Clock::Manual(now.clone())), now)
    }

    fn batch(segments: &[(u64, &[u8])]) -> SegmentBatch {
        let mut batch = SegmentBatch::default();
        for &(reader, bytes) in segments {
            batch.push(UserId(reader), |out| out.extend(bytes));
        }
        batch
    }

    /// The books are right: bytes and places are those of the windows.
    fn check(shard: &ProcessShard) {
        shard.sum(|stripe| {
            assert_eq!(stripe.bytes, stripe.windows.values().map(Window::bytes).sum::<usize>());
            assert_eq!(stripe.windows.len(), stripe.readers.len());
            for (reader, window) in &stripe.windows {
                assert_eq!(stripe.readers[window.place as usize], *reader);
            }
            assert!(stripe.bytes <= stripe.share_bytes);
            0
        });
    }

    #[tokio::test]
    async fn it_stays_within_its_bytes_whatever_comes() {
        let (shard, now) = shard(256 * 1024);
        let mut random = fastrand::Rng::with_seed(7);
        for step in 0..20_000 {
            now.fetch_add(1, Ordering::Relaxed);
            let reader = UserId(random.u64(1..2_000));
            match random.u8(..10) {
                0..4 => shard.set(reader, vec![1; random.usize(..600)].into()).await.unwrap(),
                4..8 => shard.append(&batch(&[(reader.0, &vec![2; random.usize(..60)])])).await.unwrap(),
                8 => shard.remove(&[reader]).await.unwrap(),
                _ => drop(shard.read(reader).await.unwrap()),
            }
            if step % 1_000 == 0 {
                check(&shard);
            }
        }
        check(&shard);
        assert!(shard.entries() > 100 && shard.bytes() > 128 * 1024, "{} {}", shard.entries(), shard.bytes());
    }

    #[tokio::test]
    async fn what_is_read_stays_longer_than_what_is_not() {
        let (shard, now) = shard(4 * 1024 * 1024);
        for round in 0..40 {
            for reader in 1..=1_000 {
                now.fetch_add(1, Ordering::Relaxed);
                if round == 0 || reader > 100 {
                    shard
                        .set(UserId(reader + round * 1_000 * u64::from(reader > 100)), vec![0; 1_000].into())
                        .await
                        .unwrap();
                } else {
                    shard.read(UserId(reader)).await.unwrap();
                }
            }
        }
        let mut kept = 0;
        for reader in 1..=100 {
            kept += u32::from(shard.read(UserId(reader)).await.unwrap().is_some());
        }
        assert!(kept > 80, "{kept} of 100");
    }

    #[tokio::test]
    async fn a_window_that_nobody_reads_is_forgotten() {
        let (shard, now) = shard(1 << 20);
        for reader in [1, 2, 3] {
            shard.set(UserId(reader), Bytes::from_static(b"fill")).await.unwrap();
        }
        let ttl_ms = limits::WINDOW_TTL.as_millis() as u64;
        now.fetch_add(ttl_ms - 1, Ordering::Relaxed);
        assert!(shard.read(UserId(1)).await.unwrap().is_some());
        shard.append(&batch(&[(2, b"segment")])).await.unwrap();
        now.fetch_add(1, Ordering::Relaxed);
        assert_eq!(shard.read(UserId(2)).await.unwrap(), None, "only a read renews");
        shard.sweep().await.unwrap();
        assert_eq!(shard.entries(), 1);
        assert!(shard.read(UserId(1)).await.unwrap().is_some());
        check(&shard);
    }

    #[tokio::test]
    async fn a_string_over_its_bound_is_dropped() {
        let (shard, _) = shard(1 << 24);
        let reader = UserId(1);
        shard.set(reader, vec![0; limits::WINDOW_STRING_BYTES].into()).await.unwrap();
        assert!(shard.read(reader).await.unwrap().is_some());
        shard.append(&batch(&[(1, b"x")])).await.unwrap();
        assert_eq!(shard.read(reader).await.unwrap(), None);
        shard.set(reader, vec![0; limits::WINDOW_STRING_BYTES + 1].into()).await.unwrap();
        assert_eq!(shard.read(reader).await.unwrap(), None);
        assert_eq!((shard.entries(), shard.bytes()), (0, 0));
    }
}

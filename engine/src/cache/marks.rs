//! Marks: what tells those who remember a value of a cache that it is to be asked again.

use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};

use rustc_hash::FxBuildHasher;

/// A power of two.
const MARKS: usize = 1 << 16;

/// How often something about a key made what was known of it untrue. Keys may share a mark: then one is looked up for
/// nothing.
pub struct Marks<K> {
    marks: Box<[AtomicU32]>,
    keys: PhantomData<fn(K)>,
}

impl<K> Default for Marks<K> {
    fn default() -> Self {
        Self { marks: (0..MARKS).map(|_| AtomicU32::new(0)).collect(), keys: PhantomData }
    }
}

impl<K: Hash> Marks<K> {
    fn slot(&self, key: &K) -> &AtomicU32 {
        &self.marks[FxBuildHasher.hash_one(key) as usize % MARKS]
    }

    /// The mark of a key. What is read of the key afterwards is true as long as it stays.
    pub fn of(&self, key: K) -> u32 {
        self.slot(&key).load(Ordering::SeqCst)
    }

    /// What was known of the key is untrue. Whoever asks the cache must be told so already.
    pub fn raise(&self, key: K) {
        self.slot(&key).fetch_add(1, Ordering::SeqCst);
    }

    /// Nothing that was known of any key is to be relied on.
    pub fn raise_all(&self) {
        self.marks.iter().for_each(|mark| _ = mark.fetch_add(1, Ordering::SeqCst));
    }
}

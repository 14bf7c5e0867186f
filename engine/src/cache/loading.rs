//! A cache that loads what is missing, once for all who ask, and never keeps what was invalidated while it loaded.
//!
//! moka bounds and evicts; the rooms for loads in flight are ours, because a plain single-flight cache keeps a value
//! whose key was invalidated during its load. Here an invalidation closes the flight's room under the same lock under
//! which a value moves in: those who wait in it still get their (concurrent) answer, but it is not kept, and whoever
//! comes later loads anew. So after `invalidate` returns, no reader gets anything that was read before.

use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use moka::sync::Cache;
use rustc_hash::{FxBuildHasher, FxHashMap};
use tokio::sync::watch;

use super::{Marks, Remembered};
use crate::limits::LOAD_TIMEOUT;
use crate::ports::StoreError;

const ROOMS: usize = 64;

type Landed<K, V> = Option<Result<Arc<FxHashMap<K, V>>, StoreError>>;

/// Where those who wait for one load sit. A load may be of several keys.
struct Flight<K, V> {
    landed: watch::Receiver<Landed<K, V>>,
    number: u64,
}

type Room<K, V> = FxHashMap<K, Flight<K, V>>;

struct Shared<K, V> {
    cache: Cache<K, V, FxBuildHasher>,
    rooms: [Mutex<Room<K, V>>; ROOMS],
    marks: Marks<K>,
    flights: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
    hit_counter: metrics::Counter,
    miss_counter: metrics::Counter,
    name: &'static str,
}

/// A bounded cache with single-flight loads. Cheap to clone.
pub struct LoadingCache<K, V>(Arc<Shared<K, V>>);

impl<K, V> Clone for LoadingCache<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> LoadingCache<K, V>
where
    K: Hash + Eq + Copy + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// A cache of at most `bytes`, by what `weigh` says of each value. `name` is its label in metrics.
    pub fn new(name: &'static str, bytes: u64, weigh: impl Fn(&V) -> usize + Send + Sync + 'static) -> Self {
        let weigher = move |_: &K, value: &V| u32::try_from(weigh(value) + 64).unwrap_or(u32::MAX);
        let cache = Cache::builder().name(name).max_capacity(bytes).weigher(weigher);
        Self(Arc::new(Shared {
            cache: cache.build_with_hasher(FxBuildHasher),
            rooms: std::array::from_fn(|_| Mutex::default()),
            marks: Marks::default(),
            flights: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            hit_counter: metrics::counter!("cache_hits_total", "cache" => name),
            miss_counter: metrics::counter!("cache_misses_total", "cache" => name),
            name,
        }))
    }

    /// The value, if it is here. Counts as a look-up.
    pub fn get(&self, key: K) -> Option<V> {
        let value = self.peek(key);
        self.count(usize::from(value.is_some()), usize::from(value.is_none()));
        value
    }

    /// Counts look-ups that found a value, and those that found none.
    pub fn count(&self, hits: usize, misses: usize) {
        if hits > 0 {
            self.0.hits.fetch_add(hits as u64, Ordering::Relaxed);
            self.0.hit_counter.increment(hits as u64);
        }
        if misses > 0 {
            self.0.misses.fetch_add(misses as u64, Ordering::Relaxed);
            self.0.miss_counter.increment(misses as u64);
        }
    }

    /// The value, if it is here, without counting as a look-up.
    pub fn peek(&self, key: K) -> Option<V> {
        self.0.cache.get(&key)
    }

    /// The marks of the keys, for those who remember values.
    pub fn marks(&self) -> &Marks<K> {
        &self.0.marks
    }

    /// The value, loaded by `load` where it is not here. The load runs on its own: a request that goes away does not
    /// take it from the others.
    ///
    /// # Errors
    /// What the load said, or that it took too long.
    pub async fn get_or_load<F>(&self, key: K, load: impl FnOnce() -> F) -> Result<V, StoreError>
    where
        F: Future<Output = Result<V, StoreError>> + Send + 'static,
    {
        if let Some(value) = self.get(key) {
            return Ok(value);
        }
        let load = |_| {
            let load = load();
            async move { Ok(vec![load.await?]) }
        };
        Ok(self.load_missing(vec![key], load).await?.remove(0))
    }

    /// The values of `keys` in their order; those that are not here are loaded together by `load`, which answers in
    /// the order it was asked.
    ///
    /// # Errors
    /// What the load said, or that it took too long.
    pub async fn get_or_load_all<F>(&self, keys: &[K], load: impl FnOnce(Vec<K>) -> F) -> Result<Vec<V>, StoreError>
    where
        F: Future<Output = Result<Vec<V>, StoreError>> + Send + 'static,
    {
        let mut values: Vec<Option<V>> = keys.iter().map(|&key| self.peek(key)).collect();
        let missing: Vec<usize> = (0..keys.len()).filter(|&n| values[n].is_none()).collect();
        self.count(keys.len() - missing.len(), missing.len());
        if !missing.is_empty() {
            let loaded = self.load_missing(missing.iter().map(|&n| keys[n]).collect(), load).await?;
            for (n, value) in missing.into_iter().zip(loaded) {
                values[n] = Some(value);
            }
        }
        Ok(values.into_iter().flatten().collect())
    }

    async fn load_missing<F>(&self, keys: Vec<K>, load: impl FnOnce(Vec<K>) -> F) -> Result<Vec<V>, StoreError>
    where
        F: Future<Output = Result<Vec<V>, StoreError>> + Send + 'static,
    {
        let number = self.0.flights.fetch_add(1, Ordering::Relaxed);
        let (tell, mine) = watch::channel(None);
        let (mut own, mut waits) = (Vec::new(), Vec::with_capacity(keys.len()));
        for &key in &keys {
            let mut room = self.room(key);
            if let Some(flight) = room.get(&key) {
                waits.push(flight.landed.clone());
            } else {
                room.insert(key, Flight { landed: mine.clone(), number });
                // From now on changes are made to what is loaded here, not to what is remembered of before.
                self.0.marks.raise(key);
                waits.push(mine.clone());
                own.push(key);
            }
        }
        if !own.is_empty() {
            let loading = load(own.clone());
            tokio::spawn(self.clone().fly(own, number, loading, tell));
        }
        let mut values = Vec::with_capacity(keys.len());
        for (key, mut landed) in keys.into_iter().zip(waits) {
            let told = landed.wait_for(Option::is_some).await.map(|told| told.clone());
            let value = match told {
                Ok(Some(Ok(loaded))) => loaded.get(&key).cloned(),
                Ok(Some(Err(error))) => return Err(error),
                _ => None,
            };
            let ended = || StoreError::Unavailable(format!("a load of {} ended early", self.0.name));
            values.push(value.ok_or_else(ended)?);
        }
        Ok(values)
    }

    async fn fly(
        self,
        keys: Vec<K>,
        number: u64,
        load: impl Future<Output = Result<Vec<V>, StoreError>>,
        tell: watch::Sender<Landed<K, V>>,
    ) {
        let timeout = || StoreError::Unavailable(format!("loading {} took over {LOAD_TIMEOUT:?}", self.0.name));
        let loaded = tokio::time::timeout(LOAD_TIMEOUT, load).await.unwrap_or_else(|_| Err(timeout()));
        let result = loaded.map(|values| Arc::new(keys.iter().copied().zip(values).collect::<FxHashMap<K, V>>()));
        for key in keys {
            let mut room = self.room(key);
            if room.get(&key).is_some_and(|flight| flight.number == number) {
                room.remove(&key);
                if let Some(value) = result.as_ref().ok().and_then(|loaded| loaded.get(&key)) {
                    self.0.cache.insert(key, value.clone());
                }
            }
        }
        tell.send_replace(Some(result));
    }

    /// Forgets the value, and sees to it that no load begun before is kept.
    pub fn invalidate(&self, key: K) {
        let mut room = self.room(key);
        room.remove(&key);
        self.0.cache.invalidate(&key);
        self.0.marks.raise(key);
    }

    /// Forgets everything, and sees to it that no load begun before is kept.
    pub fn invalidate_all(&self) {
        // All locks at once: what lands is wholly before this or wholly after it.
        let mut rooms = self.0.rooms.each_ref().map(|room| room.lock().unwrap_or_else(PoisonError::into_inner));
        rooms.iter_mut().for_each(|room| room.clear());
        self.0.cache.invalidate_all();
        self.0.marks.raise_all();
    }

    /// Shows the value to `change`, where it is here. No load begun before is kept.
    pub fn change(&self, key: K, change: impl FnOnce(&V)) {
        let mut room = self.room(key);
        room.remove(&key);
        if self.0.cache.get(&key).inspect(change).is_none() {
            // Somebody may still remember what was dropped here.
            self.0.marks.raise(key);
        }
    }

    /// Puts a value here that is known without a load; no load begun before is kept.
    pub fn insert(&self, key: K, value: V) {
        let mut room = self.room(key);
        room.remove(&key);
        self.0.cache.insert(key, value);
        self.0.marks.raise(key);
    }

    /// Its label, how many values it has, their weight in bytes, and hits by look-ups.
    pub fn figures(&self) -> (&'static str, u64, u64, Option<f64>) {
        // moka counts late; this makes it count now.
        self.0.cache.run_pending_tasks();
        let (hits, misses) = (self.0.hits.load(Ordering::Relaxed), self.0.misses.load(Ordering::Relaxed));
        let rate = (hits + misses > 0).then(|| hits as f64 / (hits + misses) as f64);
        (self.0.name, self.0.cache.entry_count(), self.0.cache.weighted_size(), rate)
    }

    fn room(&self, key: K) -> MutexGuard<'_, Room<K, V>> {
        let number = FxBuildHasher.hash_one(key) as usize % ROOMS;
        self.0.rooms[number].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, T> LoadingCache<K, Arc<T>>
where
    K: Hash + Eq + Copy + Send + Sync + 'static,
    T: Send + Sync + 'static,
{
    /// The value where `remembered` knows it to lie; else as [`get_or_load`](Self::get_or_load), and remembered.
    ///
    /// # Errors
    /// As there.
    pub async fn get_remembered_or_load<F>(
        &self,
        key: K,
        remembered: Option<&Remembered<T>>,
        load: impl FnOnce() -> F,
    ) -> Result<Arc<T>, StoreError>
    where
        F: Future<Output = Result<Arc<T>, StoreError>> + Send + 'static,
    {
        let Some(remembered) = remembered else { return self.get_or_load(key, load).await };
        // Before the look-up, so that what happens meanwhile is not passed over.
        let mark = self.0.marks.of(key);
        if let Some(value) = remembered.recall(mark) {
            self.count(1, 0);
            return Ok(value);
        }
        let value = self.get_or_load(key, load).await?;
        remembered.remember(mark, &value);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn cache() -> LoadingCache<u64, u64> {
        LoadingCache::new("test", 1 << 20, |_| 8)
    }

    #[tokio::test]
    async fn what_was_invalidated_while_it_loaded_is_answered_but_not_kept() {
        let cache = cache();
        let (go, gone) = oneshot::channel::<()>();
        let (began, begun) = oneshot::channel::<()>();
        let first = tokio::spawn({
            let cache = cache.clone();
            async move {
                cache
                    .get_or_load(1, || async move {
                        began.send(()).unwrap();
                        gone.await.unwrap();
                        Ok(10)
                    })
                    .await
            }
        });
        begun.await.unwrap();
        cache.invalidate(1);
        assert_eq!(cache.get_or_load(1, || async { Ok(20) }).await, Ok(20), "whoever comes later loads anew");
        go.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(10));
        assert_eq!(cache.get(1), Some(20), "the older load does not overwrite the newer value");
    }

    #[tokio::test]
    async fn one_load_serves_all_who_wait_and_outlives_the_first() {
        let cache = cache();
        let loads = Arc::new(AtomicU64::new(0));
        let (go, gone) = watch::channel(false);
        let ask = |cache: LoadingCache<u64, u64>| {
            let (loads, mut gone) = (loads.clone(), gone.clone());
            tokio::spawn(async move {
                cache
                    .get_or_load(1, || async move {
                        loads.fetch_add(1, Ordering::Relaxed);
                        gone.wait_for(|go| *go).await.unwrap();
                        Ok(10)
                    })
                    .await
            })
        };
        let first = ask(cache.clone());
        while loads.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let second = ask(cache.clone());
        first.abort();
        go.send(true).unwrap();
        assert_eq!(second.await.unwrap(), Ok(10));
        assert_eq!(loads.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_invalidated_is_never_told_again_however_often_it_is_asked_for() {
        let cache: LoadingCache<u64, Arc<u64>> = LoadingCache::new("test", 1 << 20, |_| 8);
        let (truth, told) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (cache, truth, told) = (cache.clone(), truth.clone(), told.clone());
                tokio::spawn(async move {
                    let remembered = Remembered::default();
                    loop {
                        let least = told.load(Ordering::SeqCst);
                        let truth = truth.clone();
                        let load = || async move { Ok(Arc::new(truth.load(Ordering::SeqCst))) };
                        let got = *cache.get_remembered_or_load(7, Some(&remembered), load).await.unwrap();
                        assert!(got >= least, "{got} was told after {least}");
                        if least == u64::from(u32::MAX) {
                            return;
                        }
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        for n in (1..20_000).chain([u64::from(u32::MAX)]) {
            truth.store(n, Ordering::SeqCst);
            match n % 4 {
                0 => cache.invalidate_all(),
                1 => cache.insert(7, Arc::new(n)),
                _ => cache.invalidate(7),
            }
            told.store(n, Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
        for reader in readers {
            reader.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_failed_load_is_told_and_tried_again() {
        let cache = cache();
        let failed = StoreError::Unavailable("gone".into());
        assert_eq!(cache.get_or_load(1, || async { Err(StoreError::Unavailable("gone".into())) }).await, Err(failed));
        assert_eq!(cache.get_or_load(1, || async { Ok(3) }).await, Ok(3));
    }
}

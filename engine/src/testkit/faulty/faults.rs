//! The hand that deals the faults: one seeded source of chance for all decorators of a test, and a switch, a
//! probability and a count for each kind of fault.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

/// A kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The store refuses and does nothing.
    StoreUnavailable,
    /// A command is committed, but its outcome is reported as unknown.
    CommitReplyLost,
    /// A command's outcome is reported as unknown, and it was not committed.
    CommitLost,
    /// The store gives few followers at a time, as if an audience were huge.
    FollowersFew,
    /// The log refuses and does nothing: publishing, following, reading.
    LogUnavailable,
    /// A prefix is published, then an error reported.
    PublishedInPart,
    /// All is published, but an error reported.
    PublishReplyLost,
    /// Some of what was published is published again.
    PublishedAgain,
    /// A reader gets events again that it had.
    EventsRepeated,
    /// A reader gets few events at a time.
    EventsFew,
    /// The shard refuses and does nothing.
    ShardUnavailable,
    /// The shard does it, but reports an error.
    ShardReplyLost,
    /// A reader's string is gone when it is asked for.
    StringLost,
    /// A reader's string is an older one again when it is asked for.
    StringOlder,
    /// A fill is acknowledged and lost.
    SetLost,
    /// Segments are appended twice.
    AppendedTwice,
    /// Segments are acknowledged and appended later, whatever was set meanwhile, some of them out of order.
    AppendedLate,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 17] = [
        Self::StoreUnavailable,
        Self::CommitReplyLost,
        Self::CommitLost,
        Self::FollowersFew,
        Self::LogUnavailable,
        Self::PublishedInPart,
        Self::PublishReplyLost,
        Self::PublishedAgain,
        Self::EventsRepeated,
        Self::EventsFew,
        Self::ShardUnavailable,
        Self::ShardReplyLost,
        Self::StringLost,
        Self::StringOlder,
        Self::SetLost,
        Self::AppendedTwice,
        Self::AppendedLate,
    ];
}

const KINDS: usize = Fault::ALL.len();

/// Which faults happen how often; shared by the decorators of a test and settable while they run.
pub struct Faults {
    seed: u64,
    on: AtomicBool,
    store_gone: AtomicBool,
    log_silent: watch::Sender<bool>,
    random: Mutex<fastrand::Rng>,
    /// Probabilities as the bits of an `f64`.
    probabilities: [AtomicU64; KINDS],
    injected: [AtomicU64; KINDS],
    asked: Mutex<BTreeMap<&'static str, u64>>,
}

impl Faults {
    /// Faults drawn from `seed`, switched on, each with probability 0.
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            seed,
            on: AtomicBool::new(true),
            store_gone: AtomicBool::new(false),
            log_silent: watch::Sender::new(false),
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
            probabilities: Default::default(),
            injected: Default::default(),
            asked: Mutex::default(),
        })
    }

    /// What they are drawn from: to be printed where a test fails.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Lets `fault` happen with this probability at each occasion.
    pub fn set(&self, fault: Fault, probability: f64) {
        self.probabilities[fault as usize].store(probability.to_bits(), Ordering::Relaxed);
    }

    /// Lets every fault happen with this probability.
    pub fn set_all(&self, probability: f64) {
        Fault::ALL.into_iter().for_each(|fault| self.set(fault, probability));
    }

    /// Switches all faults on or off. What is late stays late until its port is used again.
    pub fn switch(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    /// Takes the whole store away, or gives it back, whatever the switch and the probabilities say.
    pub fn set_store_gone(&self, gone: bool) {
        self.store_gone.store(gone, Ordering::Relaxed);
    }

    /// Lets the log neither take nor give anything, without an error, or lets it go on.
    pub fn set_log_silent(&self, silent: bool) {
        self.log_silent.send_replace(silent);
    }

    /// How often `fault` has happened.
    pub fn injected(&self, fault: Fault) -> u64 {
        self.injected[fault as usize].load(Ordering::Relaxed)
    }

    /// How often the store was asked for what, of all that requests ask of it.
    pub fn asked(&self) -> BTreeMap<&'static str, u64> {
        self.asked.lock().expect("counting does not panic").clone()
    }

    pub(super) fn note(&self, what: &'static str) {
        *self.asked.lock().expect("counting does not panic").entry(what).or_default() += 1;
    }

    /// Whether `fault` happens now.
    pub(super) fn strikes(&self, fault: Fault) -> bool {
        let probability = f64::from_bits(self.probabilities[fault as usize].load(Ordering::Relaxed));
        let strikes = self.on.load(Ordering::Relaxed) && self.draw(|random| random.f64() < probability);
        if strikes {
            self.injected[fault as usize].fetch_add(1, Ordering::Relaxed);
        }
        strikes
    }

    pub(super) fn store_is_gone(&self) -> bool {
        self.store_gone.load(Ordering::Relaxed)
    }

    /// Returns when the log is not silent.
    pub(super) async fn log_speaks(&self) {
        let spoke = self.log_silent.subscribe().wait_for(|silent| !silent).await.is_ok();
        assert!(spoke, "its sender is here");
    }

    /// Draws from the seeded source.
    pub(super) fn draw<T>(&self, with: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        with(&mut self.random.lock().expect("drawing does not panic"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_deals_the_same_faults_and_counts_them() {
        let deal = |seed| {
            let faults = Faults::new(seed);
            faults.set(Fault::SetLost, 0.3);
            let dealt: Vec<bool> = (0..1_000).map(|_| faults.strikes(Fault::SetLost)).collect();
            assert_eq!(faults.injected(Fault::SetLost), dealt.iter().filter(|&&lost| lost).count() as u64);
            assert!((200..400).contains(&faults.injected(Fault::SetLost)));
            dealt
        };
        assert_eq!(deal(1), deal(1));
        assert_ne!(deal(1), deal(2));
    }

    #[test]
    fn the_switch_stops_every_fault() {
        let faults = Faults::new(3);
        faults.set_all(1.0);
        assert!(Fault::ALL.into_iter().all(|fault| faults.strikes(fault)));
        faults.switch(false);
        assert!(!Fault::ALL.into_iter().any(|fault| faults.strikes(fault)));
    }

    #[test]
    fn every_kind_has_its_own_place() {
        assert!(Fault::ALL.into_iter().enumerate().all(|(place, fault)| fault as usize == place));
    }
}

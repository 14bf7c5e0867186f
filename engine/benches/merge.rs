//! The in-memory home merge against the textbook's, over the same posts in one run.
//!
//! The world is larger than the processor's caches: a million authors, four million recent posts, readers of 200
//! followees. `cold`, `warm` or `many` as an argument runs that part alone. Arms take turns, each on the same readers; the median of the turns' ratios counts.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use tributary_engine::cache::{HomeSlot, LoadingCache};
use tributary_engine::limits::WINDOW_ENTRIES;
use tributary_engine::model::{Epoch, Millis, Position, PostId, Stamp, UserId};
use tributary_engine::recent::{AuthorSet, BYTES_PER_ENTRY, Ring, RingWriter, SharedRing};
use tributary_engine::testkit::textbook::Chains;
use tributary_engine::timeline::{Run, Window};

const AUTHORS: usize = 1_000_000;
const POSTS: usize = 4_000_000;
const FOLLOWEES: usize = 200;
const READERS: usize = 50_000;
const TURNS: usize = 9;
/// Natural mix: so many reads to a post.
const READS_A_POST: usize = 50;

struct World {
    random: fastrand::Rng,
    users: Vec<UserId>,
    chains: Chains,
    ring: SharedRing,
    writer: RingWriter,
    clock: u64,
}

impl World {
    fn new() -> Self {
        let mut random = fastrand::Rng::with_seed(1);
        let users =
            (0..AUTHORS as u64).map(|n| UserId::new(Millis(1_700_000_000_000 + n), random.u16(..1_024), 0)).collect();
        let bytes = (POSTS + POSTS / 16) * BYTES_PER_ENTRY;
        let (ring, writer) = Ring::new(bytes, Position::ZERO);
        let chains = Chains::new(AUTHORS, 2 * POSTS);
        let mut world = Self { random, users, chains, ring, writer, clock: 1_790_000_000_000 };
        for _ in 0..POSTS {
            world.post();
        }
        world
    }

    /// A skewed choice: few authors write much.
    fn author(&mut self) -> u32 {
        let x = self.random.f64();
        (x * x * AUTHORS as f64) as u32
    }

    fn post(&mut self) {
        let author = self.author();
        self.clock += self.random.u64(1..60);
        let user = self.users[author as usize];
        let id = PostId::new(Millis(self.clock), user.shard(), 0);
        self.chains.push(author, id);
        self.writer.append(self.writer.position().next(), id, user);
    }

    fn reader(&mut self, followees: usize) -> (Vec<u32>, AuthorSet) {
        let mut some: Vec<u32> = (0..followees).map(|_| self.author()).collect();
        some.sort_unstable();
        some.dedup();
        let set = AuthorSet::new(some.iter().map(|&n| self.users[n as usize]));
        (some, set)
    }

    fn window(&self, followees: &[u32]) -> Run {
        let mut page = Vec::new();
        self.chains.merge(followees, WINDOW_ENTRIES, &mut page);
        let floor = PostId(page.last().map_or(0, |id| id - 1));
        let entries = page.into_iter().map(PostId).collect();
        Run::new(&Window { epoch: Epoch(1), floor, position: self.ring.position(), stamp: Stamp(1), entries })
    }
}

/// L1 as a read uses it: brought forward through the ring, then the page is taken.
fn warm(ring: &Ring, slot: &HomeSlot, set: &AuthorSet, page: &mut Vec<u64>, count: usize) {
    let snapshot = ring.snapshot();
    let mut run = slot.run();
    let recent = snapshot.newest(set, run.position(), WINDOW_ENTRIES).expect("the ring holds it");
    run.advance(&recent.ids, recent.floor, snapshot.position, Stamp(1));
    page.clear();
    page.extend(run.entries().take(count).map(|id| id.0));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn report(name: &str, ours: &[f64], theirs: &[f64], items: usize) {
    let ratio = median(ours.iter().zip(theirs).map(|(ours, theirs)| theirs / ours).collect());
    let (ours, theirs) = (median(ours.to_vec()), median(theirs.to_vec()));
    println!(
        "{name:<44} {:>8.2} us {:>8.2} us  {:>6.1} M items/s  {ratio:>6.2}x",
        ours * 1e6,
        theirs * 1e6,
        items as f64 / ours / 1e6
    );
}

/// Seconds a call of each arm takes, turn by turn.
fn turns(reads: usize, mut ours: impl FnMut(usize), mut theirs: impl FnMut(usize)) -> (Vec<f64>, Vec<f64>) {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        let range = turn * reads..(turn + 1) * reads;
        let begun = Instant::now();
        range.clone().for_each(&mut theirs);
        b.push(begun.elapsed().as_secs_f64() / reads as f64);
        let begun = Instant::now();
        range.for_each(&mut ours);
        a.push(begun.elapsed().as_secs_f64() / reads as f64);
    }
    (a, b)
}

fn main() {
    let mut world = World::new();
    let authors = world.chains.authors();
    println!("{} of {POSTS} posts by {authors} authors are in the ring", world.ring.len());
    println!("{AUTHORS} authors, {POSTS} posts, {} readers of {FOLLOWEES}; medians of {TURNS} turns", READERS);
    println!("{:<44} {:>11} {:>11} {:>18} {:>8}", "", "engine", "other", "engine", "ratio");
    let readers: Vec<(Vec<u32>, AuthorSet)> = (0..READERS).map(|_| world.reader(FOLLOWEES)).collect();
    let users: Vec<UserId> = (0..READERS as u64).map(|n| UserId(n + 1)).collect();
    let mut order: Vec<usize> = (0..READERS).collect();
    world.random.shuffle(&mut order);
    let (mut page, mut other) = (Vec::new(), Vec::new());

    let only = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    for count in [20, 167].into_iter().filter(|_| "cold".contains(&only)) {
        let (a, b) = turns(
            4_000,
            |n| {
                let set = &readers[order[n % READERS]].1;
                black_box(world.ring.snapshot().newest(set, Position::ZERO, count).expect("the ring holds it"));
            },
            |n| {
                world.chains.merge(&readers[order[n % READERS]].0, count, &mut other);
                black_box(&other);
            },
        );
        report(&format!("cold merge, page of {count}"), &a, &b, count);
    }

    let mut bytes = 0;
    let mut slot = |world: &World, n: usize| {
        let run = world.window(&readers[n].0);
        bytes += run.weight();
        Arc::new(HomeSlot::new(run, None, None))
    };
    let slots: Vec<Arc<HomeSlot>> = (0..READERS).map(|n| slot(&world, n)).collect();
    let windows = LoadingCache::new("windows", 4 << 30, |slot: &Arc<HomeSlot>| slot.run().weight());
    users.iter().zip(&slots).for_each(|(&user, slot)| windows.insert(user, slot.clone()));
    let parts = [(20, false), (167, false), (20, true), (167, true)];
    for (count, look_up) in parts.into_iter().filter(|_| "warm".contains(&only)) {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for turn in 0..TURNS {
            let reads: Vec<usize> = (0..4_000).map(|n| order[(turn * 4_000 + n) % READERS]).collect();
            // Posts since the readers were last here: the whole world goes on, at the natural mix.
            for _ in 0..reads.len() / READS_A_POST {
                world.post();
            }
            let begun = Instant::now();
            for &n in &reads {
                world.chains.merge(&readers[n].0, count, &mut other);
                black_box(&other);
            }
            b.push(begun.elapsed().as_secs_f64() / reads.len() as f64);
            let begun = Instant::now();
            for &n in &reads {
                if look_up {
                    let slot = windows.get(users[n]).expect("every reader has a window");
                    warm(&world.ring, &slot, &readers[n].1, &mut page, count);
                } else {
                    warm(&world.ring, &slots[n], &readers[n].1, &mut page, count);
                }
                black_box(&page);
            }
            a.push(begun.elapsed().as_secs_f64() / reads.len() as f64);
            for &n in reads.iter().step_by(37) {
                world.chains.merge(&readers[n].0, count, &mut other);
                warm(&world.ring, &slots[n], &readers[n].1, &mut page, count);
                assert_eq!(page, other, "both arms tell the same");
            }
        }
        let how = if look_up { ", looked up in moka" } else { "" };
        report(&format!("L1 warm, page of {count}{how}"), &a, &b, count);
    }

    if !"many".contains(&only) {
        return;
    }
    let many: Vec<(Vec<u32>, AuthorSet)> = (0..40).map(|_| world.reader(10_000)).collect();
    for (followees, set) in &many {
        world.chains.collect(followees, 20, &mut other);
        let ids: Vec<u64> =
            world.ring.snapshot().newest(set, Position::ZERO, 20).expect("held").ids.iter().map(|id| id.0).collect();
        assert_eq!(ids, other);
    }
    let (a, b) = turns(
        40,
        |n| {
            black_box(world.ring.snapshot().newest(&many[n % many.len()].1, Position::ZERO, 20).expect("held"));
        },
        |n| {
            world.chains.collect(&many[n % many.len()].0, 20, &mut other);
            black_box(&other);
        },
    );
    report("10,000 followees, page of 20, cold", &a, &b, 20);
    println!("bytes a ring entry: {BYTES_PER_ENTRY}");
    println!("bytes a window, all included: {:.0}", bytes as f64 / READERS as f64);
}

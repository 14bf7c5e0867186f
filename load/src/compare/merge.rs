//! The engine's merges in memory against the textbook's, over the world's posts and follows, in one thread: without stores,
//! posts and pages. `engine/benches/merge.rs` does the same over a world larger than the processor's caches.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, ensure};
use tributary_engine::cache::HomeSlot;
use tributary_engine::limits::WINDOW_ENTRIES;
use tributary_engine::model::{Epoch, Millis, Position, PostId, Stamp, UserId};
use tributary_engine::recent::{AuthorSet, BYTES_PER_ENTRY, Ring, RingWriter, SharedRing};
use tributary_engine::testkit::textbook::Chains;
use tributary_engine::timeline::{Run, Window};

use super::figures::{MergeFigures, median};
use super::graph::{Graph, PAGE};
use crate::import::user_id;

/// Readers who take turns, at the most.
const READERS: usize = 2_000;
/// Natural mix: so many reads to a post.
const READS_A_POST: usize = 50;
/// Whom a reader of many follows, and how many such readers there are.
const MANY: usize = 10_000;
const MANY_READERS: usize = 10;

/// Measures each way in turns; medians of the turns. The first turn warms up.
///
/// # Errors
/// When two ways give different pages.
pub fn measure(graph: &Graph, seed: u64, rounds: usize) -> Result<MergeFigures> {
    let mut memory = Memory::fill(graph);
    let mut random = fastrand::Rng::with_seed(seed);
    let users = graph.handles.len() as u32;
    let follow: Vec<u32> = (0..users).filter(|&user| !graph.followees[user as usize].is_empty()).collect();
    let own = |reader: u32| graph.followees[reader as usize].iter().copied().chain([reader]).collect();
    let readers = random.choose_multiple(follow, READERS);
    let readers: Vec<Reader> = readers.into_iter().map(|reader| memory.reader(own(reader))).collect();
    let many: Vec<Reader> =
        (0..MANY_READERS).map(|_| memory.reader(random.choose_multiple(0..users, MANY.min(users as usize)))).collect();
    memory.agree(readers.iter().step_by(17).chain(many.iter().take(1)))?;

    let mut turns = Turns::default();
    for round in 0..=rounds {
        let turn = memory.turn(graph, &readers, &many);
        if round > 0 {
            turns.push(turn);
        }
    }
    memory.agree(readers.iter().step_by(17))?;
    Ok(turns.medians(readers.len(), many[0].authors.len()))
}

/// One who reads: whom it follows and itself.
struct Reader {
    authors: Vec<u32>,
    set: AuthorSet,
    slot: HomeSlot,
}

/// The same posts in the engine's ring and in the textbook's chains.
struct Memory {
    chains: Chains,
    ring: SharedRing,
    writer: RingWriter,
    newest: Millis,
}

impl Memory {
    fn fill(graph: &Graph) -> Self {
        let posts = graph.authors.len();
        // The ring's heads suffice for authors of four posts each on average.
        let (users, room) = (graph.handles.len(), posts + posts / 8 + 4_096);
        let (ring, writer) = Ring::new(room.max(4 * users) * BYTES_PER_ENTRY, Position::ZERO);
        let chains = Chains::new(users, room);
        let mut memory = Self { chains, ring, writer, newest: Millis(0) };
        let mut next = vec![0; graph.handles.len()];
        for &author in graph.authors.iter() {
            let place = &mut next[author as usize];
            let id = graph.posts[author as usize][*place];
            *place += 1;
            memory.post(author, id);
        }
        memory
    }

    fn post(&mut self, author: u32, id: PostId) {
        self.newest = id.created_at();
        self.chains.push(author, id);
        self.writer.append(self.writer.position().next(), id, user_id(author));
    }

    /// The world goes on: an author of the world posts again.
    fn post_again(&mut self, graph: &Graph, n: usize) {
        let author = graph.authors[n % graph.authors.len()];
        let id = PostId::new(Millis(self.newest.0 + 1), user_id(author).shard(), 0);
        self.post(author, id);
    }

    fn reader(&self, authors: Vec<u32>) -> Reader {
        let set = AuthorSet::new(authors.iter().map(|&author| user_id(author)).collect::<Vec<UserId>>());
        let mut page = Vec::new();
        self.chains.merge(&authors, WINDOW_ENTRIES, &mut page);
        let floor = if page.len() < WINDOW_ENTRIES { PostId::MIN } else { PostId(page[page.len() - 1] - 1) };
        let entries = page.into_iter().map(PostId).collect();
        let position = self.ring.position();
        let window = Window { epoch: Epoch(1), floor, position, stamp: Stamp(1), entries };
        Reader { authors, set, slot: HomeSlot::new(Run::new(&window), None, None) }
    }

    /// L1 as a read uses it: brought forward through the ring, then the page is taken.
    fn warm(&self, reader: &Reader, page: &mut Vec<u64>) {
        let snapshot = self.ring.snapshot();
        let mut run = reader.slot.run();
        let recent = snapshot.newest(&reader.set, run.position(), WINDOW_ENTRIES).expect("the ring holds all posts");
        run.advance(&recent.ids, recent.floor, snapshot.position, Stamp(1));
        page.clear();
        page.extend(run.entries().take(PAGE).map(|id| id.0));
    }

    /// The page from the ring alone.
    fn cold(&self, reader: &Reader, page: &mut Vec<u64>) {
        let recent = self.ring.snapshot().newest(&reader.set, Position::ZERO, PAGE).expect("the ring holds all posts");
        page.clear();
        page.extend(recent.ids.iter().map(|id| id.0));
    }

    fn agree<'a>(&self, readers: impl Iterator<Item = &'a Reader>) -> Result<()> {
        let (mut page, mut other) = (Vec::new(), Vec::new());
        for reader in readers {
            self.chains.collect(&reader.authors, PAGE, &mut other);
            let mut same = |merge: &dyn Fn(&mut Vec<u64>)| {
                merge(&mut page);
                page == other
            };
            let all = same(&|page| self.warm(reader, page))
                && same(&|page| self.cold(reader, page))
                && same(&|page| self.chains.merge(&reader.authors, PAGE, page));
            ensure!(all, "two merges in memory give different pages");
        }
        Ok(())
    }

    /// Microseconds a page of each way, over the same readers, while the world goes on at the natural mix.
    fn turn(&mut self, graph: &Graph, readers: &[Reader], many: &[Reader]) -> [f64; 5] {
        for n in 0..readers.len() / READS_A_POST {
            self.post_again(graph, n);
        }
        let mut page = Vec::new();
        let mut timed = |readers: &[Reader], merge: &dyn Fn(&Reader, &mut Vec<u64>)| {
            let begun = Instant::now();
            for reader in readers {
                merge(reader, &mut page);
                black_box(&page);
            }
            begun.elapsed().as_secs_f64() * 1e6 / readers.len() as f64
        };
        let chained = timed(readers, &|reader, page| self.chains.merge(&reader.authors, PAGE, page));
        let warm = timed(readers, &|reader, page| self.warm(reader, page));
        let cold = timed(readers, &|reader, page| self.cold(reader, page));
        let collected = timed(many, &|reader, page| self.chains.collect(&reader.authors, PAGE, page));
        let many_cold = timed(many, &|reader, page| self.cold(reader, page));
        [warm, cold, chained, many_cold, collected]
    }
}

/// The ways of one turn: warm, cold, chained; for readers of many: cold, collected.
#[derive(Default)]
struct Turns([Vec<f64>; 5]);

impl Turns {
    fn push(&mut self, turn: [f64; 5]) {
        self.0.iter_mut().zip(turn).for_each(|(way, us)| way.push(us));
    }

    fn medians(self, readers: usize, many: usize) -> MergeFigures {
        let [warm_us, cold_us, chain_and_heap_us, many_us, collect_and_sort_us] = self.0.map(median);
        MergeFigures { readers, warm_us, cold_us, chain_and_heap_us, many, many_us, collect_and_sort_us }
    }
}

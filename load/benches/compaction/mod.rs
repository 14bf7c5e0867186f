//! What the benchmarks of compaction share: the world in memory, and how its newest posts are cut into rounds.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tributary_engine::limits::{EVENTS_BATCH, WINDOW_ENTRIES};
use tributary_engine::model::{Channel, Epoch, Event, NumberedEvent, Position, PostId, Stamp, TuningSettings, UserId};
use tributary_engine::ports::{ImportedUser, Store};
use tributary_engine::timeline::Window;
use tributary_engine::work::Flush;
use tributary_load::import::{PostIds, user_id};
use tributary_load::world::{World, made, tsv};

/// Events between two resets where rounds are small, so that no string of a window passes its bound, and where each
/// event is a round.
const CHUNK: usize = 4_096;
const CHUNK_BY_EVENT: usize = 1_024;
/// The history of everything here.
pub const EPOCH: Epoch = Epoch(1);

/// The world of `TRACE_DIR`, or else a made one.
pub fn world(folder: &Path) -> Result<World> {
    let path = folder.join("world");
    if let Some(trace) = std::env::var_os("TRACE_DIR").map(PathBuf::from) {
        tsv::make(&trace.join("follows.tsv.gz"), &trace.join("posts.tsv.gz"), &path)?;
        println!("the trace of TRACE_DIR");
    } else {
        made::make(made::Recipe { users: 20_000, seed: 1, mean_follows: None }, &path)?;
        println!("a MADE world (TRACE_DIR is unset)");
    }
    World::open(&path)
}

/// The world in memory.
pub struct Graph {
    /// Who reads: everybody who follows somebody or posts. Their places here are the dense indices.
    pub readers: Vec<UserId>,
    /// By index of the author among all users, the readers: the followers and the author.
    pub audiences: Vec<Vec<u32>>,
    /// By time.
    pub posts: Vec<(PostId, u32)>,
}

impl Graph {
    pub fn pairs(&self, range: Range<usize>) -> u64 {
        self.posts[range].iter().map(|&(_, author)| self.audiences[author as usize].len() as u64).sum()
    }

    /// Where the newest posts begin that make about `pairs` deliveries.
    pub fn newest(&self, pairs: u64) -> usize {
        let mut left = pairs;
        self.posts
            .iter()
            .rposition(|&(_, author)| {
                left = left.saturating_sub(self.audiences[author as usize].len() as u64);
                left == 0
            })
            .unwrap_or(0)
    }

    /// Every reader's full window just below `post`.
    pub fn windows(&self, post: usize) -> Vec<Window> {
        let mut entries = vec![Vec::new(); self.readers.len()];
        for &(id, author) in self.posts[..post].iter().rev() {
            for &reader in &self.audiences[author as usize] {
                if entries[reader as usize].len() <= WINDOW_ENTRIES {
                    entries[reader as usize].push(id);
                }
            }
        }
        let window = |entries| {
            let mut window =
                Window { epoch: EPOCH, floor: PostId::MIN, position: Position::ZERO, stamp: Stamp(1), entries };
            window.cap(WINDOW_ENTRIES);
            window
        };
        entries.into_iter().map(window).collect()
    }
}

/// Reads the world, and imports its users and follows.
pub async fn load(world: &World, store: &dyn Store) -> Result<Graph> {
    let (mut numbers, mut users) = (world.users()?, Vec::new());
    while let Some(number) = numbers.next_user()? {
        let handle = format!("u{number}").parse().ok().context("a number makes a handle")?;
        users.push(ImportedUser { id: user_id(users.len() as u32), handle });
    }
    store.import_users(&users).await?;
    let mut audiences: Vec<Vec<u32>> = vec![Vec::new(); users.len()];
    let (mut reader, mut followees, mut follows) = (world.follows()?, Vec::new(), Vec::new());
    let mut readers = Vec::new();
    let mut numbers = vec![None; users.len()];
    let mut number = |user: u32| {
        *numbers[user as usize].get_or_insert_with(|| {
            readers.push(user_id(user));
            readers.len() as u32 - 1
        })
    };
    while let Some(follower) = reader.next_follower(&mut followees)? {
        for &followee in &followees {
            audiences[followee as usize].push(number(follower));
        }
        follows.push((user_id(follower), followees.iter().map(|&followee| user_id(followee)).collect()));
    }
    store.import_follows(&follows).await?;
    let (mut records, mut ids, mut posts) = (world.posts()?, PostIds::default(), Vec::new());
    let mut posted = vec![false; users.len()];
    while let Some(post) = records.next_post()? {
        posts.push((ids.next(post)?, post.author));
        if !std::mem::replace(&mut posted[post.author as usize], true) {
            audiences[post.author as usize].push(number(post.author));
        }
    }
    Ok(Graph { readers, audiences, posts })
}

/// How the posts are compacted.
pub struct Case {
    pub name: &'static str,
    pub max_age_ms: u64,
    /// Ranges of posts between two resets, each with the rounds in it.
    pub chunks: Vec<Vec<Range<usize>>>,
}

impl Case {
    /// The default bound: so many pairs a round, and a reset after each.
    pub fn by_pairs(graph: &Graph, least_pairs: u64) -> Self {
        let settings = TuningSettings::default();
        let first = graph.newest(least_pairs);
        let (mut chunks, mut begun, mut pairs) = (Vec::new(), first, 0);
        for post in first..graph.posts.len() {
            pairs += graph.pairs(post..post + 1);
            if pairs > settings.flush_max_pairs {
                chunks.push(std::iter::once(begun..post).collect());
                (begun, pairs) = (post, graph.pairs(post..post + 1));
            }
        }
        Self { name: "4 M pairs a round", max_age_ms: settings.flush_max_age_ms, chunks }
    }

    /// The default age, by the clock of the trace.
    pub fn by_age(graph: &Graph, least_pairs: u64) -> Self {
        let max_age_ms = TuningSettings::default().flush_max_age_ms;
        let age = |&(id, _): &(PostId, u32)| id.created_at().0 / max_age_ms;
        let (mut chunks, mut rounds, mut at) = (Vec::new(), Vec::new(), graph.newest(least_pairs));
        for round in graph.posts[at..].chunk_by(|a, b| age(a) == age(b)) {
            rounds.push(at..at + round.len());
            at += round.len();
            if rounds.iter().map(Range::len).sum::<usize>() >= CHUNK {
                chunks.push(std::mem::take(&mut rounds));
            }
        }
        Self { name: "15 minutes of the trace a round", max_age_ms, chunks }
    }

    /// Age 0: classic fan-out. The flush itself makes a round of each event.
    pub fn by_event(graph: &Graph, least_pairs: u64) -> Self {
        let posts: Vec<usize> = (graph.newest(least_pairs)..graph.posts.len()).collect();
        let chunk = |posts: &[usize]| std::iter::once(posts[0]..posts[0] + posts.len()).collect();
        Self {
            name: "age 0: every event its own round",
            max_age_ms: 0,
            chunks: posts.chunks(CHUNK_BY_EVENT).map(chunk).collect(),
        }
    }

    pub fn pairs(&self, graph: &Graph) -> u64 {
        self.chunks.iter().flatten().map(|round| graph.pairs(round.clone())).sum()
    }

    /// Segments, and entries in them: a segment takes no more than a window has.
    pub fn tally(&self, graph: &Graph) -> (u64, u64) {
        if self.max_age_ms == 0 {
            return (self.pairs(graph), self.pairs(graph));
        }
        let (mut segments, mut entries) = (0, 0);
        for round in self.chunks.iter().flatten() {
            let mut counts = vec![0; graph.readers.len()];
            for &(_, author) in &graph.posts[round.clone()] {
                graph.audiences[author as usize].iter().for_each(|&reader| counts[reader as usize] += 1);
            }
            segments += counts.iter().filter(|count| **count > 0).count() as u64;
            entries += counts.iter().map(|&count: &usize| count.min(WINDOW_ENTRIES) as u64).sum::<u64>();
        }
        (segments, entries)
    }
}

/// The posts of rounds as events numbered after `position`, which moves on.
pub fn events(graph: &Graph, rounds: &[Range<usize>], position: &mut Position) -> Vec<Vec<NumberedEvent>> {
    let mut event = |&(post, author): &(PostId, u32)| {
        *position = position.next();
        let audience = graph.audiences[author as usize].len() as u32 - 1;
        let (author, channel) = (user_id(author), Channel::Push);
        NumberedEvent { position: *position, event: Event::Posted { post, author, channel, audience } }
    };
    rounds.iter().map(|round| graph.posts[round.clone()].iter().map(&mut event).collect()).collect()
}

/// Compacts the rounds.
pub async fn compact(flush: &mut Flush, rounds: &[Vec<NumberedEvent>]) -> Result<()> {
    for round in rounds {
        for batch in round.chunks(EVENTS_BATCH) {
            flush.take(batch).await?;
        }
        flush.flush().await?;
    }
    Ok(())
}

/// Median, least and most.
pub fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_unstable_by(f64::total_cmp);
    [values[values.len() / 2], values[0], values[values.len() - 1]]
}

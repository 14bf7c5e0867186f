//! A real trace, imported: sampled readers' whole timelines equal what the files say (law 1), by a merge that knows
//! nothing of worlds, ids or stores; first as the store tells them, then as a node serves them, before and after
//! hot and ordinary authors write on. `TRACE_DIR` names a folder with `follows.tsv.gz` and `posts.tsv.gz`.

#![allow(clippy::unwrap_used, reason = "a test: whatever fails here fails it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Write, stderr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use tributary_engine::embedded::{EmbeddedLog, EmbeddedStore, ProcessShard};
use tributary_engine::model::{
    ChangedBy, Channel, Command, CommandKey, Outcome, PostId, Request, TuningSettings, UserId,
};
use tributary_engine::ports::{Clock, Store};
use tributary_engine::read::PageRequest;
use tributary_engine::timeline::Signer;
use tributary_engine::{CacheBytes, Engine, Options, Ports, Roles};
use tributary_load::import::{Batches, import};
use tributary_load::world::{World, tsv};

const ENTER_FOLLOWERS: u64 = 500;
const LEAVE_FOLLOWERS: u64 = 400;
const SAMPLED_READERS: usize = 50;
const PAGE: usize = 1_000;
/// Readers whose timelines a node serves to the end.
const SERVED_READERS: usize = 12;
const SERVED_PAGE: usize = 100;
/// New posts by each author who writes on.
const NEW_POSTS: usize = 3;

/// Both files, as they are.
struct Trace {
    follows: BTreeMap<u64, BTreeSet<u64>>,
    /// Second and author, in the order of the file.
    posts: Vec<(u64, u64)>,
}

impl Trace {
    fn read(folder: &Path) -> Self {
        let mut follows: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for (follower, followee) in pairs(&folder.join("follows.tsv.gz")) {
            let followees = follows.entry(follower).or_default();
            if follower != followee {
                followees.insert(followee);
            }
        }
        Self { follows, posts: pairs(&folder.join("posts.tsv.gz")) }
    }

    fn users(&self) -> BTreeSet<u64> {
        let edges = self.follows.iter().flat_map(|(follower, followees)| followees.iter().chain([follower]));
        edges.copied().chain(self.posts.iter().map(|&(_, author)| author)).collect()
    }

    fn follows(&self) -> usize {
        self.follows.values().map(BTreeSet::len).sum()
    }

    /// Authors at or over the threshold who posted.
    fn hot(&self) -> BTreeSet<u64> {
        let mut followers: BTreeMap<u64, u64> = BTreeMap::new();
        for &followee in self.follows.values().flatten() {
            *followers.entry(followee).or_default() += 1;
        }
        let authors: BTreeSet<u64> = self.posts.iter().map(|&(_, author)| author).collect();
        authors.into_iter().filter(|author| followers.get(author).is_some_and(|&n| n >= ENTER_FOLLOWERS)).collect()
    }

    /// The whole home timeline: newest first, and within a second in reverse order of the file.
    fn home(&self, reader: u64) -> Vec<(u64, String)> {
        let followees = self.follows.get(&reader);
        let shows = |author: u64| author == reader || followees.is_some_and(|f| f.contains(&author));
        let shown = self.posts.iter().rev().filter(|&&(_, author)| shows(author));
        shown.map(|&(second, author)| (second, format!("u{author}"))).collect()
    }

    /// Readers at even distances, and one author who follows nobody, if there is one.
    fn sample(&self) -> Vec<u64> {
        let step = (self.follows.len() / SAMPLED_READERS).max(1);
        let lone = self.posts.iter().map(|&(_, author)| author).find(|author| !self.follows.contains_key(author));
        self.follows.keys().copied().step_by(step).take(SAMPLED_READERS).chain(lone).collect()
    }
}

fn pairs(path: &Path) -> Vec<(u64, u64)> {
    let lines = BufReader::new(MultiGzDecoder::new(File::open(path).unwrap())).lines();
    let pair = |line: String| {
        let (first, second) = line.split_once('\t').unwrap();
        (first.parse().unwrap(), second.parse().unwrap())
    };
    lines.map(|line| pair(line.unwrap())).collect()
}

/// The whole home timeline by the store, paged to the end.
async fn home(store: &dyn Store, reader: UserId) -> Vec<(u64, String)> {
    let (mut timeline, mut before) = (Vec::new(), PostId::MAX);
    loop {
        let ids = store.home_all(reader, before, PAGE).await.unwrap();
        assert!(ids.is_sorted_by(|a, b| a > b) && ids.first().is_none_or(|&id| id < before));
        for post in store.posts(&ids).await.unwrap() {
            let post = post.expect("a listed post exists");
            timeline.push((post.id.created_at().0 / 1_000, post.author.handle.as_str().to_owned()));
        }
        match ids.last() {
            Some(&last) if ids.len() == PAGE => before = last,
            _ => return timeline,
        }
    }
}

async fn tune(store: &dyn Store) {
    let settings = TuningSettings {
        enter_followers: ENTER_FOLLOWERS,
        leave_followers: LEAVE_FOLLOWERS,
        flush_max_age_ms: 20,
        ..TuningSettings::default()
    };
    let command = Command::Tune { expected: None, settings, by: ChangedBy::Config };
    let key = CommandKey { key: b"thresholds of the test".as_slice().into(), fingerprint: [0; 16] };
    store.commit(&Request { actor: UserId(0), key, command }).await.unwrap();
}

/// A timeline as a node serves it: the second of each post, and its author.
type Entries = Vec<(u64, UserId)>;

/// A node in both roles on the imported store, with caches that do not hold the world.
async fn node(store: &Arc<EmbeddedStore>) -> Engine {
    let ports = Ports {
        store: store.clone(),
        log: Arc::new(EmbeddedLog::new(store.clone())),
        shard: Arc::new(ProcessShard::new(8 << 20, Clock::System)),
    };
    let cache = CacheBytes { ring: 1 << 20, windows: 4 << 20, streams: 4 << 20, views: 4 << 20, posts: 4 << 20 };
    let roles = Roles { api: true, worker: true };
    let options = Options { roles, cache, signer: Signer::new(&[7; 32]), clock: Clock::System };
    Engine::start(ports, options).await.unwrap()
}

/// The first entries of a reader's home timeline, at least `least` of them if there are so many.
async fn served(node: &Engine, reader: UserId, least: usize) -> Entries {
    let (mut entries, mut cursor) = (Vec::new(), None);
    loop {
        let page = node.home(reader, &PageRequest { limit: SERVED_PAGE, cursor }).await.unwrap();
        entries.extend(page.items.iter().map(|item| (item.post.id().created_at().0 / 1_000, item.post.author())));
        cursor = page.next;
        assert!(cursor.is_none() || page.items.len() == SERVED_PAGE, "a page is full unless it is the last");
        if cursor.is_none() || entries.len() >= least {
            return entries;
        }
    }
}

fn assert_same(found: &[(u64, UserId)], expected: &[(u64, UserId)], what: &str) {
    let differs = expected.iter().zip(found).position(|(a, b)| a != b);
    assert_eq!((differs, found.len()), (None, expected.len()), "{what}");
}

/// A reader of the trace, with the whole home timeline.
struct Reader {
    number: u64,
    id: UserId,
    home: Entries,
}

/// The trace with the ids that its users were given.
struct Served<'a> {
    trace: &'a Trace,
    ids: BTreeMap<u64, UserId>,
    readers: Vec<Reader>,
}

impl<'a> Served<'a> {
    async fn new(trace: &'a Trace, store: &dyn Store, sample: &[u64]) -> Self {
        let mut ids = BTreeMap::new();
        for number in trace.users() {
            let user = store.user_by_handle(&format!("u{number}").parse().unwrap()).await.unwrap().unwrap();
            ids.insert(number, user.card.id);
        }
        let step = (sample.len() / SERVED_READERS).max(1);
        let reader = |&number: &u64| {
            let entry = |(second, handle): (u64, String)| (second, ids[&handle[1..].parse().unwrap()]);
            Reader { number, id: ids[&number], home: trace.home(number).into_iter().map(entry).collect() }
        };
        let readers = sample.iter().step_by(step).map(reader).collect();
        Self { trace, ids, readers }
    }

    /// Every reader's timeline by the node, to its end; how many entries that were.
    async fn compare(&self, node: &Engine) -> usize {
        let mut entries = 0;
        for Reader { number, id, home } in &self.readers {
            assert_same(&served(node, *id, usize::MAX).await, home, &format!("the timeline of u{number}"));
            entries += home.len();
        }
        entries
    }

    /// Of each reader the busiest followee on each side of the threshold.
    fn writers(&self) -> BTreeSet<u64> {
        let mut posts: BTreeMap<u64, usize> = BTreeMap::new();
        for &(_, author) in &self.trace.posts {
            *posts.entry(author).or_default() += 1;
        }
        let hot = self.trace.hot();
        let followees = self.readers.iter().filter_map(|reader| self.trace.follows.get(&reader.number));
        let busiest = |followees: &BTreeSet<u64>, is_hot: bool| {
            let authors = followees.iter().filter(|author| hot.contains(author) == is_hot);
            authors.copied().max_by_key(|author| posts.get(author))
        };
        followees.flat_map(|followees| [busiest(followees, true), busiest(followees, false)]).flatten().collect()
    }

    /// Hot and ordinary authors write on, in turns; what they write is on top of their followers' timelines, highest id
    /// first: posts of one millisecond are in no order of their writing.
    async fn write_on(&mut self, node: &Engine) -> [usize; 2] {
        let (hot, writers) = (self.trace.hot(), self.writers());
        let (mut counts, mut written) = ([0; 2], BTreeMap::new());
        for n in 0..NEW_POSTS {
            for number in &writers {
                let text = format!("new {n} by u{number}").into();
                let done = node.execute(self.ids[number], Command::Publish { text }, None).await.unwrap();
                let Outcome::Posted { post, channel } = done.outcome else { panic!("published: {done:?}") };
                assert_eq!(channel == Channel::Pull, hot.contains(number), "the channel of u{number}");
                counts[usize::from(channel == Channel::Pull)] += 1;
                written.insert(post.id, *number);
            }
        }
        for (post, number) in written {
            for reader in &mut self.readers {
                let follows = self.trace.follows.get(&reader.number).is_some_and(|f| f.contains(&number));
                if follows || reader.number == number {
                    reader.home.insert(0, (post.created_at().0 / 1_000, self.ids[&number]));
                }
            }
        }
        for Reader { number, id, home } in &self.readers {
            let top = &home[..home.len().min(SERVED_PAGE)];
            let deadline = Instant::now() + Duration::from_secs(20);
            // Until the node has followed the log to the last of them.
            let mut found = served(node, *id, SERVED_PAGE).await;
            while found != top && Instant::now() < deadline {
                tokio::task::yield_now().await;
                found = served(node, *id, SERVED_PAGE).await;
            }
            assert_same(&found, top, &format!("the top of the timeline of u{number}"));
        }
        counts
    }
}

async fn compare_nodes(trace: &Trace, store: &Arc<EmbeddedStore>, sample: &[u64]) {
    let mut served = Served::new(trace, &**store, sample).await;
    let first = node(store).await;
    let started = Instant::now();
    let entries = served.compare(&first).await;
    let took = started.elapsed().as_secs_f64();
    say(&format!("a node serves {} timelines with {entries} entries, in {took:.1} s", served.readers.len()));
    let [ordinary, hot] = served.write_on(&first).await;
    assert!(ordinary > 0 && hot > 0, "{ordinary} new posts by ordinary authors, {hot} by hot ones");
    first.stop().await;
    // The next node begins with the checkpoints of the first, and an empty shard.
    let second = node(store).await;
    served.compare(&second).await;
    second.stop().await;
    say(&format!("{ordinary} new posts by ordinary authors and {hot} by hot ones are on top, also after a restart"));
}

fn say(line: &str) {
    // Not by a macro: the harness would hide it from who ran the tests.
    let mut out = stderr();
    writeln!(out, "{line}").unwrap();
}

#[tokio::test]
async fn timelines_of_an_imported_trace_equal_its_files() {
    let Some(folder) = std::env::var_os("TRACE_DIR").map(PathBuf::from) else {
        say("skipped: TRACE_DIR is unset");
        return;
    };
    let trace = Trace::read(&folder);
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("world");
    tsv::make(&folder.join("follows.tsv.gz"), &folder.join("posts.tsv.gz"), &path).unwrap();
    let store = EmbeddedStore::open(&temporary.path().join("store"), Clock::System).unwrap();
    tune(&*store).await;
    let imported = import(&*store, &World::open(&path).unwrap(), Batches::default(), &mut || false).await.unwrap();
    say(&format!("imported: {imported:?}"));
    let counts = [imported.users, imported.follows, imported.posts];
    assert_eq!(counts, [trace.users().len(), trace.follows(), trace.posts.len()].map(|count| count as u64));

    let pull: Vec<UserId> =
        store.pull_authors(UserId(0), usize::MAX).await.unwrap().into_iter().map(|(author, _)| author).collect();
    let users = store.users(&pull).await.unwrap();
    let pull: BTreeSet<String> = users.into_iter().map(|user| user.unwrap().card.handle.as_str().to_owned()).collect();
    let hot: BTreeSet<String> = trace.hot().into_iter().map(|author| format!("u{author}")).collect();
    assert!(!hot.is_empty() && pull == hot, "authors on pull: {pull:?}, over the threshold: {hot:?}");

    let (started, mut entries, sample) = (Instant::now(), 0, trace.sample());
    for &number in &sample {
        let user = store.user_by_handle(&format!("u{number}").parse().unwrap()).await.unwrap().unwrap();
        let (expected, found) = (trace.home(number), home(&*store, user.card.id).await);
        let differs = expected.iter().zip(&found).position(|(a, b)| a != b);
        assert_eq!((differs, expected.len()), (None, found.len()), "the timeline of u{number}");
        entries += found.len();
    }
    let took = started.elapsed().as_secs_f64();
    say(&format!("{} timelines with {entries} entries equal the files, in {took:.1} s", sample.len()));
    compare_nodes(&trace, &store, &sample).await;
}

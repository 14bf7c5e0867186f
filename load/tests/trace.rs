//! A real trace, imported: sampled readers' whole timelines equal what the files say (law 1), by a merge that knows
//! nothing of worlds, ids or stores. `TRACE_DIR` names a folder with `follows.tsv.gz` and `posts.tsv.gz`.

#![allow(clippy::unwrap_used, reason = "a test: whatever fails here fails it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Write, stderr};
use std::path::{Path, PathBuf};
use std::time::Instant;

use flate2::read::MultiGzDecoder;
use tributary_engine::embedded::EmbeddedStore;
use tributary_engine::model::{ChangedBy, Command, CommandKey, PostId, Request, TuningSettings, UserId};
use tributary_engine::ports::{Clock, Store};
use tributary_load::import::{Batches, import};
use tributary_load::world::{World, tsv};

const ENTER_FOLLOWERS: u64 = 500;
const LEAVE_FOLLOWERS: u64 = 400;
const SAMPLED_READERS: usize = 50;
const PAGE: usize = 1_000;

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
        ..TuningSettings::default()
    };
    let command = Command::Tune { expected: None, settings, by: ChangedBy::Config };
    let key = CommandKey { key: b"thresholds of the test".as_slice().into(), fingerprint: [0; 16] };
    store.commit(&Request { actor: UserId(0), key, command }).await.unwrap();
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
}

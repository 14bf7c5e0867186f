//! Fuzz targets for a whole node. Whatever the log brings, the node stays up, and its pages are those of the store: an untrue
//! event costs time, never an entry (but for a post that it says is removed). What a shard holds is believed, as law 2 has
//! it; whatever it is, the node stays up, and its pages have nothing that the reader may not see (law 5).

use std::cell::Cell;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::sync::watch;
use tributary_engine::embedded::{EmbeddedStore, ProcessShard};
use tributary_engine::model::{
    Channel, Command, CommandKey, DeadLetter, Epoch, Event, LoggedEvent, Outcome, Position, PostId, Request, SlotRange,
    Stamp, UserId,
};
use tributary_engine::ports::{Clock, Log, LogError, LogReader, Shard, Store};
use tributary_engine::read::{News, PageRequest, Source};
use tributary_engine::recent::BYTES_PER_ENTRY;
use tributary_engine::testkit::fuzz;
use tributary_engine::timeline::{SegmentHeader, Signer, Window};
use tributary_engine::work::Flush;
use tributary_engine::{CacheBytes, Options, Parts, Roles};

use super::kept;

/// A log with nothing in it but dead letters.
#[derive(Default)]
struct Letters(Mutex<Vec<DeadLetter>>);

#[async_trait]
impl Log for Letters {
    async fn publish(&self, _: &[LoggedEvent]) -> Result<(), LogError> {
        Ok(())
    }
    async fn follow(&self, _: Epoch, _: Position) -> Result<Box<dyn LogReader>, LogError> {
        Err(LogError::Unavailable("it is given by hand".to_owned()))
    }
    async fn newest(&self, _: Epoch) -> Result<Option<LoggedEvent>, LogError> {
        Ok(None)
    }
    async fn reach(&self) -> Result<(), LogError> {
        Ok(())
    }
    async fn bury(&self, letter: &DeadLetter) -> Result<(), LogError> {
        self.0.lock().unwrap().push(letter.clone());
        Ok(())
    }
    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, LogError> {
        Ok(self.0.lock().unwrap().clone())
    }
    async fn drop_dead_letters(&self, _: &[(Epoch, Position)]) -> Result<(), LogError> {
        Ok(())
    }
}

/// Two who read, two who are read, and their posts; none of it changes.
struct World {
    store: Arc<EmbeddedStore>,
    users: Vec<UserId>,
    posts: Vec<PostId>,
    _folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let store = EmbeddedStore::open(folder.path(), Clock::System).unwrap();
        let mut users = Vec::new();
        for name in ["ann", "ben", "cas", "dee"] {
            users.push(store.make_user(&name.parse().unwrap(), name).await.unwrap().card.id);
        }
        let mut world = Self { store, users, posts: Vec::new(), _folder: folder };
        for (reader, author) in [(0, 1), (0, 2), (1, 2)] {
            world.execute(reader, Command::Follow { user: world.users[author], limit: 0 }).await;
        }
        world.execute(0, Command::Mute { user: world.users[3] }).await;
        for author in [1, 2, 3, 0, 2, 1] {
            world.execute(author, Command::Publish { text: "text".into() }).await;
        }
        world
    }

    async fn execute(&mut self, actor: usize, command: Command) {
        let key = CommandKey { key: fastrand::u64(..).to_le_bytes().into(), fingerprint: [0; 16] };
        let request = Request { actor: self.users[actor], key, command };
        if let Outcome::Posted { post, .. } = self.store.commit(&request).await.unwrap().outcome {
            self.posts.push(post.id);
        }
    }

    async fn node(&self, log: Arc<dyn Log>, shard: Arc<dyn Shard>) -> Parts {
        let cache = CacheBytes {
            ring: BYTES_PER_ENTRY * 64,
            windows: 1 << 20,
            streams: 1 << 20,
            views: 1 << 20,
            posts: 1 << 20,
        };
        let roles = Roles { api: true, worker: true };
        let options = Options { roles, cache, signer: Signer::new(&[7; 32]), clock: Clock::System };
        Parts::assemble(self.store.clone(), log, shard, &options).await.unwrap()
    }

    /// The readers' whole timelines, in pages, are those of the store; those that were said to be `gone` may be.
    async fn compare(&self, node: &Parts, gone: &[PostId]) {
        for &reader in &self.users[..2] {
            let truth = self.store.home_page(reader, PostId::MAX, 100).await.unwrap();
            let (mut shown, mut page) = (Vec::new(), PageRequest { limit: 2, cursor: None });
            loop {
                let feed = node.reads.home(reader, &page).await.unwrap();
                shown.extend(feed.items.iter().map(|item| item.post.id()));
                page.cursor = feed.next;
                if page.cursor.is_none() || shown.len() > truth.len() {
                    break;
                }
            }
            let truth: Vec<_> = truth.into_iter().filter(|id| shown.contains(id) || !gone.contains(id)).collect();
            assert_eq!(shown, truth, "the timeline of {reader}");
        }
    }

    /// Whether the reader was given a page out of a shard that holds this string for them.
    async fn read(&self, string: &[u8]) -> bool {
        let shard = Arc::new(ProcessShard::new(1 << 20, Clock::System));
        let (reader, log) = (self.users[0], Arc::new(Letters::default()));
        shard.set(reader, string.to_vec().into()).await.unwrap();
        let node = self.node(log, shard).await;
        let truth = self.store.home_page(reader, PostId::MAX, 100).await.unwrap();
        let (mut shown, mut page, mut from_shard) = (Vec::new(), PageRequest { limit: 2, cursor: None }, false);
        loop {
            let feed = node.reads.home(reader, &page).await.unwrap();
            shown.extend(feed.items.iter().map(|item| item.post.id()));
            from_shard |= feed.items.iter().any(|item| item.from == Source::Shard);
            assert!(shown.is_sorted_by(|a, b| a > b) && shown.iter().all(|id| truth.contains(id)), "{shown:?}");
            let since =
                node.reads.home_since(reader, &feed.fresh, &PageRequest { limit: 2, cursor: None }).await.unwrap();
            assert!(since.gap || since.items.is_empty(), "nothing has come");
            page.cursor = feed.next;
            if page.cursor.is_none() {
                return from_shard;
            }
        }
    }

    /// Whether every event was understood.
    async fn take(&self, events: &[&[u8]]) -> bool {
        let (log, shard) = (Arc::new(Letters::default()), Arc::new(ProcessShard::new(1 << 20, Clock::System)));
        let mut node = self.node(log.clone(), shard.clone()).await;
        let (tier, from) = (node.reads.tier.clone(), node.reads.tier.ring.position());
        self.compare(&node, &[]).await;
        // The readers' windows are in the shard by then.
        tokio::task::yield_now().await;
        let mut live = node.reads.live(self.users[0], None).await.unwrap();
        let share = watch::Sender::new(SlotRange::ALL).subscribe();
        let mut flush = Flush::new(self.store.clone(), shard.clone(), tier.epoch, share, node.tuning.clone(), 64, from);

        let logged = events.iter().zip(from.0 + 1..).map(|(bytes, number)| LoggedEvent {
            epoch: tier.epoch,
            position: Position(number),
            bytes: (*bytes).into(),
        });
        let logged: Vec<LoggedEvent> = logged.collect();
        node.follower.take(&logged).await.unwrap();
        assert_eq!(tier.ring.position(), Position(from.0 + events.len() as u64));
        let known: Vec<_> = logged.iter().filter_map(|event| event.decode().ok()).collect();
        assert_eq!(log.0.lock().unwrap().len(), logged.len() - known.len(), "what is not understood is kept");

        let gone = known.iter().filter_map(|event| match event.event {
            Event::Removed { post, .. } => Some(post),
            _ => None,
        });
        let gone: Vec<PostId> = gone.collect();
        self.compare(&node, &gone).await;
        for event in live.look().await.unwrap() {
            if let News::Post(post) = event.news {
                assert!(self.posts.contains(&post.id()) && post.author() != self.users[3], "{:?} is told", post.id());
            }
        }
        flush.take(&known).await.unwrap();
        flush.flush().await.unwrap();
        self.compare(&node, &gone).await;
        self.compare(&self.node(log, shard).await, &[]).await;
        known.len() == logged.len()
    }
}

/// The pieces of an input: a byte with the length, and so many bytes.
fn pieces(mut input: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while let Some((&length, rest)) = input.split_first() {
        let (piece, behind) = rest.split_at(rest.len().min(length.into()));
        pieces.push(piece);
        input = behind;
    }
    pieces.truncate(200);
    pieces
}

fn joined(events: &[Event]) -> Vec<u8> {
    let piece = |event: &Event| {
        let mut bytes = vec![0];
        event.encode(&mut bytes);
        bytes[0] = (bytes.len() - 1) as u8;
        bytes
    };
    events.iter().flat_map(piece).collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn whatever_a_shard_holds_a_page_has_only_what_the_reader_may_see() {
    let runtime = runtime();
    let world = runtime.block_on(World::new());
    let (epoch, position, truth) = runtime.block_on(async {
        let (epoch, position) = (world.store.epoch(None).await.unwrap(), world.store.last_position().await.unwrap());
        (epoch, position, world.store.home_page(world.users[0], PostId::MAX, 100).await.unwrap())
    });
    let window = |floor: u64, position: u64, entries: &[PostId]| {
        let mut bytes = Vec::new();
        let (floor, position, stamp) = (PostId(floor), Position(position), Stamp(1_000));
        Window { epoch, floor, position, stamp, entries: entries.to_vec() }.encode(&mut bytes);
        bytes
    };
    let segment = |from: u64, to: u64, entries: &[PostId]| {
        let mut bytes = Vec::new();
        let header = SegmentHeader { epoch, from: Position(from), to: Position(to), stamp: Stamp(900) };
        header.encode(entries.iter().copied(), &mut bytes);
        bytes
    };
    let everybodys: Vec<PostId> = world.posts.iter().rev().copied().collect();
    let seeds = vec![
        window(0, position.0, &truth),
        window(0, position.0, &everybodys),
        [window(0, position.0, &truth[1..]), segment(position.0, position.0 + 5, &truth[..1])].concat(),
        window(u64::MAX, u64::MAX, &[PostId::MAX]),
        window(truth[1].0, position.0 - 1, &truth[..1]),
        [window(0, position.0, &[]), segment(0, u64::MAX, &everybodys)].concat(),
    ];
    let given = Cell::new(0);
    fuzz(kept!("shard"), seeds, |input| {
        let given_some = runtime.block_on(world.read(input));
        given.set(given.get() + u32::from(given_some));
        given_some
    });
    assert!(given.into_inner() > 3);
}

/// The input: each event with its length in front. A node takes them in, a worker compacts them, and a node that starts
/// later finds the worker's windows.
#[test]
fn whatever_the_log_brings_pages_are_those_of_the_store() {
    let runtime = runtime();
    let world = runtime.block_on(World::new());
    let &[ann, ben, cas, dee] = &world.users[..] else { panic!("four were made") };
    let (post, later) = (world.posts[0], PostId(world.posts[5].0 + (1 << 40)));
    let posted = |post, author, channel| Event::Posted { post, author, channel, audience: 3 };
    let seeds = [
        joined(&[
            posted(post, ben, Channel::Push),
            posted(later, ben, Channel::Push),
            posted(later, cas, Channel::Pull),
        ]),
        joined(&[posted(world.posts[2], ben, Channel::Push), posted(world.posts[3], dee, Channel::Push)]),
        joined(&[Event::Removed { post, author: ben }, Event::Liked { user: ann, post, likes: 7 }]),
        joined(&[
            Event::Unfollowed { follower: ann, followee: ben },
            Event::Followed { follower: ann, followee: dee },
            Event::Unmuted { user: ann, target: dee },
            Event::Blocked { user: ben, target: ann },
        ]),
        joined(&[Event::Tuned { version: 9 }, Event::Pinned { author: ben }, posted(PostId::MAX, ben, Channel::Push)]),
        [&joined(&[posted(later, ben, Channel::Push)])[..], &[2, 1, 99]].concat(),
        // More than the ring holds.
        joined(
            &(0..90)
                .map(|n| posted(PostId(later.0 + n), [ben, cas][n as usize % 2], Channel::Push))
                .collect::<Vec<_>>(),
        ),
    ];
    let understood = Cell::new(0);
    fuzz(kept!("node"), seeds.to_vec(), |input| {
        let all = runtime.block_on(world.take(&pieces(input)));
        understood.set(understood.get() + u32::from(all));
        all
    });
    assert!(understood.into_inner() > 5);
}

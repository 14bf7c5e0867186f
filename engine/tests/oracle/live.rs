//! Clients that listen to live streams in a random world, break off and come back on any node. What a client makes of a
//! first page and of what it is told since must be the timeline, to the last entry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::FutureExt;
use tributary_engine::cache::Tier;
use tributary_engine::model::{Event, Position, PostId, UserId};
use tributary_engine::read::{Live, News, PageRequest};
use tributary_engine::timeline::{ListId, Signer};

use super::world::{CURSOR_KEY, World};

/// What was told, to show that a run did something.
#[derive(Clone, Copy, Default, Debug)]
pub struct Done {
    posts: u32,
    removed: u32,
    gaps: u32,
    resumed: u32,
    compared: u32,
}

/// Clients, with dice of their own: the world goes as it would without them.
pub struct Clients {
    random: fastrand::Rng,
    clients: Vec<Client>,
    pub done: Done,
}

struct Client {
    reader: UserId,
    /// The node it listens to.
    node: usize,
    stream: Option<Stream>,
    /// It has not been told everything that it could have been.
    behind: bool,
    /// The token that goes on after what it was told.
    token: String,
    /// The token is of another history.
    foreign: bool,
    /// What it believes is on the timeline, with the authors.
    timeline: BTreeMap<PostId, UserId>,
    /// Events of the world before the timeline was last known to be right.
    right: usize,
    /// Events of the world when the client last loaded it as a whole.
    loaded: usize,
    /// A position of the log up to which it was told everything.
    told: Position,
}

struct Stream {
    live: Live,
    tier: Arc<Tier>,
}

impl Clients {
    pub async fn new(world: &mut World, seed: u64) -> Self {
        let mut clients = Self { random: fastrand::Rng::with_seed(seed), clients: Vec::new(), done: Done::default() };
        for reader in world.users.clone().into_iter().take(6) {
            let mut client = Client {
                reader,
                node: clients.random.usize(..2),
                stream: None,
                behind: false,
                token: String::new(),
                foreign: false,
                timeline: BTreeMap::new(),
                right: 0,
                loaded: 0,
                told: Position::ZERO,
            };
            client.token = client.load(world).await;
            clients.clients.push(client);
        }
        clients
    }

    /// One of them does something.
    pub async fn step(&mut self, world: &mut World) {
        let n = self.random.usize(..self.clients.len());
        let Self { random, clients, done } = self;
        let client = &mut clients[n];
        match random.u8(..20) {
            0..6 => client.listen(world, random, done).await,
            6 => {
                // Told of a part only, and gone.
                client.listen_to(world, random.usize(..3), done).await;
                client.stream = None;
            }
            7 => {
                client.stream = None;
                client.node = random.usize(..2);
                if random.u8(..4) == 0 {
                    let epoch = world.nodes[client.node].reads.tier.epoch.0 ^ 1;
                    let numbers = [epoch, client.told.0, u64::MAX >> 1];
                    client.token = Signer::new(&CURSOR_KEY).seal(ListId::Fresh(client.reader), numbers);
                    client.foreign = true;
                }
            }
            8 => client.compare(world, done).await,
            9 => {
                // Told of a part only, and of the rest another time.
                client.listen_to(world, random.usize(1..4), done).await;
            }
            _ => {}
        }
    }

    pub async fn compare_everything(&mut self, world: &mut World) {
        for client in &mut self.clients {
            client.compare(world, &mut self.done).await;
        }
        assert!(self.done.posts > 0 && self.done.resumed > 0, "the world had nothing to tell: {:?}", self.done);
    }
}

impl Client {
    /// The whole timeline as its node has it; the token that goes on after it.
    async fn load(&mut self, world: &mut World) -> String {
        world.note_events().await;
        let reads = world.nodes[self.node].reads.clone();
        self.told = reads.tier.ring.position();
        // Whom the reader has begun or ceased to see since then, the node may not have heard of yet.
        self.loaded = world.events.partition_point(|event| event.position <= self.told);
        self.right = self.loaded;
        self.timeline.clear();
        let (mut cursor, mut fresh) = (None, None);
        loop {
            let page = reads.home(self.reader, &PageRequest { limit: 100, cursor }).await.unwrap();
            self.timeline.extend(page.items.iter().map(|item| (item.post.id(), item.post.author())));
            fresh.get_or_insert(page.fresh);
            cursor = page.next;
            if cursor.is_none() {
                return fresh.unwrap();
            }
        }
    }

    /// Its stream, begun anew where the node is another by now.
    async fn connect(&mut self, world: &World, done: &mut Done) -> bool {
        let tier = &world.nodes[self.node].reads.tier;
        if self.stream.as_ref().is_some_and(|stream| Arc::ptr_eq(&stream.tier, tier)) {
            return false;
        }
        done.resumed += 1;
        let live = world.nodes[self.node].reads.live(self.reader, Some(&self.token)).await.unwrap();
        self.stream = Some(Stream { live, tier: tier.clone() });
        true
    }

    /// Listens for a while. The node may lag.
    async fn listen(&mut self, world: &mut World, random: &mut fastrand::Rng, done: &mut Done) {
        for _ in 0..random.usize(1..4) {
            self.listen_to(world, usize::MAX, done).await;
        }
    }

    /// Takes up to `most` of what it is told at a time, if it is woken at all; whether there was something.
    async fn listen_to(&mut self, world: &mut World, most: usize, done: &mut Done) -> bool {
        let begun = self.connect(world, done).await;
        let stream = self.stream.as_mut().unwrap();
        let mut due = begun || self.behind || stream.live.woken().now_or_never().is_some();
        let mut heard = false;
        while due {
            let floor = stream.tier.ring.floor_position();
            let events = stream.live.look().await.unwrap();
            self.behind = !events.is_empty();
            due = self.behind && most > events.len();
            let (mut gap, mut foreign) = (false, false);
            for event in events.iter().take(most) {
                heard = true;
                let gap_due = std::mem::take(&mut self.foreign);
                assert!(!gap_due || matches!(event.news, News::Gap), "another history is a gap");
                foreign |= gap_due;
                self.token = stream.live.tell(event);
                match &event.news {
                    News::Post(post) => {
                        done.posts += 1;
                        self.timeline.insert(post.id(), post.author());
                    }
                    News::Removed(post) => {
                        done.removed += 1;
                        self.timeline.remove(post);
                    }
                    News::Gap => gap = true,
                }
            }
            if gap {
                done.gaps += 1;
                world.note_events().await;
                let reason =
                    foreign || self.told < floor || world.events[self.loaded..].iter().any(|e| self.widens(&e.event));
                assert!(reason, "a gap without a reason for {:?}", self.reader);
                // What the stream tells goes on from the gap; the page is at least as new. Or another node goes on
                // after the page, which may have heard of less.
                let fresh = self.load(world).await;
                if done.gaps.is_multiple_of(2) {
                    (self.token, self.stream, self.node) = (fresh, None, 1 - self.node);
                }
                return true;
            }
            if events.is_empty() {
                self.token = stream.live.token();
                self.told = stream.tier.ring.position();
            }
        }
        heard
    }

    /// The node has everything: then what the client believes is the timeline.
    async fn compare(&mut self, world: &mut World, done: &mut Done) {
        done.compared += 1;
        loop {
            let here = std::mem::replace(&mut world.here, self.node);
            world.follow_all().await;
            world.here = here;
            if !self.listen_to(world, usize::MAX, done).await {
                break;
            }
        }
        world.note_events().await;
        let home: BTreeSet<PostId> = world.truth.home(self.reader).into_iter().collect();
        // A stream says nothing of whom the reader sees no longer: that has to be taken off by who knows.
        let gone: BTreeSet<UserId> = world.events[self.right..].iter().filter_map(|e| self.hides(&e.event)).collect();
        self.timeline.retain(|post, author| home.contains(post) || !gone.contains(author));
        let believed: BTreeSet<PostId> = self.timeline.keys().copied().collect();
        let missing: Vec<_> = home.difference(&believed).collect();
        let extra: Vec<_> = believed.difference(&home).collect();
        assert!(missing.is_empty() && extra.is_empty(), "{:?}: missing {missing:?}, extra {extra:?}", self.reader);
        self.right = world.events.len();
    }

    fn widens(&self, event: &Event) -> bool {
        match *event {
            Event::Followed { follower: user, .. } | Event::Unmuted { user, .. } => user == self.reader,
            Event::Unblocked { user, target } => user == self.reader || target == self.reader,
            _ => false,
        }
    }

    /// Whom the event takes off the timeline.
    fn hides(&self, event: &Event) -> Option<UserId> {
        match *event {
            Event::Unfollowed { follower: user, followee: target }
            | Event::Muted { user, target }
            | Event::Blocked { user, target }
                if user == self.reader =>
            {
                Some(target)
            }
            Event::Blocked { user, target } if target == self.reader => Some(user),
            _ => None,
        }
    }
}

//! What a world reads, compared with the truth.

use std::collections::BTreeSet;

use tributary_engine::model::{Event, Position, PostId, UserId};
use tributary_engine::read::{Feed, PageRequest};

use super::world::World;

fn ids(feed: &Feed) -> Vec<PostId> {
    feed.items.iter().map(|item| item.post.id()).collect()
}

impl World {
    async fn page(&mut self, reader: UserId, limit: usize, cursor: Option<String>) -> Feed {
        self.done.pages += 1;
        let feed = self.node().reads.home(reader, &PageRequest { limit, cursor }).await.unwrap();
        assert!(feed.items.len() == limit || feed.next.is_none(), "a page is full unless it is the last");
        feed
    }

    /// A page anywhere: first, or after some others.
    pub async fn read_page(&mut self) {
        self.follow_all().await;
        let reader = self.user();
        let expected = self.truth.home(reader);
        let (mut cursor, mut told) = (None, 0);
        for _ in 0..self.random.usize(1..4) {
            let limit = self.random.usize(1..=100);
            let feed = self.page(reader, limit, cursor).await;
            let end = (told + limit).min(expected.len());
            assert_eq!(ids(&feed), expected[told..end], "{reader:?} from {told}");
            assert_eq!(feed.next.is_some(), end < expected.len());
            self.check_items(reader, &feed);
            told = end;
            cursor = feed.next;
            if cursor.is_none() {
                return;
            }
        }
    }

    /// The first page, so that the reader has a window.
    pub async fn read_first(&mut self, reader: UserId) {
        let feed = self.page(reader, 20, None).await;
        assert_eq!(ids(&feed), self.truth.home(reader).into_iter().take(20).collect::<Vec<_>>());
    }

    /// The whole timeline, to the first post ever written.
    pub async fn read_timeline(&mut self) {
        self.follow_all().await;
        let reader = self.user();
        self.compare_timeline(reader).await;
    }

    pub async fn compare_timeline(&mut self, reader: UserId) {
        self.done.timelines += 1;
        let (mut cursor, mut told) = (None, Vec::new());
        loop {
            let limit = self.random.usize(1..=100);
            let feed = self.page(reader, limit, cursor).await;
            told.extend(ids(&feed));
            cursor = feed.next;
            if cursor.is_none() {
                break;
            }
        }
        self.done.entries += told.len() as u64;
        assert_eq!(told, self.truth.home(reader), "the timeline of {reader:?}");
    }

    /// Every timeline.
    pub async fn compare_everything(&mut self) {
        self.follow_all().await;
        for reader in self.users.clone() {
            self.compare_timeline(reader).await;
        }
    }

    fn check_items(&self, reader: UserId, feed: &Feed) {
        let likes: BTreeSet<PostId> = self.truth.likes_of(reader).into_iter().collect();
        let liked: Vec<PostId> = ids(feed).into_iter().filter(|id| likes.contains(id)).collect();
        assert_eq!(feed.liked, liked);
        for item in &feed.items {
            let mut json = Vec::new();
            item.post.write_json(&mut json);
            let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
            let post = self.truth.post(item.post.id()).unwrap();
            assert_eq!(json["likes"], post.likes, "likes of {:?}", post.id);
            assert_eq!(json["text"], *post.text);
            assert_eq!(json["author"]["id"], post.author.id.to_string());
        }
    }

    /// A read while the node is behind the log. Nothing that it has applied may be missing, nothing that is not true
    /// may be there but what others took away meanwhile, and what the reader did is seen at once.
    pub async fn read_behind(&mut self) {
        let reader = self.user();
        if self.random.bool() {
            // The worker is ahead of the node, and so are the windows it has appended to.
            for _ in 0..self.random.usize(0..12) {
                self.step_between().await;
            }
            self.flush_all().await;
            self.node().reads.tier.windows.invalidate(reader);
        }
        let before = self.truth.home(reader);
        let position = self.node().reads.tier.ring.position();
        self.publish_as(reader).await;
        let now = self.truth.home(reader);
        let own = now.iter().copied().find(|id| !before.contains(id));
        let applied = self.applied_posts(position).await;
        let feed = self.page(reader, 100, None).await;
        let told = ids(&feed);
        let lowest = if feed.next.is_some() { told.last().copied().unwrap_or_default() } else { PostId::MIN };
        if let Some(own) = own.filter(|own| *own >= lowest) {
            assert!(told.contains(&own), "an own post is seen at once: {own:?}");
        }
        let here = !self.changed_elsewhere[self.here].contains(&reader);
        if here && self.only_own_changes_since(position, reader) {
            for id in now.iter().filter(|id| **id >= lowest && applied.contains(id)) {
                assert!(told.contains(id), "{id:?} was applied, and is missing for {reader:?}");
            }
            for id in &told {
                assert!(now.contains(id), "{id:?} does not belong into the timeline of {reader:?}");
            }
        }
    }

    /// Posts whose events the node has applied (or that its ring never had to hold).
    async fn applied_posts(&mut self, position: Position) -> BTreeSet<PostId> {
        self.note_events().await;
        let posted = |event: &Event| match *event {
            Event::Posted { post, .. } => Some(post),
            _ => None,
        };
        let applied = self.events.iter().filter(|event| event.position <= position);
        applied.filter_map(|event| posted(&event.event)).collect()
    }

    /// Whether nobody but `reader` changed, after `position`, what `reader` may see.
    fn only_own_changes_since(&self, position: Position, reader: UserId) -> bool {
        self.events.iter().filter(|event| event.position > position).all(|event| match event.event {
            Event::Removed { author, .. } => author == reader,
            Event::Blocked { user, target } | Event::Unblocked { user, target } => user == reader || target != reader,
            _ => true,
        })
    }

    /// What was logged since a page: exactly that, in pages, or a gap where there is reason for one.
    pub async fn read_since(&mut self) {
        self.done.since += 1;
        let reader = self.user();
        self.follow_all().await;
        let fresh = self.page(reader, 20, None).await.fresh;
        let position = self.node().reads.tier.ring.position();
        for _ in 0..self.random.usize(0..25) {
            self.step_between().await;
        }
        self.follow_all().await;
        self.note_events().await;

        let home: BTreeSet<PostId> = self.truth.home(reader).into_iter().collect();
        let mut expected: Vec<PostId> = Vec::new();
        let mut widened = false;
        for event in self.events.iter().filter(|event| event.position > position) {
            match event.event {
                Event::Posted { post, .. } if home.contains(&post) => expected.push(post),
                Event::Followed { follower, .. } => widened |= follower == reader,
                Event::Unmuted { user, .. } => widened |= user == reader,
                Event::Unblocked { user, target } => widened |= user == reader || target == reader,
                _ => {}
            }
        }
        expected.sort_unstable_by(|a, b| b.cmp(a));
        let (mut cursor, mut told) = (None, Vec::new());
        loop {
            let limit = self.random.usize(1..=20);
            let feed = self.node().reads.home_since(reader, &fresh, &PageRequest { limit, cursor }).await.unwrap();
            if feed.gap {
                let lapped = position < self.node().reads.tier.ring.floor_position();
                assert!(lapped || widened, "a gap without a reason");
                self.done.gaps += 1;
                let first: Vec<PostId> = self.truth.home(reader).into_iter().take(limit).collect();
                assert_eq!(ids(&feed), first);
                return;
            }
            told.extend(ids(&feed));
            cursor = feed.next;
            if cursor.is_none() {
                break;
            }
        }
        assert!(!widened, "a wider view must be a gap");
        assert_eq!(told, expected, "since {position:?} for {reader:?}");
    }
}

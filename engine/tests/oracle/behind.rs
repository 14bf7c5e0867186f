//! A node that has heard of less than the reader's client, which comes from another node.

use std::sync::Arc;

use tempfile::TempDir;
use tributary_engine::embedded::{EmbeddedLog, EmbeddedStore, ProcessShard};
use tributary_engine::model::{Command, Event, Handle, Outcome, Position, PostId, UserId};
use tributary_engine::ports::{Clock, Log, Shard, Store};
use tributary_engine::read::{News, PageRequest};
use tributary_engine::recent::BYTES_PER_ENTRY;
use tributary_engine::timeline::Signer;
use tributary_engine::{CacheBytes, Options, Parts, Roles};

use super::world::CURSOR_KEY;

const FIRST: PageRequest = PageRequest { limit: 20, cursor: None };

/// A node that has heard of a post, and not of the follow after it, of which the token of another node's page knows.
struct Behind {
    node: Parts,
    reader: UserId,
    post: PostId,
    token: String,
    _folder: TempDir,
}

impl Behind {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(folder.path(), Clock::System).unwrap();
        let log: Arc<dyn Log> = Arc::new(EmbeddedLog::new(store.clone()));
        let shard: Arc<dyn Shard> = Arc::new(ProcessShard::new(1 << 20, Clock::System));
        let ring = BYTES_PER_ENTRY * 100;
        let cache = CacheBytes { ring, windows: 1 << 20, streams: 1 << 20, views: 1 << 20, posts: 1 << 20 };
        let roles = Roles { api: true, worker: true };
        let options = Options { roles, cache, signer: Signer::new(&CURSOR_KEY), clock: Clock::System };
        let other = Parts::assemble(store.clone(), log.clone(), shard.clone(), &options).await.unwrap();
        let mut node = Parts::assemble(store.clone(), log, shard, &options).await.unwrap();
        let mut users = Vec::new();
        for handle in ["ann", "ben"] {
            let user = store.make_user(&handle.parse::<Handle>().unwrap(), handle).await.unwrap();
            users.push(user.card.id);
        }
        let (reader, author) = (users[0], users[1]);
        // The node keeps a view in which the reader follows nobody.
        node.reads.home(reader, &FIRST).await.unwrap();
        let posted = other.commands.execute(author, Command::Publish { text: "text".into() }, None).await.unwrap();
        let Outcome::Posted { post, .. } = posted.outcome else { panic!("{:?}", posted.outcome) };
        other.commands.execute(reader, Command::Follow { user: author, limit: 0 }, None).await.unwrap();
        let token = other.reads.home(reader, &FIRST).await.unwrap().fresh;
        let (_, events) = store.events(Position::ZERO, 10).await.unwrap();
        let follow = events.iter().position(|event| matches!(event.decode().unwrap().event, Event::Followed { .. }));
        node.follower.take(&events[..follow.unwrap()]).await.unwrap();
        Self { node, reader, post: post.id, token, _folder: folder }
    }
}

#[tokio::test]
async fn a_node_that_has_not_heard_of_a_follow_tells_what_came_since_all_the_same() {
    let behind = Behind::new().await;
    let reads = &behind.node.reads;
    let since = reads.home_since(behind.reader, &behind.token, &FIRST).await.unwrap();
    let told: Vec<PostId> = since.items.iter().map(|item| item.post.id()).collect();
    assert!(!since.gap && told == [behind.post], "{told:?}");

    let behind = Behind::new().await;
    let mut live = behind.node.reads.live(behind.reader, Some(&behind.token)).await.unwrap();
    let told = live.look().await.unwrap();
    assert!(
        matches!(&told[..], [event] if matches!(&event.news, News::Post(post) if post.id() == behind.post)),
        "{told:?}"
    );
}

//! Push as Mastodon does it: a sorted set a reader, scored by post id. The commands are those of `add_to_feed`, `trim`,
//! `push_to_home` and `merge_into_home` in `app/lib/feed_manager.rb`, and of `from_redis` in `app/models/feed.rb`
//! (github.com/mastodon/mastodon).
//!
//! A job for each follower sends its commands one after the other there. Here the jobs of many followers go step by step
//! in one pipeline, which takes fewer round trips than theirs. Posts are no reblogs, so that of the bookkeeping for
//! reblogs only what every post costs is left.

use anyhow::{Context, Result};
use async_trait::async_trait;
use redis::Cmd;
use tributary_engine::model::PostId;

use super::arm::{Arm, Page};
use super::graph::{Graph, PAGE};
use super::push::{Push, next};

const PREFIX: &str = "mastodon:";
/// Entries of a feed.
const MAX_ITEMS: usize = 800;
/// How far from the top reblogs are kept apart.
const REBLOG_FALLOFF: isize = 40;
/// Followers whose jobs go step by step together.
const TOGETHER: usize = 64;

/// The arm.
pub struct Mastodon(Push);

impl Mastodon {
    /// Fills a server with the world.
    ///
    /// # Errors
    /// When the server cannot be had.
    pub async fn open(graph: &Graph, url: Option<&str>) -> Result<Self> {
        let push = Push::open(graph, url, PREFIX).await?;
        let add = |reader, entries: &[PostId]| {
            let mut add = Cmd::new();
            add.arg("ZADD").arg(feed(reader));
            entries.iter().for_each(|id| _ = add.arg(id.0).arg(id.0));
            add
        };
        push.load_windows(graph, MAX_ITEMS, add).await?;
        Ok(Self(push))
    }

    /// The job of each follower for some posts: bookkeeping, entry, trim, and whether somebody listens.
    async fn push_to_home(&self, readers: &[u32], posts: &[PostId]) -> Result<()> {
        let Some(&first) = readers.first().filter(|_| !posts.is_empty()) else { return Ok(()) };
        let mut connection = self.0.connection(first);
        let mut seen = redis::pipe();
        for &reader in readers {
            posts.iter().for_each(|id| _ = seen.cmd("ZSCORE").arg(reblogs(reader)).arg(id.0));
        }
        let known: Vec<Option<f64>> = seen.query_async(&mut connection).await.context("ZSCORE")?;
        let mut known = known.into_iter();
        let mut add = redis::pipe();
        for &reader in readers {
            for id in posts {
                if known.next().flatten().is_none() {
                    add.cmd("ZADD").arg(feed(reader)).arg(id.0).arg(id.0).ignore();
                }
            }
            let last = -(MAX_ITEMS as isize + 1);
            add.cmd("ZREMRANGEBYRANK").arg(feed(reader)).arg(0).arg(last).ignore();
            add.cmd("ZREVRANGE").arg(feed(reader)).arg(REBLOG_FALLOFF).arg(REBLOG_FALLOFF).arg("WITHSCORES");
        }
        let falloffs: Vec<Vec<(u64, f64)>> = add.query_async(&mut connection).await.context("ZADD")?;
        let mut clean = redis::pipe();
        for (&reader, falloff) in readers.iter().zip(falloffs) {
            if let Some((_, score)) = falloff.first() {
                clean.cmd("ZRANGEBYSCORE").arg(reblogs(reader)).arg(0).arg(*score).ignore();
            }
            clean.cmd("EXISTS").arg(format!("subscribed:timeline:{reader}")).ignore();
        }
        clean.query_async::<()>(&mut connection).await.context("ZRANGEBYSCORE")
    }
}

#[async_trait]
impl Arm for Mastodon {
    fn name(&self) -> &'static str {
        "mastodon"
    }

    fn about(&self) -> String {
        "push into a sorted set a reader in Redis, with Mastodon's commands; posts in Redis, not durable; who follows whom \
         costs nothing"
            .to_owned()
    }

    async fn read(&self, reader: u32, cursor: Option<&str>) -> Result<Page> {
        let below = cursor.map_or("+inf".to_owned(), |cursor| format!("({cursor}"));
        let mut range = Cmd::new();
        range
            .arg("ZREVRANGEBYSCORE")
            .arg(feed(reader))
            .arg(below)
            .arg("(-inf")
            .arg("LIMIT")
            .arg(0)
            .arg(PAGE)
            .arg("WITHSCORES");
        let found: Vec<(u64, f64)> =
            range.query_async(&mut self.0.connection(reader)).await.context("ZREVRANGEBYSCORE")?;
        let ids: Vec<PostId> = found.into_iter().map(|(id, _)| PostId(id)).collect();
        self.0.hydrate(reader, &ids).await?;
        Ok(Page { next: next(&ids), ids })
    }

    async fn write(&self, author: u32, id: PostId) -> Result<PostId> {
        self.0.write(author, id).await?;
        Ok(id)
    }

    async fn deliver(&self, author: u32, post: PostId) -> Result<()> {
        for readers in self.0.audience(author).chunks(TOGETHER) {
            self.push_to_home(readers, &[post]).await?;
        }
        Ok(())
    }

    fn can_follow(&self) -> bool {
        true
    }

    async fn follow(&self, reader: u32, followee: u32) -> Result<()> {
        let Some(mut posts) = self.0.follow(reader, followee, MAX_ITEMS / 4) else { return Ok(()) };
        let mut pipe = redis::pipe();
        pipe.cmd("ZCARD").arg(feed(reader)).cmd("ZRANGE").arg(feed(reader)).arg(0).arg(0).arg("WITHSCORES");
        let (count, oldest): (usize, Vec<(u64, f64)>) =
            pipe.query_async(&mut self.0.connection(reader)).await.context("ZCARD")?;
        if let Some((oldest, _)) = oldest.first().filter(|_| count >= MAX_ITEMS / 4) {
            posts.retain(|id| id.0 > *oldest);
        }
        self.push_to_home(&[reader], &posts).await
    }

    fn servers(&self) -> Option<Vec<u32>> {
        self.0.servers()
    }

    async fn close(&self) -> Result<()> {
        self.0.close().await
    }

    async fn bytes_per_entry(&self) -> Result<Option<f64>> {
        self.0.weigh(feed, "ZCARD", MAX_ITEMS).await
    }
}

fn feed(reader: u32) -> String {
    format!("{PREFIX}feed:home:{reader}")
}

fn reblogs(reader: u32) -> String {
    format!("{PREFIX}feed:home:{reader}:reblogs")
}

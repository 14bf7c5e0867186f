//! Push as Misskey does it: a list a reader, newest first. The commands are those of `push` and `get` in
//! `packages/backend/src/core/FanoutTimelineService.ts`, in one pipeline a post as in `pushToTl` of
//! `NoteCreateService.ts` (github.com/misskey-dev/misskey).
//!
//! One push in ten trims the list; a read takes the whole list, sorts it and keeps a page. Ids are strings that sort as
//! they rise. A follow leaves the list as it is, so that a followee's older posts are missing: mixes with follows are
//! not for this arm.

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use redis::Cmd;
use tributary_engine::model::PostId;

use super::arm::{Arm, Page};
use super::graph::{Graph, PAGE};
use super::push::{Push, next};

const PREFIX: &str = "misskey:";
/// Entries of a list: the default of `perUserHomeTimelineCacheMax`.
const MAX_LENGTH: usize = 300;
/// One push in so many trims.
const TRIM_ONE_IN: u32 = 10;
/// Readers in a pipeline.
const TOGETHER: usize = 10_000;

/// The arm.
pub struct Misskey(Push);

impl Misskey {
    /// Fills a server with the world.
    ///
    /// # Errors
    /// When the server cannot be had.
    pub async fn open(graph: &Graph, url: Option<&str>) -> Result<Self> {
        let push = Push::open(graph, url, PREFIX).await?;
        let add = |reader, entries: &[PostId]| {
            let mut add = Cmd::new();
            add.arg("RPUSH").arg(list(reader));
            entries.iter().for_each(|id| _ = add.arg(written(*id)));
            add
        };
        push.load_windows(graph, MAX_LENGTH, add).await?;
        Ok(Self(push))
    }
}

#[async_trait]
impl Arm for Misskey {
    fn name(&self) -> &'static str {
        "misskey"
    }

    fn about(&self) -> String {
        "push into a list a reader in Redis, with Misskey's commands; posts in Redis, not durable; who follows whom costs \
         nothing"
            .to_owned()
    }

    async fn read(&self, reader: u32, cursor: Option<&str>) -> Result<Page> {
        let mut range = Cmd::new();
        range.arg("LRANGE").arg(list(reader)).arg(0).arg(-1);
        let mut found: Vec<String> = range.query_async(&mut self.0.connection(reader)).await.context("LRANGE")?;
        if let Some(cursor) = cursor {
            let below = written(PostId(cursor.parse().context("a cursor is an id")?));
            found.retain(|id| *id < below);
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.truncate(PAGE);
        let ids: Vec<PostId> = found.iter().map(|id| read(id)).collect::<Result<_>>()?;
        self.0.hydrate(reader, &ids).await?;
        Ok(Page { next: next(&ids), ids })
    }

    async fn write(&self, author: u32, id: PostId) -> Result<PostId> {
        self.0.write(author, id).await?;
        Ok(id)
    }

    async fn deliver(&self, author: u32, post: PostId) -> Result<()> {
        let id = written(post);
        for readers in self.0.audience(author).chunks(TOGETHER) {
            let mut pipe = redis::pipe();
            for &reader in readers {
                pipe.cmd("LPUSH").arg(list(reader)).arg(&id).ignore();
                if fastrand::u32(..TRIM_ONE_IN) == 0 {
                    pipe.cmd("LTRIM").arg(list(reader)).arg(0).arg(MAX_LENGTH - 1).ignore();
                }
            }
            pipe.query_async::<()>(&mut self.0.connection(author)).await.context("LPUSH")?;
        }
        Ok(())
    }

    fn can_follow(&self) -> bool {
        false
    }

    async fn follow(&self, _reader: u32, _followee: u32) -> Result<()> {
        bail!("a follow does not bring older posts into a list")
    }

    fn servers(&self) -> Option<Vec<u32>> {
        self.0.servers()
    }

    async fn close(&self) -> Result<()> {
        self.0.close().await
    }

    async fn bytes_per_entry(&self) -> Result<Option<f64>> {
        self.0.weigh(list, "LLEN", MAX_LENGTH).await
    }
}

fn list(reader: u32) -> String {
    format!("{PREFIX}list:homeTimeline:{reader}")
}

/// An id of 16 characters, as long as Misskey's, that sorts as the number does.
fn written(id: PostId) -> String {
    format!("{:016x}", id.0)
}

fn read(id: &str) -> Result<PostId> {
    Ok(PostId(u64::from_str_radix(id, 16).context("a list holds ids")?))
}

//! The engine's arm: a node in this process over an embedded store in a temporary folder. Commits are durable; windows
//! are compacted every second, so that a run of seconds pays for it.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use futures::StreamExt;
use tempfile::TempDir;
use tributary_engine::Engine;
use tributary_engine::limits::WINDOW_ENTRIES;
use tributary_engine::model::{Command, Epoch, Outcome, Position, PostId, Stamp, UserId};
use tributary_engine::ports::Clock;
use tributary_engine::read::PageRequest;
use tributary_engine::timeline::{Run, Window};
use tributary_server::assemble::{self, Node};
use tributary_server::config::{Config, Keys};

use super::arm::{Arm, Page};
use super::graph::{Graph, PAGE};
use crate::import::{self, Batches, text, user_id};
use crate::world::World;

/// Timelines that are read at a time while windows are filled.
const READ_AT_A_TIME: usize = 64;
/// Windows that are weighed.
const WEIGHED: usize = 1_000;

/// The arm.
pub struct Tributary {
    /// None only while it is replaced.
    node: RwLock<Option<Node>>,
    folder: TempDir,
    handles: Arc<[String]>,
    bytes_per_entry: Option<f64>,
}

impl Tributary {
    /// Imports the world, starts a node and fills everybody's window.
    ///
    /// # Errors
    /// When the folder cannot be written, or the node does not start.
    pub async fn open(graph: &Graph, world: &World) -> Result<Self> {
        let folder =
            tempfile::Builder::new().prefix("tributary-compare-").tempdir().context("a folder for the engine")?;
        let config = config(folder.path(), true)?;
        {
            let store = assemble::store(&config, Clock::System).await?;
            import::import(&*store, world, Batches::default(), &mut || false).await?;
        }
        let node = RwLock::new(Some(start(&config).await?));
        let arm = Self { node, folder, handles: graph.handles.clone(), bytes_per_entry: weigh(graph) };
        // The other arms have everybody's window from the beginning.
        let reads = (0..graph.handles.len() as u32).map(|reader| arm.read(reader, None));
        let mut reads = futures::stream::iter(reads).buffer_unordered(READ_AT_A_TIME);
        while let Some(page) = reads.next().await {
            page?;
        }
        drop(reads);
        Ok(arm)
    }

    /// The engine as it runs now.
    ///
    /// # Errors
    /// While it is replaced.
    pub fn engine(&self) -> Result<Engine> {
        let node = self.node.read().unwrap_or_else(PoisonError::into_inner);
        Ok(node.as_ref().context("the engine is just being started again")?.engine.clone())
    }

    /// The configuration of its node.
    ///
    /// # Errors
    /// When it cannot be read again.
    pub fn config(&self) -> Result<Config> {
        config(self.folder.path(), true)
    }
}

fn config(folder: &Path, worker: bool) -> Result<Config> {
    let roles = if worker { r#"["api", "worker"]"# } else { r#"["api"]"# };
    let path = folder.join("tributary.toml");
    let text = format!(
        "roles = {roles}\n[flush]\nmax_age_ms = 1000\n[limits]\nfollows = 0\nposts_per_minute = 0\nrequests_per_second = 0\n"
    );
    std::fs::write(&path, text).context("writing the engine's configuration")?;
    Ok(Config::load(Some(&path))?)
}

async fn start(config: &Config) -> Result<Node> {
    let node = Node::start(config, &Keys::load(config)?).await?;
    node.sync_tuning(config.tuning).await?;
    Ok(node)
}

/// What an entry of a full window takes in L1, all included.
fn weigh(graph: &Graph) -> Option<f64> {
    let (mut bytes, mut entries) = (0, 0);
    for reader in 0..graph.handles.len() as u32 {
        let ids = graph.home(reader, PostId::MAX, WINDOW_ENTRIES);
        if ids.len() < WINDOW_ENTRIES {
            continue;
        }
        let (floor, position) = (PostId(ids[ids.len() - 1].0 - 1), Position::ZERO);
        bytes += Run::new(&Window { epoch: Epoch(1), floor, position, stamp: Stamp(1), entries: ids }).weight();
        entries += WINDOW_ENTRIES;
        if entries == WEIGHED * WINDOW_ENTRIES {
            break;
        }
    }
    (entries > 0).then(|| bytes as f64 / entries as f64)
}

#[async_trait]
impl Arm for Tributary {
    fn name(&self) -> &'static str {
        "tributary"
    }

    fn about(&self) -> String {
        "the engine in this process over an embedded store, every command durable, windows compacted every second"
            .to_owned()
    }

    async fn read(&self, reader: u32, cursor: Option<&str>) -> Result<Page> {
        let request = PageRequest { limit: PAGE, cursor: cursor.map(str::to_owned) };
        let feed = self.engine()?.home(user_id(reader), &request).await.context("a read of the engine")?;
        // As a response has them.
        let mut body = Vec::with_capacity(8 * 1024);
        feed.items.iter().for_each(|item| {
            item.post.write_json(&mut body);
        });
        std::hint::black_box(body);
        Ok(Page { ids: feed.items.iter().map(|item| item.post.id()).collect(), next: feed.next })
    }

    async fn write(&self, author: u32, id: PostId) -> Result<PostId> {
        let text = text(&self.handles[author as usize], id);
        let done = self.execute(user_id(author), Command::Publish { text }).await?;
        match done {
            Outcome::Posted { post, .. } => Ok(post.id),
            other => bail!("a post came to {other:?}"),
        }
    }

    fn can_follow(&self) -> bool {
        true
    }

    async fn follow(&self, reader: u32, followee: u32) -> Result<()> {
        self.execute(user_id(reader), Command::Follow { user: user_id(followee), limit: 0 }).await.map(|_| ())
    }

    async fn stop_fan_out(&self) -> Result<()> {
        let node = self.node.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(node) = node {
            node.engine.stop().await;
        }
        // The store's file is free once the node is gone.
        let node = start(&config(self.folder.path(), false)?).await?;
        *self.node.write().unwrap_or_else(PoisonError::into_inner) = Some(node);
        Ok(())
    }

    fn servers(&self) -> Option<Vec<u32>> {
        Some(Vec::new())
    }

    async fn close(&self) -> Result<()> {
        self.engine()?.stop().await;
        Ok(())
    }

    async fn bytes_per_entry(&self) -> Result<Option<f64>> {
        Ok(self.bytes_per_entry)
    }
}

impl Tributary {
    async fn execute(&self, actor: UserId, command: Command) -> Result<Outcome> {
        Ok(self.engine()?.execute(actor, command, None).await.context("a command of the engine")?.outcome)
    }
}

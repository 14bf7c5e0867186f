//! What the push arms share: one Redis, the posts in it, and who follows whom. The peers keep the latter two in
//! PostgreSQL; here they cost as good as nothing, which spares these arms that work.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline};
use serde_json::json;
use tributary_engine::model::PostId;

use super::graph::{Graph, PAGE};
use super::servers::Server;
use crate::import::text;

/// Connections, taken in turn; each carries many requests at a time.
const CONNECTIONS: usize = 4;
/// Commands of a pipeline while the world is loaded.
const BATCH: usize = 1_000;
/// Windows that are weighed.
const WEIGHED: usize = 1_000;

/// Redis, with what both arms need beside their windows.
pub struct Push {
    connections: Vec<MultiplexedConnection>,
    /// None where the server is somebody else's.
    server: Option<Server>,
    handles: Arc<[String]>,
    followers: Vec<Mutex<Vec<u32>>>,
    posts: Vec<Mutex<Vec<PostId>>>,
    prefix: &'static str,
}

impl Push {
    /// Connects to the server at `url`, or starts one; loads the newest posts of everybody.
    ///
    /// # Errors
    /// When there is no such server, or it does not answer.
    pub async fn open(graph: &Graph, url: Option<&str>, prefix: &'static str) -> Result<Self> {
        let server = if url.is_some() { None } else { Some(Server::redis().await?) };
        let own = server.as_ref().map(|server| format!("redis://127.0.0.1:{}/0", server.port()));
        let url = url.or(own.as_deref()).expect("a server was named or started");
        let client = redis::Client::open(url).with_context(|| format!("--redis {url}: no address of a Redis"))?;
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let mut connections = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            let connection = client.get_multiplexed_async_connection_with_config(&config).await;
            connections.push(connection.with_context(|| format!("--redis {url}: no connection"))?);
        }
        let push = Self {
            connections,
            server,
            handles: graph.handles.clone(),
            followers: graph.followers.iter().map(|some| Mutex::new(some.clone())).collect(),
            posts: graph.posts.iter().map(|some| Mutex::new(some.clone())).collect(),
            prefix,
        };
        push.load_posts(graph).await?;
        Ok(push)
    }

    async fn load_posts(&self, graph: &Graph) -> Result<()> {
        let mut pipe = redis::pipe();
        for (author, posts) in graph.posts.iter().enumerate() {
            for &id in posts {
                pipe.add_command(self.set_post(author as u32, id)).ignore();
                if pipe.len() >= BATCH {
                    self.run(&mut pipe).await?;
                }
            }
        }
        self.run(&mut pipe).await
    }

    fn set_post(&self, author: u32, id: PostId) -> Cmd {
        let handle = &self.handles[author as usize];
        let post = json!({
            "id": id.to_string(), "author": {"id": author.to_string(), "handle": handle, "name": handle},
            "text": text(handle, id), "created_at": id.created_at().to_string(), "likes": 0,
        });
        let mut set = Cmd::new();
        set.arg("SET").arg(format!("{}post:{id}", self.prefix)).arg(post.to_string());
        set
    }

    /// Loads every reader's newest entries, at most `cap`: `add` makes the command that adds some of them, newest first.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn load_windows(&self, graph: &Graph, cap: usize, add: impl Fn(u32, &[PostId]) -> Cmd) -> Result<()> {
        let mut pipe = redis::pipe();
        for reader in 0..graph.handles.len() as u32 {
            let entries = graph.home(reader, PostId::MAX, cap);
            if !entries.is_empty() {
                pipe.add_command(add(reader, &entries)).ignore();
            }
            if pipe.len() >= BATCH / 10 {
                self.run(&mut pipe).await?;
            }
        }
        self.run(&mut pipe).await
    }

    async fn run(&self, pipe: &mut Pipeline) -> Result<()> {
        if !pipe.is_empty() {
            pipe.query_async::<()>(&mut self.connection(0)).await.context("filling Redis")?;
            pipe.clear();
        }
        Ok(())
    }

    /// A connection for the work of a user.
    pub fn connection(&self, user: u32) -> MultiplexedConnection {
        self.connections[user as usize % CONNECTIONS].clone()
    }

    /// Writes a post.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn write(&self, author: u32, id: PostId) -> Result<()> {
        self.set_post(author, id).query_async::<()>(&mut self.connection(author)).await.context("SET of a post")?;
        self.posts[author as usize].lock().unwrap_or_else(PoisonError::into_inner).push(id);
        Ok(())
    }

    /// Who gets a post: the followers, and the author.
    pub fn audience(&self, author: u32) -> Vec<u32> {
        let mut readers = self.followers[author as usize].lock().unwrap_or_else(PoisonError::into_inner).clone();
        readers.push(author);
        readers
    }

    /// Notes a follow; the followee's newest posts, at most `count`. None where it was there.
    pub fn follow(&self, reader: u32, followee: u32, count: usize) -> Option<Vec<PostId>> {
        let mut followers = self.followers[followee as usize].lock().unwrap_or_else(PoisonError::into_inner);
        if followers.contains(&reader) {
            return None;
        }
        followers.push(reader);
        let posts = self.posts[followee as usize].lock().unwrap_or_else(PoisonError::into_inner);
        Some(posts.iter().rev().take(count).copied().collect())
    }

    /// Reads the posts of a page.
    ///
    /// # Errors
    /// When the server does not answer, or lacks one.
    pub async fn hydrate(&self, reader: u32, ids: &[PostId]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut get = Cmd::new();
        get.arg("MGET");
        for id in ids {
            get.arg(format!("{}post:{id}", self.prefix));
        }
        let posts: Vec<Vec<u8>> = get.query_async(&mut self.connection(reader)).await.context("MGET of posts")?;
        ensure!(posts.len() == ids.len(), "Redis has {} of {} posts", posts.len(), ids.len());
        std::hint::black_box(posts);
        Ok(())
    }

    /// Empties a server that is somebody else's; the arm's own goes with it.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn close(&self) -> Result<()> {
        if self.server.is_none() {
            redis::cmd("FLUSHDB").query_async::<()>(&mut self.connection(0)).await.context("FLUSHDB")?;
        }
        Ok(())
    }

    /// The processes of the server.
    pub fn servers(&self) -> Option<Vec<u32>> {
        self.server.as_ref().map(|server| vec![server.pid()])
    }

    /// What an entry of a full window takes, keys and all: `key` names a reader's window, `size` is the command that
    /// counts its entries.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn weigh(&self, key: impl Fn(u32) -> String, size: &str, full: usize) -> Result<Option<f64>> {
        let (mut bytes, mut entries, mut weighed) = (0_u64, 0_u64, 0);
        let mut connection = self.connection(0);
        for reader in 0..self.handles.len() as u32 {
            let key = key(reader);
            let mut count = Cmd::new();
            let count: u64 =
                count.arg(size).arg(&key).query_async(&mut connection).await.context("counting entries")?;
            if count < full as u64 {
                continue;
            }
            let mut usage = Cmd::new();
            usage.arg("MEMORY").arg("USAGE").arg(&key).arg("SAMPLES").arg(0);
            bytes += usage.query_async::<u64>(&mut connection).await.context("MEMORY USAGE of a window")?;
            entries += count;
            weighed += 1;
            if weighed == WEIGHED {
                break;
            }
        }
        Ok((entries > 0).then(|| bytes as f64 / entries as f64))
    }
}

/// Makes sure that the server at `url` holds nothing: at the end, all it holds is deleted.
///
/// # Errors
/// When it holds something, or does not answer.
pub async fn ensure_empty(url: &str) -> Result<()> {
    let connecting = || format!("--redis {url}: no connection");
    let client = redis::Client::open(url).with_context(connecting)?;
    let mut connection = client.get_multiplexed_async_connection().await.with_context(connecting)?;
    let keys: u64 = redis::cmd("DBSIZE").query_async(&mut connection).await.context("DBSIZE")?;
    ensure!(keys == 0, "--redis {url}: this database holds {keys} keys; name one that holds nothing");
    Ok(())
}

/// The cursor of the page after these entries: their last id.
pub fn next(ids: &[PostId]) -> Option<String> {
    ids.last().filter(|_| ids.len() == PAGE).map(PostId::to_string)
}

//! Pull from PostgreSQL: posts indexed by author and falling id, follows by follower, and one prepared query a page. Of
//! the two usual forms, the one that is faster over some readers is taken. One reader would mislead: what costs the one
//! form more the more followees there are costs the other more the fewer there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use bytes::{BufMut, BytesMut};
use futures::SinkExt;
use tokio_postgres::{Client, NoTls, Statement};
use tributary_engine::model::PostId;

use super::arm::{Arm, Page};
use super::graph::{Graph, PAGE};
use super::servers::Server;
use crate::import::text;

const CONNECTIONS: usize = 8;
/// Everything is in a schema of its own, which must not be there before.
const SCHEMA: &str = "
    CREATE SCHEMA tributary_compare;
    CREATE TABLE tributary_compare.posts (id bigint PRIMARY KEY, author bigint NOT NULL, text text NOT NULL);
    CREATE TABLE tributary_compare.follows (follower bigint, followee bigint);";
const INDICES: &str = "
    CREATE INDEX ON tributary_compare.posts (author, id DESC);
    ALTER TABLE tributary_compare.follows ADD PRIMARY KEY (follower, followee);
    VACUUM ANALYZE tributary_compare.posts; VACUUM ANALYZE tributary_compare.follows;";
/// The newest 20 of each followee, and of those the newest 20.
const LATERAL: &str = "
    SELECT page.id, page.author, page.text FROM (
        SELECT followee AS author FROM tributary_compare.follows WHERE follower = $1 UNION ALL SELECT $1
    ) AS authors CROSS JOIN LATERAL (
        SELECT id, author, text FROM tributary_compare.posts AS posts
        WHERE posts.author = authors.author AND id < $2 ORDER BY id DESC LIMIT 20
    ) AS page ORDER BY page.id DESC LIMIT 20";
/// The newest 20 of everything that is by one of the followees.
const ANY: &str = "
    SELECT id, author, text FROM tributary_compare.posts
    WHERE id < $2 AND (author = $1 OR author IN (SELECT followee FROM tributary_compare.follows WHERE follower = $1))
    ORDER BY id DESC LIMIT 20";
const FORMS: [(&str, &str); 2] = [("LATERAL", LATERAL), ("IN (SELECT ...)", ANY)];
/// Readers on whom the forms are tried, drawn evenly from those who follow somebody.
const TRIED_READERS: usize = 40;
/// Trials of a form on a reader, of which the fastest counts: the first ones read from disk.
const TRIALS: usize = 3;
/// Bytes of a COPY that are sent at a time.
const COPY_BYTES: usize = 1 << 18;

struct Connection {
    client: Client,
    page: Statement,
    post: Statement,
    follow: Statement,
}

/// The arm.
pub struct Postgres {
    connections: Vec<Connection>,
    turn: AtomicUsize,
    handles: Arc<[String]>,
    form: &'static str,
    /// None where the server is somebody else's. Dropped last.
    server: Option<Server>,
}

impl Postgres {
    /// Fills the database at `url`, or one of a server that it starts, and chooses the form of the query, on readers drawn
    /// from `seed`.
    ///
    /// # Errors
    /// When there is no such server, or it does not answer, or holds a comparison already.
    pub async fn open(graph: &Graph, url: Option<&str>, seed: u64) -> Result<Self> {
        let server = if url.is_some() { None } else { Some(Server::postgres().await?) };
        let own = server.as_ref().map(|server| format!("postgres://tributary@127.0.0.1:{}/postgres", server.port()));
        let url = url.or(own.as_deref()).expect("a server was named or started");
        let client = connect(url).await?;
        client.batch_execute(SCHEMA).await.context("--postgres: making the schema tributary_compare; is it free?")?;
        load(&client, graph).await?;
        let form = faster_form(&client, graph, seed).await?;
        let mut connections = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            let client = connect(url).await?;
            connections.push(Connection {
                page: client.prepare(form.1).await?,
                post: client.prepare("INSERT INTO tributary_compare.posts VALUES ($1, $2, $3)").await?,
                follow: client
                    .prepare("INSERT INTO tributary_compare.follows VALUES ($1, $2) ON CONFLICT DO NOTHING")
                    .await?,
                client,
            });
        }
        Ok(Self { connections, turn: AtomicUsize::new(0), handles: graph.handles.clone(), form: form.0, server })
    }

    fn connection(&self) -> &Connection {
        &self.connections[self.turn.fetch_add(1, Ordering::Relaxed) % CONNECTIONS]
    }
}

async fn connect(url: &str) -> Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.with_context(|| format!("--postgres {url}: no connection"))?;
    // Ends when the client is dropped; a request that it fails is told to whoever made it.
    tokio::spawn(connection);
    Ok(client)
}

async fn load(client: &Client, graph: &Graph) -> Result<()> {
    let posts = graph.posts.iter().enumerate().flat_map(|(author, posts)| posts.iter().map(move |id| (author, *id)));
    let post = |(author, id): (usize, PostId)| format!("{id}\t{author}\t{}\n", text(&graph.handles[author], id));
    copy(client, "posts", posts.map(post)).await?;
    let follows =
        graph.followees.iter().enumerate().flat_map(|(reader, some)| some.iter().map(move |other| (reader, *other)));
    copy(client, "follows", follows.map(|(reader, followee)| format!("{reader}\t{followee}\n"))).await?;
    for index in INDICES.split(';').map(str::trim).filter(|index| !index.is_empty()) {
        client.batch_execute(index).await.context("making indices in PostgreSQL")?;
    }
    Ok(())
}

/// Texts of a world hold nothing that COPY would read otherwise.
async fn copy(client: &Client, table: &str, rows: impl Iterator<Item = String>) -> Result<()> {
    let sink =
        client.copy_in(&format!("COPY tributary_compare.{table} FROM STDIN")).await.context("filling PostgreSQL")?;
    futures::pin_mut!(sink);
    let mut buffer = BytesMut::with_capacity(2 * COPY_BYTES);
    for row in rows {
        buffer.put_slice(row.as_bytes());
        if buffer.len() >= COPY_BYTES {
            sink.send(buffer.split().freeze()).await.context("filling PostgreSQL")?;
        }
    }
    sink.send(buffer.freeze()).await.context("filling PostgreSQL")?;
    sink.finish().await.context("filling PostgreSQL")?;
    Ok(())
}

async fn faster_form(client: &Client, graph: &Graph, seed: u64) -> Result<(&'static str, &'static str)> {
    let mut readers: Vec<usize> = (0..graph.handles.len()).filter(|&n| !graph.followees[n].is_empty()).collect();
    fastrand::Rng::with_seed(seed).shuffle(&mut readers);
    let mut best = (Duration::MAX, FORMS[0]);
    for form in FORMS {
        let query = client.prepare(form.1).await.context("preparing the query of a page")?;
        let mut sum = Duration::ZERO;
        for &reader in readers.iter().take(TRIED_READERS) {
            let mut fastest = Duration::MAX;
            for _ in 0..TRIALS {
                let begun = Instant::now();
                client.query(&query, &[&(reader as i64), &i64::MAX]).await.context("trying the query of a page")?;
                fastest = fastest.min(begun.elapsed());
            }
            sum += fastest;
        }
        if sum < best.0 {
            best = (sum, form);
        }
    }
    Ok(best.1)
}

#[async_trait]
impl Arm for Postgres {
    fn name(&self) -> &'static str {
        "postgres-pull"
    }

    fn about(&self) -> String {
        format!("one prepared query a page in PostgreSQL, of the form {}, fsync off", self.form)
    }

    async fn read(&self, reader: u32, cursor: Option<&str>) -> Result<Page> {
        let below = match cursor {
            Some(cursor) => cursor.parse::<i64>().context("a cursor is an id")?,
            None => i64::MAX,
        };
        let Connection { client, page, .. } = self.connection();
        let rows = client.query(page, &[&i64::from(reader), &below]).await.context("the query of a page")?;
        let ids: Vec<PostId> = rows.iter().map(|row| PostId(row.get::<_, i64>(0) as u64)).collect();
        Ok(Page { next: ids.last().filter(|_| ids.len() == PAGE).map(PostId::to_string), ids })
    }

    async fn write(&self, author: u32, id: PostId) -> Result<PostId> {
        let Connection { client, post, .. } = self.connection();
        let text = text(&self.handles[author as usize], id);
        client.execute(post, &[&(id.0 as i64), &i64::from(author), &&*text]).await.context("the insert of a post")?;
        Ok(id)
    }

    fn can_follow(&self) -> bool {
        true
    }

    async fn follow(&self, reader: u32, followee: u32) -> Result<()> {
        if reader == followee {
            bail!("nobody follows themselves");
        }
        let Connection { client, follow, .. } = self.connection();
        client.execute(follow, &[&i64::from(reader), &i64::from(followee)]).await.context("the insert of a follow")?;
        Ok(())
    }

    fn servers(&self) -> Option<Vec<u32>> {
        self.server.as_ref().map(|server| vec![server.pid()])
    }

    async fn close(&self) -> Result<()> {
        if self.server.is_none() {
            let client = &self.connection().client;
            client.batch_execute("DROP SCHEMA tributary_compare CASCADE").await.context("dropping the schema")?;
        }
        Ok(())
    }

    async fn bytes_per_entry(&self) -> Result<Option<f64>> {
        Ok(None)
    }
}

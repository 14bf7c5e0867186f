//! The Shard port over many servers: each reader's window on the server that the slot map names.
//!
//! Law 2 is what makes moving slots harmless: a window that is asked for elsewhere is absent there, and filled; one
//! that a worker with an old map goes on appending to is a true statement that nobody reads.
//! Law 8: a server that is down fails at once, holds nobody up, and is no reason not to start.

use std::sync::{Arc, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use redis::pipe;

use super::append::{LANES, lane};
use super::error::{NodeError, OpenError};
use super::keys::Keys;
use super::node::{NodeOptions, RedisNode};
use super::slots::{Share, SlotMap};
use crate::limits::{WINDOW_STRING_BYTES, WINDOW_TTL};
use crate::model::UserId;
use crate::ports::{SegmentBatch, Shard, ShardError, ShardState};

/// Keys of one command at the most.
const REMOVE_KEYS: usize = 1_000;

/// Windows on Redis or Valkey servers.
pub struct RedisShards {
    /// In the order of their names.
    nodes: Vec<Arc<RedisNode>>,
    routing: RwLock<Arc<Routing>>,
}

/// A map with what follows from it.
struct Routing {
    map: SlotMap,
    /// For each slot the place of its owner among the servers.
    owners: Vec<u16>,
}

impl RedisShards {
    /// Opens the servers; the map's shards must be among them. Keys stand under `key_prefix`, so that several
    /// installations share a server. One that does not answer is not an error: it is down, and asked until it is up.
    /// Takes two seconds at the most.
    ///
    /// # Errors
    /// What only an operator can mend: a bad address, a wrong password, foreign data under our keys, an old server.
    pub async fn open(nodes: Vec<NodeOptions>, map: SlotMap, key_prefix: &str) -> Result<Arc<Self>, OpenError> {
        let keys = Keys::new(key_prefix)?;
        let mut opened = nodes.iter().map(|node| RedisNode::new(node, keys.clone())).collect::<Result<Vec<_>, _>>()?;
        opened.sort_by(|a, b| a.name.cmp(&b.name));
        if opened.is_empty() {
            return Err(OpenError::NoShards);
        }
        if let Some(pair) = opened.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(OpenError::Twice(pair[0].name.clone()));
        }
        let routing = RwLock::new(Arc::new(route(&opened, map)?));
        for (node, started) in opened.iter().zip(join_all(opened.iter().map(|node| node.start())).await) {
            started.map_err(|error| OpenError::Node { name: node.name.clone(), error })?;
        }
        Ok(Arc::new(Self { nodes: opened, routing }))
    }

    /// The map in use.
    pub fn map(&self) -> SlotMap {
        self.routing().map.clone()
    }

    /// Goes by another map from now on.
    ///
    /// # Errors
    /// One of its shards was not opened. The old map stays.
    pub fn set_map(&self, map: SlotMap) -> Result<(), OpenError> {
        let routing = Arc::new(route(&self.nodes, map)?);
        tracing::info!(version = routing.map.version(), "a slot map was taken over");
        *self.routing.write().expect("nobody panics with the map in hand") = routing;
        Ok(())
    }

    pub(super) fn nodes(&self) -> &[Arc<RedisNode>] {
        &self.nodes
    }

    fn routing(&self) -> Arc<Routing> {
        self.routing.read().expect("nobody panics with the map in hand").clone()
    }

    fn node(&self, reader: UserId) -> &RedisNode {
        &self.nodes[self.routing().owner(reader)]
    }

    /// The server of the first slot.
    fn first(&self) -> &RedisNode {
        &self.nodes[usize::from(self.routing().owners[0])]
    }

    /// One error that names every node that failed.
    fn told(&self, outcomes: impl IntoIterator<Item = (usize, Result<(), NodeError>)>) -> Result<(), ShardError> {
        let failed = outcomes.into_iter().filter_map(|(node, outcome)| Some((node, outcome.err()?)));
        let failed: Vec<String> = failed.map(|(node, error)| format!("{}: {error}", self.nodes[node].name)).collect();
        if failed.is_empty() { Ok(()) } else { Err(ShardError(failed.join("; "))) }
    }
}

impl Routing {
    fn owner(&self, reader: UserId) -> usize {
        usize::from(self.owners[usize::from(reader.slot())])
    }
}

/// The map's shards must be among the servers. A server that no map names holds nothing: it is there to be put into the
/// next one, or was taken out of the last.
fn route(nodes: &[Arc<RedisNode>], map: SlotMap) -> Result<Routing, OpenError> {
    let place =
        |share: &Share| nodes.binary_search_by(|node| node.name.cmp(&share.name)).ok().map(|place| place as u16);
    let Some(places) = map.shards().iter().map(place).collect::<Option<Vec<u16>>>() else {
        let list = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(OpenError::Names {
            version: map.version(),
            map: list(map.shards().iter().map(|share| &*share.name).collect()),
            configured: list(nodes.iter().map(|node| &*node.name).collect()),
        });
    };
    let owners = map.owners().into_iter().map(|owner| places[usize::from(owner)]).collect();
    Ok(Routing { map, owners })
}

fn named(node: &RedisNode, error: &NodeError) -> ShardError {
    ShardError(format!("{}: {error}", node.name))
}

#[async_trait]
impl Shard for RedisShards {
    /// `EXPIRE XX` renews the time to live where there is one and says whether there was: a string without is no
    /// window, whatever is in it. (`GETEX` would be one command less, but gives such a string a time to live, and so
    /// makes it look like a window to all who clean up.) One round trip either way.
    async fn read(&self, reader: UserId) -> Result<Option<Bytes>, ShardError> {
        let node = self.node(reader);
        let key = node.keys.window(reader);
        let mut both = pipe();
        both.cmd("EXPIRE").arg(&key).arg(WINDOW_TTL.as_secs()).arg("XX").cmd("GET").arg(&key);
        let (renewed, string): (bool, Option<Vec<u8>>) = node.call(&both).await.map_err(|error| named(node, &error))?;
        Ok(string.filter(|_| renewed).map(Bytes::from))
    }

    async fn set(&self, reader: UserId, fill: Bytes) -> Result<(), ShardError> {
        if fill.len() > WINDOW_STRING_BYTES {
            return self.remove(&[reader]).await;
        }
        let node = self.node(reader);
        let mut set = pipe();
        set.cmd("SET").arg(node.keys.window(reader)).arg(&*fill).arg("EX").arg(WINDOW_TTL.as_secs());
        node.call::<()>(&set).await.map_err(|error| named(node, &error))
    }

    async fn append(&self, batch: &SegmentBatch) -> Result<(), ShardError> {
        let routing = self.routing();
        let share = batch.len() / (self.nodes.len() * LANES);
        let mut lanes = vec![Vec::new(); self.nodes.len() * LANES];
        for (reader, segment) in batch.iter() {
            let lane: &mut Vec<(UserId, &[u8])> = &mut lanes[routing.owner(reader) * LANES + lane(reader)];
            if lane.is_empty() {
                lane.reserve(share + share / 8);
            }
            lane.push((reader, segment));
        }
        let appends = lanes.iter().enumerate().map(|(n, segments)| self.nodes[n / LANES].append(segments));
        // A node's lanes fail for one reason: it is told once.
        let mut outcomes = vec![Ok(()); self.nodes.len()];
        for (n, outcome) in join_all(appends).await.into_iter().enumerate() {
            let told = &mut outcomes[n / LANES];
            if told.is_ok() || matches!(told, Err(NodeError::Open)) && outcome.is_err() {
                *told = outcome;
            }
        }
        self.told(outcomes.into_iter().enumerate())
    }

    async fn remove(&self, readers: &[UserId]) -> Result<(), ShardError> {
        let routing = self.routing();
        let mut keys = vec![Vec::new(); self.nodes.len()];
        for &reader in readers {
            let owner = routing.owner(reader);
            keys[owner].push(self.nodes[owner].keys.window(reader));
        }
        let removals = self.nodes.iter().zip(&keys).map(|(node, keys)| async move {
            for keys in keys.chunks(REMOVE_KEYS) {
                node.call::<()>(pipe().cmd("UNLINK").arg(keys).ignore()).await?;
            }
            Ok(())
        });
        self.told(join_all(removals).await.into_iter().enumerate())
    }

    async fn read_popular(&self) -> Result<Option<Bytes>, ShardError> {
        let node = self.first();
        let mut get = pipe();
        get.cmd("GET").arg(node.keys.popular());
        let (string,): (Option<Vec<u8>>,) = node.call(&get).await.map_err(|error| named(node, &error))?;
        Ok(string.map(Bytes::from))
    }

    async fn set_popular(&self, posts: Bytes) -> Result<(), ShardError> {
        let node = self.first();
        let mut set = pipe();
        set.cmd("SET").arg(node.keys.popular()).arg(&*posts).arg("EX").arg(WINDOW_TTL.as_secs());
        node.call::<()>(&set).await.map_err(|error| named(node, &error))
    }

    async fn sweep(&self) -> Result<(), ShardError> {
        let routing = self.routing();
        let sweeps = self.nodes.iter().enumerate().map(|(n, node)| {
            let routing = routing.clone();
            node.sweep(move |reader| routing.owner(reader) == n)
        });
        self.told(join_all(sweeps).await.into_iter().enumerate())
    }

    fn states(&self) -> Vec<ShardState> {
        self.nodes.iter().map(|node| ShardState { name: node.name.clone(), up: node.is_up() }).collect()
    }
}

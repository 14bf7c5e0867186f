//! What operators and supervisors see of a node: its state, and whether it can serve.

use std::time::Duration;

use super::meter::measured;
use super::node::Node;
use crate::model::Costs;
use crate::ports::{Log, Shard};

/// The state of a node, for operators.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Status {
    /// The log position this node has applied.
    pub position: u64,
    /// Position and backlog of each shard.
    pub shards: Vec<ShardStatus>,
    /// The ring.
    pub ring: RingStatus,
    /// Each cache by name: `windows`, `streams`, `views`, `likes`, `posts`.
    pub caches: Vec<CacheStatus>,
    /// Microseconds to deliver one entry by flush, where measured.
    pub h_us: Option<f64>,
    /// Microseconds to merge one author's stream at a fill, where measured.
    pub l_us: Option<f64>,
    /// What all nodes together have measured, by which channels are chosen in mode `cost`; none before the store has
    /// taken this node's first measurement.
    pub costs: Option<CostsStatus>,
}

/// What all nodes have measured, older measurements fading; each none until there is enough to tell.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CostsStatus {
    /// As `h_us` of the status.
    pub h_us: Option<f64>,
    /// As `l_us` of the status.
    pub l_us: Option<f64>,
    /// Fills a day of a user on average.
    pub fills_per_day: Option<f64>,
    /// Posts a day at which both channels cost the same: who posts more often is cheaper on pull.
    pub balance_posts_per_day: Option<f64>,
    /// When this node last added to them, in Unix milliseconds.
    pub at_ms: u64,
}

impl From<Costs> for CostsStatus {
    fn from(costs: Costs) -> Self {
        Self {
            h_us: costs.measured().h_us(),
            l_us: costs.measured().l_us(),
            fills_per_day: costs.fills_per_day(),
            balance_posts_per_day: costs.balance(),
            at_ms: costs.at().0,
        }
    }
}

/// A shard as its flush sees it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ShardStatus {
    /// Its name.
    pub name: String,
    /// Up to where this node has compacted posts into it; none where it does not.
    pub position: Option<u64>,
    /// Events behind the log; none where this node does not compact.
    pub backlog_events: Option<u64>,
    /// Whether it answered lately.
    pub up: bool,
}

/// The recent ring.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RingStatus {
    /// The position it covers everything after.
    pub floor: u64,
    /// Posts in it.
    pub entries: u64,
    /// Bytes it takes.
    pub bytes: u64,
}

/// A cache.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CacheStatus {
    /// Its name.
    pub name: &'static str,
    /// Values in it.
    pub entries: u64,
    /// Their weight.
    pub bytes: u64,
    /// Hits by all look-ups since the start; none before the first look-up.
    pub hit_rate: Option<f64>,
}

/// One check of a node's health.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was checked: `store`, `log`, `shard`, `ring`.
    pub name: &'static str,
    /// `ok`, or what is wrong (safe to show).
    pub state: Result<(), &'static str>,
    /// Whether the node cannot serve without it.
    pub vital: bool,
}

/// How long a part may take to say that it is there.
const CHECK_WAIT: Duration = Duration::from_secs(1);

/// The state of `node`.
pub(super) fn status(node: &Node, shard: &dyn Shard) -> Status {
    let tier = &node.reads.tier;
    let position = tier.ring.position().0;
    let cache = |(name, entries, bytes, hit_rate)| CacheStatus { name, entries, bytes, hit_rate };
    let own = measured(&node.reads, node.flush.as_deref());
    let compacted = node.flush.as_ref().map(|flush| flush.position().0);
    let shards = shard.states().into_iter().map(|state| ShardStatus {
        name: state.name.into(),
        position: compacted,
        backlog_events: compacted.map(|compacted| position.saturating_sub(compacted)),
        up: state.up,
    });
    Status {
        position,
        shards: shards.collect(),
        ring: RingStatus {
            floor: tier.ring.floor_position().0,
            entries: tier.ring.len() as u64,
            bytes: tier.ring.bytes() as u64,
        },
        caches: vec![
            cache(tier.windows.figures()),
            cache(tier.streams.figures()),
            cache(tier.views.figures()),
            cache(tier.likes.figures()),
            cache(tier.posts.figures()),
        ],
        h_us: own.h_us(),
        l_us: own.l_us(),
        costs: node.costs.borrow().map(CostsStatus::from),
    }
}

/// Whether `node` can serve.
pub(super) async fn health(node: &Node, log: &dyn Log, shard: &dyn Shard) -> Vec<Check> {
    let store = tokio::time::timeout(CHECK_WAIT, node.reads.tier.store.last_position());
    let log = tokio::time::timeout(CHECK_WAIT, log.reach());
    let (store, log) = tokio::join!(store, log);
    let state = |ok: bool, wrong: &'static str| if ok { Ok(()) } else { Err(wrong) };
    vec![
        Check { name: "store", state: state(matches!(store, Ok(Ok(_))), "does not answer"), vital: true },
        Check { name: "ring", state: state(node.is_current(), "the store's history has changed"), vital: true },
        Check { name: "log", state: state(matches!(log, Ok(Ok(_))), "cannot be reached"), vital: false },
        Check {
            name: "shard",
            state: state(shard.states().iter().all(|shard| shard.up), "does not answer"),
            vital: false,
        },
    ]
}

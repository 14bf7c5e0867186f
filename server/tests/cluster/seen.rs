//! What the nodes have done so far, by their metrics: a run that met no cache and no flush would show nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::common::say;
use crate::world::World;

/// Each must have been more than nothing at some time.
const WANTED: [&str; 7] = [
    "feed_source_total{source=\"l1\"}",
    "feed_source_total{source=\"shard\"}",
    "feed_source_total{source=\"checkpoint\"}",
    "feed_source_total{source=\"store\"}",
    "posts_total{channel=\"push\"}",
    "posts_total{channel=\"pull\"}",
    "deliveries_total",
];

/// What was seen.
#[derive(Default)]
pub struct Seen(RefCell<BTreeMap<&'static str, f64>>);

impl Seen {
    /// Looks at all nodes. A counter begins anew when its node does, so this is a lower bound.
    pub async fn look(&self, world: &World) {
        for node in world.nodes.all() {
            let Ok(reply) = node.client().get("/metrics").attempt().await else { continue };
            let text = reply.text();
            for name in WANTED {
                let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
                let mut seen = self.0.borrow_mut();
                let most = seen.entry(name).or_default();
                *most = most.max(value.unwrap_or_default());
            }
        }
    }

    /// Everything has happened.
    pub fn check(&self) {
        say(format!("{:?}", self.0.borrow()));
        for name in WANTED {
            assert!(self.0.borrow().get(name).is_some_and(|value| *value > 0.0), "{name} never rose");
        }
    }
}

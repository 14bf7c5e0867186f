//! The map of slots in force, kept in the store: which shard holds which share of the readers. The first node that starts
//! makes it of the shards of its configuration; after that operators change it, and running nodes take it over.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use tributary_engine::limits::READER_SLOTS;
use tributary_engine::ports::Store;

use crate::assemble::{Share, SlotMap};
use crate::config::ShardNode;

/// The name under which the store keeps it.
const NOTE: &str = "slot_map";
/// How often a node looks for another map. One that goes by an old map reads and writes windows that are true wherever
/// they are, and costs its readers fills.
pub const POLL: Duration = Duration::from_secs(2);

/// The map in force; none where no node has started with shards yet.
///
/// # Errors
/// When the store does not answer, or holds something else under the map's name.
pub async fn in_force(store: &dyn Store) -> Result<Option<SlotMap>> {
    store.note(NOTE).await.context("the slot map cannot be read")?.as_deref().map(understood).transpose()
}

/// The map in force, made of `shards` where there is none.
///
/// # Errors
/// When the store does not answer.
pub async fn seeded(store: &dyn Store, shards: &[ShardNode]) -> Result<SlotMap> {
    let seed = serde_json::to_string(&of(1, shards)?)?;
    let agreed = store.agree_on_note(NOTE, &seed).await.context("the slot map cannot be read")?;
    understood(&agreed)
}

fn understood(note: &str) -> Result<SlotMap> {
    serde_json::from_str(note).context("the slot map in the store cannot be understood")
}

fn of(version: u64, shards: &[ShardNode]) -> Result<SlotMap> {
    let share = |shard: &ShardNode| Share { name: shard.name.as_str().into(), weight: shard.weight };
    SlotMap::new(version, shards.iter().map(share).collect()).context("[[shard]]")
}

async fn keep(store: &dyn Store, map: &SlotMap) -> Result<()> {
    store.set_note(NOTE, &serde_json::to_string(map)?).await.context("the slot map cannot be kept")
}

/// A map as it is printed, and what it would move or has moved.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Told {
    /// The map's version.
    pub version: u64,
    /// Its shards.
    pub shards: Vec<ToldShard>,
    /// Slots whose readers change their shard; none where nothing was asked to be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_slots: Option<usize>,
}

/// A shard of a map.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ToldShard {
    /// Its name.
    pub name: String,
    /// Its weight.
    pub weight: u32,
    /// Slots it holds, of 4,096.
    pub slots: usize,
    /// Slots it holds in the map before; where something was asked to be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slots_before: Option<usize>,
}

/// What is in force.
///
/// # Errors
/// When there is no map, or the store does not answer.
pub async fn show(store: &dyn Store) -> Result<Told> {
    let Some(map) = in_force(store).await? else {
        bail!("no slot map is in force: the first node that starts with [[shard]] makes one")
    };
    Ok(told(&map, None))
}

/// What putting `shards` in force would move, and with `apply` does.
///
/// # Errors
/// When `shards` are no map, or the store does not answer.
pub async fn change(store: &dyn Store, shards: &[ShardNode], apply: bool) -> Result<Told> {
    if shards.is_empty() {
        bail!("the configuration has no [[shard]]: windows are held in process, and there are no slots to share out");
    }
    let Some(before) = in_force(store).await? else {
        let map = of(1, shards)?;
        if apply {
            keep(store, &map).await?;
        }
        return Ok(told(&map, None));
    };
    let after = of(before.version() + 1, shards)?;
    if after.shards() == before.shards() {
        return Ok(told(&before, Some(&before)));
    }
    if apply {
        keep(store, &after).await?;
    }
    Ok(told(&after, Some(&before)))
}

fn told(map: &SlotMap, before: Option<&SlotMap>) -> Told {
    let slots_before = |name: &str| {
        let before = before?;
        let place = before.shards().iter().position(|share| &*share.name == name);
        Some(place.map_or(0, |place| before.counts()[place]))
    };
    let shards = map.shards().iter().zip(map.counts()).map(|(share, slots)| ToldShard {
        name: share.name.to_string(),
        weight: share.weight,
        slots,
        slots_before: slots_before(&share.name),
    });
    Told { version: map.version(), shards: shards.collect(), moved_slots: before.map(|before| before.moved(map).len()) }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "slot map, version {}", self.version)?;
        for ToldShard { name, weight, slots, slots_before } in &self.shards {
            let share = 100.0 * *slots as f64 / f64::from(READER_SLOTS);
            write!(f, "{name}: weight {weight}, {slots} slots ({share:.1} %)")?;
            match slots_before {
                Some(before) => writeln!(f, ", before {before}")?,
                None => writeln!(f)?,
            }
        }
        match self.moved_slots {
            Some(moved) => writeln!(f, "{moved} of {READER_SLOTS} slots move: their readers are filled when they come"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tributary_engine::embedded::EmbeddedStore;
    use tributary_engine::ports::Clock;

    use super::*;

    fn shards(shards: &[(&str, u32)]) -> Vec<ShardNode> {
        let shard = |&(name, weight): &(&str, u32)| ShardNode { name: name.into(), url: String::new(), weight };
        shards.iter().map(shard).collect()
    }

    #[tokio::test]
    async fn a_map_is_seeded_once_planned_and_applied() {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(folder.path(), Clock::System).unwrap();
        let (two, three) = (shards(&[("a", 1), ("b", 1)]), shards(&[("a", 1), ("b", 1), ("c", 2)]));
        assert!(show(&*store).await.is_err());
        assert_eq!(seeded(&*store, &two).await.unwrap().version(), 1);
        assert_eq!(seeded(&*store, &three).await.unwrap().shards().len(), 2, "the map in force counts");

        let planned = change(&*store, &three, false).await.unwrap();
        assert_eq!((planned.version, show(&*store).await.unwrap().version), (2, 1));
        let moved = planned.moved_slots.unwrap();
        assert_eq!(moved, planned.shards[2].slots, "slots move to the new shard only");
        assert!((1_800..2_300).contains(&moved), "about half of the weight: {moved}");
        assert_eq!(change(&*store, &three, true).await.unwrap(), planned);
        assert_eq!(show(&*store).await.unwrap().shards.len(), 3);
        let again = change(&*store, &three, true).await.unwrap();
        assert_eq!((again.version, again.moved_slots), (2, Some(0)), "what is in force makes no new version");
        assert!(change(&*store, &[], true).await.is_err());
    }
}

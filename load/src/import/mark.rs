//! How far an import has come, kept in the store's own notes after each batch (law 6: what is derived keeps its
//! position beside it). A batch whose mark was lost is repeated, which changes nothing (law 4).

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tributary_engine::ports::Store;

use crate::world::World;

/// The name of the note.
const NOTE: &str = "import";

/// What is being imported. In this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Users.
    Users,
    /// Follows.
    Follows,
    /// Posts.
    Posts,
    /// Nothing any more: the import is finished.
    Done,
}

/// A place in an import.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mark {
    /// The world's identity.
    pub world: String,
    /// What is being imported.
    pub phase: Phase,
    /// Records of that which are in the store.
    pub done: u64,
}

impl Mark {
    /// Where the import of `world` into `store` goes on, or begins.
    ///
    /// # Errors
    /// When the store holds something else: another world, whole or in part, or people who are not of any world.
    pub async fn load(store: &dyn Store, world: &World) -> Result<Self> {
        let identity = world.identity();
        let note = store.note(NOTE).await.context("asking the store for an earlier import")?;
        let Some(note) = note else {
            if store.has_users().await.context("asking the store for users")? {
                bail!("the store already has users: a world is imported into an empty store");
            }
            let mark = Self { world: identity, phase: Phase::Users, done: 0 };
            mark.save(store).await?;
            return Ok(mark);
        };
        let mark: Self = serde_json::from_str(&note).context("the store's note of an earlier import is malformed")?;
        if mark.world != identity {
            let what = if mark.phase == Phase::Done { "holds another world" } else { "holds part of another world" };
            bail!("the store {what} ({}, not {identity}): use an empty store", mark.world);
        }
        Ok(mark)
    }

    /// Keeps it in the store, durably, and with it everything that was imported before.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn save(&self, store: &dyn Store) -> Result<()> {
        let note = serde_json::to_string(self).context("writing the import's note")?;
        store.set_note(NOTE, &note).await.context("noting in the store how far the import has come")
    }
}

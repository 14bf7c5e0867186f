//! PostgreSQL goes back to an older backup: a new history begins, and what was acknowledged after the backup never
//! happened. Either under nodes that live on with their caches, or while no node is there to notice.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::common::say;
use crate::faults::any_moment;
use crate::ledger::Ledger;
use crate::nodes::{Node, copy};
use crate::world::World;

/// A copy of the server's files, and what was true then.
pub struct Backup {
    folder: PathBuf,
    ledger: Ledger,
    epoch: i64,
}

const EPOCH: &str = "SELECT id FROM epoch";

impl Backup {
    /// Takes a backup. Nothing may be written meanwhile.
    pub async fn take(world: &World) -> Self {
        let folder = world.services.folder.join("postgres.backup");
        let epoch = world.number(EPOCH).await;
        world.weather.store.goes();
        world.services.deed("stop", &["postgres"]).await;
        remove(&folder);
        copy(&data(world), &folder).await;
        world.services.deed("start", &["postgres"]).await;
        world.until_ready().await;
        world.weather.store.is_back();
        Self { folder, ledger: world.ledger.borrow().clone(), epoch }
    }

    /// Puts the backup in place of what is there, while clients write posts. Whatever they were told before is undone;
    /// what they are told afterwards stands.
    pub async fn restore_under_load(self, world: &World, rng: &mut fastrand::Rng) {
        world.posts_only.set(true);
        world.until("only posts are written", async || (world.others_under_way.get() == 0).then_some(())).await;
        world.weather.store.goes();
        let epoch = self.epoch;
        self.put_in_place(world, rng).await;
        let new = async || {
            let row = world.services.sql(&world.nodes.database, EPOCH).await.ok()?;
            (row[0].get(0)? != epoch.to_string()).then_some(())
        };
        world.until("the history has a new epoch", new).await;
        for node in 0..2 {
            // A node that still knew the old history would be ahead of the store.
            let follows = async || {
                let position = world.status(node).await?["position"].as_i64()?;
                let last = world.number("SELECT numbered FROM log_positions").await;
                (position <= last).then_some(())
            };
            world.until(&format!("api-{node} follows the new history"), follows).await;
        }
        world.until_ready().await;
        world.weather.store.is_back();
        world.weather.changing.set(false);
        // The new history grows while only posts are written, then by all that there is.
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.posts_only.set(false);
    }

    /// Puts the backup in place of what is there, while no node runs. Nothing may be written meanwhile.
    pub async fn restore_unseen(self, world: &World, rng: &mut fastrand::Rng) {
        world.nodes.all().for_each(Node::kill);
        let epoch = self.epoch;
        self.put_in_place(world, rng).await;
        for node in world.nodes.all() {
            node.start().await;
        }
        world.weather.changing.set(false);
        assert_ne!(world.number(EPOCH).await, epoch, "the log bears witness that this is another history");
    }

    async fn put_in_place(self, world: &World, rng: &mut fastrand::Rng) {
        world.services.deed("stop", &["postgres"]).await;
        any_moment(rng, 500).await;
        world.weather.changing.set(true);
        world.weather.restored.set(world.weather.restored.get() + 1);
        let posts = |ledger: &Ledger| ledger.truth.post_ids().len();
        world.ledger.replace_with(|now| {
            say(format!("  {} posts never happened", posts(now).saturating_sub(posts(&self.ledger))));
            self.ledger.goes_on_after(now)
        });
        world.acknowledged.borrow_mut().clear();
        let old = world.services.folder.join("postgres.old");
        std::fs::rename(data(world), &old).unwrap();
        std::fs::rename(&self.folder, data(world)).unwrap();
        world.services.deed("start", &["postgres"]).await;
        remove(&old);
    }
}

fn data(world: &World) -> PathBuf {
    world.services.folder.join("postgres")
}

fn remove(folder: &Path) {
    if folder.exists() {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

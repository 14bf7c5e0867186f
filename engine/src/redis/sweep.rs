//! Sweeping one Redis, in small steps with pauses: strings without a fill that an append could not remove itself (its
//! reply was lost), and windows of readers that the slot map has given to another server. What nobody reads, Redis
//! forgets by itself.

use std::time::Duration;

use redis::{cmd, pipe};

use super::error::NodeError;
use super::node::RedisNode;
use crate::model::UserId;

/// Keys looked at in one step: half a millisecond of the server's.
const STEP_KEYS: usize = 500;
/// Between two steps, so that readers come first.
const PAUSE: Duration = Duration::from_millis(10);

impl RedisNode {
    /// Looks at all windows once. Those of readers that this server does not hold are removed.
    pub async fn sweep(&self, holds: impl Fn(UserId) -> bool) -> Result<(), NodeError> {
        let (mut cursor, pattern) = (0_u64, self.keys.all_windows());
        loop {
            let mut step = pipe();
            step.add_command(cmd("SCAN")).arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(STEP_KEYS);
            let ((next, keys),): ((u64, Vec<Vec<u8>>),) = self.call(&step).await?;
            let mut drops = pipe();
            for key in &keys {
                match self.keys.reader(key) {
                    // Removes it at once, unless it has a time to live, which every fill has.
                    Some(reader) if holds(reader) => drops.cmd("PEXPIRE").arg(key).arg(0).arg("NX"),
                    Some(_) => drops.cmd("UNLINK").arg(key),
                    None => continue,
                };
            }
            if !drops.is_empty() {
                self.call::<Vec<u64>>(&drops).await?;
            }
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

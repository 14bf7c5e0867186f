//! Bringing an L1 window forward through the ring (laws 2 and 4): at the cost of what is new.

use std::sync::Arc;

use futures::future::try_join_all;

use super::Reads;
use crate::cache::{HomeSlot, View};
use crate::limits::{LATE_FOLLOWEES, WINDOW_ENTRIES};
use crate::model::{Position, PostId, UserId};
use crate::ports::StoreError;

/// A window at the present.
pub(super) struct Present {
    pub slot: Arc<HomeSlot>,
    /// Complete up to here.
    pub position: Position,
    /// What the ring has just given.
    pub ring: Vec<PostId>,
    /// What streams of late followees have just given.
    pub streams: Vec<PostId>,
}

impl Reads {
    /// The reader's window, complete up to the ring's position for the follows of `view`.
    pub(super) async fn present(
        &self,
        reader: UserId,
        mut slot: Arc<HomeSlot>,
        view: &View,
    ) -> Result<Present, StoreError> {
        loop {
            if let Some(present) = self.bring_forward(reader, slot, view).await? {
                return Ok(present);
            }
            // Behind the ring's floor, or too many late followees: filled again.
            self.tier.windows.invalidate(reader);
            slot = self.slot(reader).await?;
        }
    }

    /// None where the window must be filled again.
    async fn bring_forward(
        &self,
        reader: UserId,
        slot: Arc<HomeSlot>,
        view: &View,
    ) -> Result<Option<Present>, StoreError> {
        loop {
            let snapshot = self.tier.ring.snapshot();
            let (position, stamp, floor) = {
                let run = slot.run();
                (run.position(), run.stamp(), run.floor())
            };
            let late = view.late(stamp);
            if late.len() > LATE_FOLLOWEES {
                return Ok(None);
            }
            let Ok(recent) = snapshot.newest(&view.authors, position, WINDOW_ENTRIES) else { return Ok(None) };
            if late.is_empty() && recent.ids.is_empty() && position >= snapshot.position && stamp == view.follow.stamp {
                return Ok(Some(Present { slot, position, ring: Vec::new(), streams: Vec::new() }));
            }
            let streams = try_join_all(late.into_iter().map(|author| self.tier.stream(author, floor))).await?;
            let mut streamed = Vec::new();
            for stream in &streams {
                streamed.extend_from_slice(&stream.ids);
            }
            let below = streams.iter().map(|stream| stream.floor).fold(recent.floor, PostId::max);
            let mut ids = [&recent.ids[..], &streamed[..]].concat();
            ids.sort_unstable_by(|a, b| b.cmp(a));
            ids.dedup();

            let grown = {
                let mut run = slot.run();
                if (run.position(), run.stamp()) != (position, stamp) {
                    // Another request of this reader was faster: what it made is brought forward instead.
                    continue;
                }
                run.advance(&ids, below, position.max(snapshot.position), view.follow.stamp)
            };
            if grown {
                self.tier.windows.insert(reader, slot.clone());
            }
            self.save_if_due(reader, &slot, &snapshot);
            let position = position.max(snapshot.position);
            return Ok(Some(Present { slot, position, ring: recent.ids, streams: streamed }));
        }
    }
}

//! Appends to one Redis: blind, in bounded pipelines, their replies checked.
//!
//! `APPEND` alone costs half of what a script costs that looks first whether there is a window. It replies the new
//! length, so what it did is known afterwards: a length equal to the segment's means that there was no window, and
//! the segment made a string without a fill. `PEXPIRE key 0 NX` removes that: at once, and only if it has no time to
//! live, which every fill has; so a fill that came in between stays.

use super::error::NodeError;
use super::node::RedisNode;
use super::wire::Commands;
use crate::limits::{PIPELINE_BYTES, PIPELINE_COMMANDS, REDIS_CONNECTIONS, WINDOW_STRING_BYTES};
use crate::model::UserId;

/// Pipelines in flight for one server. All segments of a reader take one lane, and a lane's pipelines are sent one
/// after another: that keeps their order. While one is answered, others are written and read.
pub(super) const LANES: usize = REDIS_CONNECTIONS as usize;

/// The lane of a reader. Other bits than those of the slot, so that every lane has its share.
pub(super) fn lane(reader: UserId) -> usize {
    (reader.spread() >> 40) as usize % LANES
}

impl RedisNode {
    /// Appends the segments of one lane.
    ///
    /// # Errors
    /// The first that the server said. What came after a failed pipeline is left out: the server would not do better.
    pub async fn append(&self, mut segments: &[(UserId, &[u8])]) -> Result<(), NodeError> {
        let (mut drops, mut refused) = (Vec::new(), None);
        let (mut commands, mut key) = (Commands::default(), Vec::new());
        while !segments.is_empty() || !drops.is_empty() {
            let (now, later) = segments.split_at(pipeline_length(segments));
            segments = later;
            commands.clear();
            let dropped = drops.len();
            for (reader, why) in drops.drain(..) {
                self.keys.write_window(reader, &mut key);
                match why {
                    Why::NoFill => commands.push(&[b"PEXPIRE", &key, b"0", b"NX"]),
                    // Should a new fill have come in between, it is lost: work, no more.
                    Why::TooLong => commands.push(&[b"UNLINK", &key]),
                }
            }
            for &(reader, segment) in now {
                self.keys.write_window(reader, &mut key);
                commands.push(&[b"APPEND", &key, segment]);
            }
            let replies = self.exchange(&commands).await?;
            for (&(reader, segment), reply) in now.iter().zip(replies.into_iter().skip(dropped)) {
                match reply {
                    Ok(length) if length == segment.len() as u64 => drops.push((reader, Why::NoFill)),
                    Ok(length) if length > WINDOW_STRING_BYTES as u64 => drops.push((reader, Why::TooLong)),
                    Ok(_) => {}
                    // One reader's error must not hide the others' replies.
                    Err(error) => refused = refused.or(Some(NodeError::Refused(error))),
                }
            }
        }
        refused.map_or(Ok(()), Err)
    }
}

/// Why a string is dropped.
#[derive(Clone, Copy)]
enum Why {
    NoFill,
    /// Nobody has read (and so folded) it for long.
    TooLong,
}

/// How many of the segments the next pipeline takes: at least one, if there is one.
fn pipeline_length(segments: &[(UserId, &[u8])]) -> usize {
    let mut bytes = 0;
    let fits = |(_, segment): &&(UserId, &[u8])| {
        let before = bytes;
        bytes += segment.len();
        before == 0 || bytes <= PIPELINE_BYTES
    };
    segments.iter().take(PIPELINE_COMMANDS).take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipelines_are_bounded_and_every_segment_gets_into_one() {
        let (small, large) = (vec![0; 10], vec![0; PIPELINE_BYTES + 1]);
        let lengths = |segments: &[&[u8]]| {
            let segments: Vec<(UserId, &[u8])> = segments.iter().map(|&segment| (UserId(1), segment)).collect();
            let (mut rest, mut lengths) = (&segments[..], Vec::new());
            while !rest.is_empty() {
                lengths.push(pipeline_length(rest));
                rest = &rest[lengths[lengths.len() - 1]..];
            }
            lengths
        };
        assert_eq!(lengths(&[]), [0; 0]);
        assert_eq!(lengths(&[&small, &large, &large, &small]), [1, 1, 1, 1]);
        assert_eq!(lengths(&vec![&small[..]; 2 * PIPELINE_COMMANDS + 1]), [PIPELINE_COMMANDS, PIPELINE_COMMANDS, 1]);
        assert_eq!(lengths(&[&[][..]; 5]), [5]);
    }

    #[test]
    fn lanes_are_used_evenly_whatever_the_slot() {
        let mut counts = [[0_u32; LANES]; 2];
        for id in 0..60_000 {
            let reader = UserId(id << 12);
            counts[usize::from(reader.slot() % 2)][lane(reader)] += 1;
        }
        assert!(counts.iter().flatten().all(|count| (9_000..11_000).contains(count)), "{counts:?}");
    }
}

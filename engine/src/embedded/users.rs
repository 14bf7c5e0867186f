//! Making users, inside the transaction.

use redb::ReadableTable;

use super::codec::UserRow;
use super::fault::Fault;
use super::writing::{Need, Writing};
use crate::limits::LOGICAL_SHARDS;
use crate::model::{Handle, PostId, User, UserId};

/// The user with this handle, made if there is none.
pub(super) fn make(w: &mut Writing<'_>, handle: &Handle, name: &str) -> Result<User, Fault> {
    let known = w.handles.get(handle.as_str())?.map(|id| UserId(id.value()));
    if let Some(id) = known {
        let row = w.user(id)?.ok_or(Fault::Malformed("a handle names an unknown user"))?;
        return Ok(row.user(id));
    }
    // FNV-1a: handles spread over the logical shards, the same on every machine.
    let hash = handle
        .as_str()
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    let shard = (hash % u64::from(LOGICAL_SHARDS)) as u16;
    let mut id = UserId::new(w.now, shard, 0);
    while w.users.get(id.0)?.is_some() {
        // The same scheme as a post's: the next sequence, else the next millisecond.
        id = UserId(PostId::after(PostId(id.0), w.now, shard).0);
    }
    let row = UserRow::new(handle.clone(), name);
    w.put_user(id, &row)?;
    w.handles.insert(handle.as_str(), id.0)?;
    w.must(Need::Durable);
    Ok(row.user(id))
}

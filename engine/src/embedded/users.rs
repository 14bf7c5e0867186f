//! Making users, inside the transaction.

use redb::ReadableTable;

use super::codec::UserRow;
use super::fault::Fault;
use super::writing::{Need, Writing};
use crate::limits::LOGICAL_SHARDS;
use crate::model::{Handle, Identity, PostId, User, UserId};

/// The user with this handle, made if there is none.
pub(super) fn make(w: &mut Writing<'_>, handle: &Handle, name: &str) -> Result<User, Fault> {
    let known = w.handles.get(handle.as_str())?.map(|id| UserId(id.value()));
    match known {
        Some(id) => Ok(w.user(id)?.ok_or(Fault::Malformed("a handle names an unknown user"))?.user(id)),
        None => insert(w, handle, name),
    }
}

/// The user of this identity; at its first sight a new one with the first of `handles` that is free. None: none is.
pub(super) fn of_identity(
    w: &mut Writing<'_>,
    identity: &Identity,
    handles: &[Handle],
    name: &str,
) -> Result<Option<User>, Fault> {
    if let Some(user) = linked(w, identity)? {
        return Ok(Some(user));
    }
    for handle in handles {
        if w.handles.get(handle.as_str())?.is_none() {
            let user = insert(w, handle, name)?;
            w.subjects.insert((&*identity.provider, &*identity.subject), user.card.id.0)?;
            return Ok(Some(user));
        }
    }
    Ok(None)
}

/// Makes an identity that is nobody's one of the user's; whose it is then.
pub(super) fn link(w: &mut Writing<'_>, identity: &Identity, user: UserId) -> Result<Option<User>, Fault> {
    if let Some(holder) = linked(w, identity)? {
        return Ok(Some(holder));
    }
    let Some(row) = w.user(user)? else { return Ok(None) };
    w.subjects.insert((&*identity.provider, &*identity.subject), user.0)?;
    w.must(Need::Durable);
    Ok(Some(row.user(user)))
}

fn linked(w: &Writing<'_>, identity: &Identity) -> Result<Option<User>, Fault> {
    let known = w.subjects.get((&*identity.provider, &*identity.subject))?.map(|id| UserId(id.value()));
    let Some(id) = known else { return Ok(None) };
    Ok(Some(w.user(id)?.ok_or(Fault::Malformed("an identity is of an unknown user"))?.user(id)))
}

/// Makes a user with a handle that is free.
fn insert(w: &mut Writing<'_>, handle: &Handle, name: &str) -> Result<User, Fault> {
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

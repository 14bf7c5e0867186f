//! Commands about posts, inside their transaction: publish, remove, like, unlike.
//! A post's channel is chosen here, once, by the author's heat (law 3).

use redb::ReadableTable;

use super::codec::PostRow;
use super::commands::Stop;
use super::fault::Fault;
use super::relations::blocked_either_way;
use super::writing::Writing;
use crate::model::{Channel, Event, Outcome, Post, PostId, Rejection, UserId};

pub(super) fn publish(w: &mut Writing<'_>, author: UserId, text: &str) -> Result<Outcome, Stop> {
    let mut row = w.user(author)?.ok_or(Rejection::UnknownUser)?;
    let id = new_id(w, author, row.last_post)?;
    row.heat = w.heat_at_post(author, &row, id)?;
    row.last_post = id;
    let channel = row.heat.channel();
    w.put_user(author, &row)?;
    w.posts.insert(id.0, PostRow { author, channel, text }.encode().as_slice())?;
    w.posts_by.insert((author.0, id.0), ())?;
    if channel == Channel::Pull {
        w.pull_authors.insert(author.0, id.0)?;
    }
    let audience = u32::try_from(row.followers).unwrap_or(u32::MAX);
    w.emit(Event::Posted { post: id, author, channel, audience })?;
    let post = Post { id, author: row.card(author), text: text.into(), likes: 0 };
    Ok(Outcome::Posted { post, channel })
}

/// An id above the author's last and unlike any other of the shard, though a shard's authors share milliseconds.
fn new_id(w: &mut Writing<'_>, author: UserId, last: PostId) -> Result<PostId, Fault> {
    let shard = author.shard();
    let used = w.last_ids.get(shard)?.map_or(PostId::MIN, |id| PostId(id.value()));
    let mut id = PostId::after(last.max(used), w.now, shard);
    while w.posts.get(id.0)?.is_some() {
        // An imported post of another author.
        id = PostId::after(id, w.now, shard);
    }
    w.last_ids.insert(shard, id.0)?;
    Ok(id)
}

/// The post's author, unless the post is unknown or removed.
fn author_of(w: &Writing<'_>, post: PostId) -> Result<UserId, Stop> {
    let row = w.posts.get(post.0)?.ok_or(Rejection::UnknownPost)?;
    Ok(PostRow::decode(row.value())?.author)
}

pub(super) fn remove(w: &mut Writing<'_>, actor: UserId, post: PostId) -> Result<(), Stop> {
    let author = author_of(w, post)?;
    if author != actor {
        let hidden = blocked_either_way(w, actor, author)?;
        return Err(if hidden { Rejection::UnknownPost } else { Rejection::NotAuthor }.into());
    }
    w.posts.remove(post.0)?;
    w.posts_by.remove((author.0, post.0))?;
    w.like_counts.remove(post.0)?;
    w.emit(Event::Removed { post, author })?;
    Ok(())
}

pub(super) fn like(w: &mut Writing<'_>, user: UserId, post: PostId) -> Result<(), Stop> {
    if w.users.get(user.0)?.is_none() {
        return Err(Rejection::UnknownUser.into());
    }
    let author = author_of(w, post)?;
    if blocked_either_way(w, user, author)? {
        return Err(Rejection::UnknownPost.into());
    }
    if w.likes.insert((user.0, post.0), ())?.is_none() {
        let likes = count(w, post)? + 1;
        w.like_counts.insert(post.0, likes)?;
        w.emit(Event::Liked { user, post, likes })?;
    }
    Ok(())
}

pub(super) fn unlike(w: &mut Writing<'_>, user: UserId, post: PostId) -> Result<(), Stop> {
    let liked = w.likes.remove((user.0, post.0))?.is_some();
    // Likes outlive a removed post; its counter does not.
    if liked && w.posts.get(post.0)?.is_some() {
        let likes = count(w, post)?.saturating_sub(1);
        w.like_counts.insert(post.0, likes)?;
        w.emit(Event::Unliked { user, post, likes })?;
    }
    Ok(())
}

fn count(w: &Writing<'_>, post: PostId) -> Result<u64, Fault> {
    Ok(w.like_counts.get(post.0)?.map_or(0, |count| count.value()))
}

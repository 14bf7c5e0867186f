//! What is true, asked in all the ways in which an engine or a store tells it.

use std::collections::BTreeSet;

use super::{Truth, Written};
use crate::model::{AuthorState, Channel, Post, PostId, TuningSettings, UserId};

impl Truth {
    /// The whole home timeline of `reader`, newest first (law 1).
    pub fn home(&self, reader: UserId) -> Vec<PostId> {
        self.newest_first(|author| {
            (author == reader || self.follows.contains(&(reader, author)))
                && !self.mutes.contains(&(reader, author))
                && self.unblocked(reader, author)
        })
    }

    /// As [`home`](Self::home), whatever is muted or blocked.
    pub fn home_all(&self, reader: UserId) -> Vec<PostId> {
        self.newest_first(|author| author == reader || self.follows.contains(&(reader, author)))
    }

    /// An author's posts, newest first.
    pub fn posts_by(&self, author: UserId) -> Vec<PostId> {
        self.newest_first(|writer| writer == author)
    }

    /// A post as anyone sees it; none if it is unknown or removed.
    pub fn post(&self, id: PostId) -> Option<Post> {
        let Written { author, text, .. } = self.posts.get(&id)?;
        Some(Post { id, author: self.users[author].card.clone(), text: text.clone(), likes: self.likes(id) })
    }

    /// A post as `caller` sees it: none also where a block either way hides it.
    pub fn visible_post(&self, caller: UserId, id: PostId) -> Option<Post> {
        self.visible_author(caller, id)?;
        self.post(id)
    }

    /// The channel of a post that exists.
    pub fn channel(&self, id: PostId) -> Option<Channel> {
        self.posts.get(&id).map(|post| post.channel)
    }

    /// How many like a post.
    pub fn likes(&self, post: PostId) -> u64 {
        self.likes.range((post, UserId(0))..=(post, UserId(u64::MAX))).count() as u64
    }

    /// What `user` likes, highest ids first.
    pub fn likes_of(&self, user: UserId) -> Vec<PostId> {
        self.likes.iter().rev().filter(|&&(_, who)| who == user).map(|&(post, _)| post).collect()
    }

    /// Who follows `user`, by rising id.
    pub fn followers(&self, user: UserId) -> Vec<UserId> {
        self.follows.iter().filter(|&&(_, followee)| followee == user).map(|&(follower, _)| follower).collect()
    }

    /// Whom `user` follows, by rising id.
    pub fn following(&self, user: UserId) -> Vec<UserId> {
        second(&self.follows, user)
    }

    /// Whom `user` mutes, by rising id.
    pub fn mutes(&self, user: UserId) -> Vec<UserId> {
        second(&self.mutes, user)
    }

    /// Whom `user` blocks, by rising id.
    pub fn blocks(&self, user: UserId) -> Vec<UserId> {
        second(&self.blocks, user)
    }

    /// Who blocks `user`, by rising id.
    pub fn blocked_by(&self, user: UserId) -> Vec<UserId> {
        self.blocks.iter().filter(|&&(_, blocked)| blocked == user).map(|&(blocker, _)| blocker).collect()
    }

    /// Every user, by rising id.
    pub fn user_ids(&self) -> Vec<UserId> {
        self.users.keys().copied().collect()
    }

    /// Every post that exists, by rising id.
    pub fn post_ids(&self) -> Vec<PostId> {
        self.posts.keys().copied().collect()
    }

    /// Every author that ever posted on pull, with its newest pull post, though it be removed by now.
    pub fn pull_authors(&self) -> Vec<(UserId, PostId)> {
        self.newest_pull.iter().map(|(&author, &post)| (author, post)).collect()
    }

    /// The present version of the tuning.
    pub fn version(&self) -> u64 {
        self.tunings.len() as u64
    }

    /// The present tuning.
    pub fn tuning(&self) -> TuningSettings {
        *self.tunings.last().expect("there is a tuning from the start")
    }

    /// An author as operators see it, its heat reckoned against the present tuning.
    pub fn author(&self, id: UserId) -> Option<AuthorState> {
        let person = self.users.get(&id)?;
        let followers = self.followers(id).len() as u64;
        let heat = person.heat.with_followers(followers, &self.tuning());
        Some(AuthorState { card: person.card.clone(), followers, heat })
    }
}

fn second(pairs: &BTreeSet<(UserId, UserId)>, first: UserId) -> Vec<UserId> {
    pairs.range((first, UserId(0))..=(first, UserId(u64::MAX))).map(|&(_, second)| second).collect()
}

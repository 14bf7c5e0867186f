//! The ledger: the commands of a run with the time when each was sent and when it was acknowledged. What verification
//! does not need is not kept.

use std::time::Instant;

use rustc_hash::{FxHashMap, FxHashSet};
use tributary_engine::model::{PostId, UserId};

use super::{Reader, Sample, text_hash};

/// Posts that can be removed: the newest so many of the run.
const REMOVABLE_MAX: usize = 4_096;

/// From when a command was sent to when it was acknowledged; without that, nobody knows whether it was done.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Span {
    /// Before it was sent.
    pub sent: Instant,
    /// After its acknowledgement came.
    pub acked: Option<Instant>,
}

impl Span {
    fn begins() -> Self {
        Self { sent: Instant::now(), acked: None }
    }
}

/// A follow or unfollow by a sampled reader.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FollowCommand {
    /// Who was followed or unfollowed.
    pub author: UserId,
    /// Which of the two.
    pub follows: bool,
    /// When.
    pub span: Span,
}

/// What was commanded in a run.
#[derive(Default)]
pub struct Ledger {
    /// Authors whose posts are kept.
    watched: FxHashSet<UserId>,
    /// Acknowledged posts by watched authors.
    posts: FxHashMap<UserId, Vec<(PostId, Span)>>,
    removals: FxHashMap<PostId, Span>,
    follows: FxHashMap<UserId, Vec<FollowCommand>>,
    /// Posts of which nobody knows whether they were written: author and text.
    doubtful: FxHashSet<(UserId, u64)>,
    removable: Vec<(u32, PostId)>,
}

impl Ledger {
    /// An empty one, that keeps what matters to the sampled readers.
    pub fn new(sample: &Sample) -> Self {
        let follows = sample.readers.iter().map(|reader| (reader.id, Vec::new())).collect();
        Self { watched: sample.posts.keys().copied().collect(), follows, ..Self::default() }
    }

    /// A post was acknowledged just now. `user` is its author's index.
    pub fn posted(&mut self, user: u32, author: UserId, id: PostId, sent: Instant) {
        if self.watched.contains(&author) {
            self.posts.entry(author).or_default().push((id, Span { sent, acked: Some(Instant::now()) }));
        }
        if self.removable.len() == REMOVABLE_MAX {
            self.removable.remove(0);
        }
        self.removable.push((user, id));
    }

    /// Nobody knows whether a post was written.
    pub fn maybe_posted(&mut self, author: UserId, text: &str) {
        if self.watched.contains(&author) {
            self.doubtful.insert((author, text_hash(text)));
        }
    }

    /// Chooses a post to remove, with its author's index. It will not be chosen again.
    pub fn choose_removal(&mut self, dice: u64) -> Option<(u32, PostId)> {
        let place = (dice as usize).checked_rem(self.removable.len())?;
        Some(self.removable.swap_remove(place))
    }

    /// A removal is about to be sent.
    pub fn removing(&mut self, post: PostId) {
        self.removals.insert(post, Span::begins());
    }

    /// A removal was acknowledged just now.
    pub fn removed(&mut self, post: PostId) {
        if let Some(span) = self.removals.get_mut(&post) {
            span.acked = Some(Instant::now());
        }
    }

    /// A removal was refused: the post stays.
    pub fn kept(&mut self, post: PostId) {
        self.removals.remove(&post);
    }

    /// Whether somebody tried to remove a post.
    pub fn may_be_removed(&self, post: PostId) -> bool {
        self.removals.contains_key(&post)
    }

    /// Whether a reader is sampled, and has a follow or unfollow on its way: then there must not be another, lest
    /// nobody knows which came last.
    pub fn has_follow_in_flight(&self, reader: UserId) -> bool {
        self.follows_of(reader).last().is_some_and(|last| last.span.acked.is_none())
    }

    /// A follow or unfollow is about to be sent.
    pub fn following(&mut self, reader: UserId, author: UserId, follows: bool) {
        if let Some(commands) = self.follows.get_mut(&reader) {
            commands.push(FollowCommand { author, follows, span: Span::begins() });
        }
    }

    /// The last follow or unfollow of a reader was acknowledged just now.
    pub fn followed(&mut self, reader: UserId) {
        if let Some(last) = self.follows.get_mut(&reader).and_then(|commands| commands.last_mut()) {
            last.span.acked = Some(Instant::now());
        }
    }

    /// The last follow or unfollow of a reader was refused: nothing has changed.
    pub fn not_followed(&mut self, reader: UserId) {
        if let Some(commands) = self.follows.get_mut(&reader) {
            commands.pop();
        }
    }

    /// The posts of a watched author.
    pub fn posts_of(&self, author: UserId) -> &[(PostId, Span)] {
        self.posts.get(&author).map_or(&[], Vec::as_slice)
    }

    /// The removal of a post.
    pub fn removal(&self, post: PostId) -> Option<Span> {
        self.removals.get(&post).copied()
    }

    /// The follows and unfollows of a sampled reader, in their order.
    pub fn follows_of(&self, reader: UserId) -> &[FollowCommand] {
        self.follows.get(&reader).map_or(&[], Vec::as_slice)
    }

    /// Whether a sampled reader follows somebody, if all that was sent was done.
    pub fn is_followed(&self, reader: &Reader, author: UserId) -> bool {
        let last = self.follows_of(reader.id).iter().rev().find(|command| command.author == author);
        last.map_or_else(|| reader.follows.binary_search(&author).is_ok(), |command| command.follows)
    }

    /// Whom a sampled reader was made to follow or unfollow against what the world says, if all that was sent was done.
    pub fn changed_follows(&self, reader: &Reader) -> Vec<(UserId, bool)> {
        let mut authors: Vec<UserId> = self.follows_of(reader.id).iter().map(|command| command.author).collect();
        authors.sort_unstable();
        authors.dedup();
        let now = authors.into_iter().map(|author| (author, self.is_followed(reader, author)));
        now.filter(|(author, follows)| reader.follows.binary_search(author).is_ok() != *follows).collect()
    }

    /// Whether such a post may have been written.
    pub fn is_doubtful(&self, author: UserId, text: u64) -> bool {
        self.doubtful.contains(&(author, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_is_chosen_for_removal_once() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.choose_removal(7), None);
        for id in 1..=REMOVABLE_MAX as u64 + 1 {
            ledger.posted(3, UserId(9), PostId(id), Instant::now());
        }
        let chosen: FxHashSet<_> = std::iter::from_fn(|| ledger.choose_removal(5)).collect();
        assert_eq!(chosen.len(), REMOVABLE_MAX);
        assert!(!chosen.contains(&(3, PostId(1))), "the oldest made room");
        // Nobody watches this author.
        assert!(ledger.posts_of(UserId(9)).is_empty());
    }
}

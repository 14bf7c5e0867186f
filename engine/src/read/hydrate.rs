//! Hydration and rules: ids become rendered posts, and what the reader may not see is left out (law 5).

use std::sync::Arc;

use super::Reads;
use crate::cache::{HomeSlot, RenderedPost, View};
use crate::model::{PostId, UserId};
use crate::ports::StoreError;

impl Reads {
    /// The posts with these ids; none where one was removed. The ids are such that once existed.
    pub(super) async fn hydrate(&self, ids: &[PostId]) -> Result<Vec<Option<Arc<RenderedPost>>>, StoreError> {
        let tier = self.tier.clone();
        let load = |missing: Vec<PostId>| async move {
            // Before the counters are read, so that later news of them is not passed over.
            let position = tier.ring.position();
            let posts = tier.store.posts(&missing).await?;
            Ok(posts.iter().map(|post| post.as_ref().map(|post| Arc::new(RenderedPost::new(post, position)))).collect())
        };
        self.tier.posts.get_or_load_all(ids, load).await
    }

    /// Those of the posts that belong on the first page of `slot`'s reader, in their order: what was on the page before
    /// is found where it lies.
    pub(super) async fn visible_first(
        &self,
        reader: UserId,
        view: &Arc<View>,
        slot: &HomeSlot,
        ids: &[PostId],
    ) -> Result<Vec<Arc<RenderedPost>>, StoreError> {
        let mut page = slot.page.recall(view, ids, self.tier.posts.marks());
        let missing: Vec<usize> = (0..ids.len()).filter(|&n| page[n].post.is_none()).collect();
        self.tier.posts.count(ids.len() - missing.len(), 0);
        if !missing.is_empty() {
            let wanted: Vec<PostId> = missing.iter().map(|&n| ids[n]).collect();
            for (n, post) in missing.into_iter().zip(self.hydrate(&wanted).await?) {
                page[n].post = post.filter(|post| view.follow.shows(reader, post.author()));
            }
            slot.page.remember(view, &page);
        }
        Ok(page.into_iter().filter_map(|marked| marked.post).collect())
    }

    /// Those of the posts that belong into the reader's timeline, in their order.
    pub(super) async fn visible(
        &self,
        reader: UserId,
        view: &View,
        ids: &[PostId],
    ) -> Result<Vec<Arc<RenderedPost>>, StoreError> {
        let posts = self.hydrate(ids).await?;
        Ok(posts.into_iter().flatten().filter(|post| view.follow.shows(reader, post.author())).collect())
    }

    /// Which of these posts the reader likes, in their order.
    pub(super) async fn liked(
        &self,
        reader: UserId,
        slot: Option<&HomeSlot>,
        posts: impl Iterator<Item = PostId>,
    ) -> Result<Vec<PostId>, StoreError> {
        let recent = self.tier.likes_beside(reader, slot).await?;
        let (mut liked, mut unknown) = (Vec::new(), Vec::new());
        let posts: Vec<PostId> = posts.collect();
        for &post in &posts {
            match recent.likes(post) {
                Some(true) => liked.push(post),
                Some(false) => {}
                None => unknown.push(post),
            }
        }
        if !unknown.is_empty() {
            liked.extend(self.tier.store.liked(reader, &unknown).await?);
            liked.retain(|id| posts.contains(id));
            liked.sort_unstable_by(|a, b| b.cmp(a));
        }
        Ok(liked)
    }
}

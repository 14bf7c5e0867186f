//! A page of the popular posts. The first takes this node's ranking; its cursor holds what is left of that ranking, so
//! that the pages after it are of the same one, on any node, whatever is liked meanwhile. Rests on law 5.

use std::sync::Arc;

use super::{Page, PageRequest, ReadError, Reads};
use crate::cache::RenderedPost;
use crate::limits::POPULAR_POSTS;
use crate::model::{PostId, UserId};
use crate::timeline::packed::{pack_unordered, unordered_bytes, unpack_unordered};
use crate::timeline::{ListId, token_chars};

/// Characters of a cursor of popular posts at the most. One of 480 posts of three days has 3,702.
pub const POPULAR_CURSOR_CHARS: usize = token_chars(unordered_bytes(POPULAR_POSTS));

impl Reads {
    /// A page of the popular posts, the best first. A caller does not see whom they mute, and nobody sees whom a block
    /// either way hides; a guest sees all.
    ///
    /// # Errors
    /// [`ReadError::BadCursor`], or [`ReadError::Unavailable`] where the store is gone and the caches do not have it.
    pub async fn popular(
        &self,
        caller: Option<UserId>,
        page: &PageRequest,
    ) -> Result<Page<Arc<RenderedPost>>, ReadError> {
        let ranking = match &page.cursor {
            None => self.tier.popular.ranking().best(POPULAR_POSTS),
            Some(cursor) => self.rest_of_ranking(cursor).ok_or(ReadError::BadCursor)?,
        };
        let view = match caller {
            Some(caller) => Some(self.tier.view(caller).await?),
            None => None,
        };
        let mut items = Vec::with_capacity(page.limit);
        let mut rest = &ranking[..];
        while !rest.is_empty() {
            let (ids, after) = rest.split_at(rest.len().min(page.limit + 1));
            for (n, post) in self.hydrate(ids).await?.into_iter().enumerate() {
                let Some(post) = post else {
                    self.tier.popular.ranking().remove(ids[n]);
                    continue;
                };
                if view.as_ref().is_some_and(|view| view.follow.hides(post.author())) {
                    continue;
                }
                if items.len() == page.limit {
                    return Ok(Page { items, next: Some(self.popular_cursor(&rest[n..])) });
                }
                items.push(post);
            }
            rest = after;
        }
        Ok(Page { items, next: None })
    }

    fn popular_cursor(&self, rest: &[PostId]) -> String {
        let mut bytes = Vec::with_capacity(unordered_bytes(rest.len()));
        pack_unordered(rest, &mut bytes);
        self.signer.seal_bytes(ListId::Popular, &bytes)
    }

    fn rest_of_ranking(&self, cursor: &str) -> Option<Vec<PostId>> {
        let bytes = self.signer.open_bytes(ListId::Popular, cursor, POPULAR_CURSOR_CHARS)?;
        unpack_unordered(&bytes, POPULAR_POSTS)
    }
}

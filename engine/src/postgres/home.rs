//! The pull truth (law 1): home(u) merged from the authors' own index, newest first.
//!
//! A page of 800 posts out of 200 authors does not need 800 of each. Each round reads a few posts of every author that
//! may still have more above the page's end; the end only rises, so few authors are asked twice.

use std::collections::HashMap;

use super::rows::{column, user_id, user_key};
use super::sql;
use super::store::Inner;
use crate::model::{PostId, UserId};
use crate::ports::StoreError;

/// Posts of each author in the first round at the least.
const FIRST_ROUND: usize = 8;

impl Inner {
    /// Whom the reader follows, and the reader: the authors of the unfiltered home timeline.
    pub(super) async fn home_all(
        &self,
        reader: UserId,
        before: PostId,
        count: usize,
    ) -> Result<Vec<PostId>, StoreError> {
        const DOING: &str = "reading a whole home timeline";
        let (shard, id) = user_key(reader);
        let mut authors = self.read(DOING, sql::FOLLOWEES, &[&shard, &id], |row| user_id(row, 0)).await?;
        authors.push(reader);
        self.merge(DOING, authors, before, count).await
    }

    /// The authors whose posts the reader may see.
    pub(super) async fn home_page(
        &self,
        reader: UserId,
        before: PostId,
        count: usize,
    ) -> Result<Vec<PostId>, StoreError> {
        let view = self.view(reader).await?;
        let followees = view.follows.iter().map(|follow| follow.followee);
        let authors = followees.chain([reader]).filter(|&author| view.shows(reader, author)).collect();
        self.merge("reading a home timeline", authors, before, count).await
    }

    /// The newest posts of `authors` below `before`. Posts that are written between two rounds are above what the
    /// later one asks for; each round sees what was committed before the call.
    async fn merge(
        &self,
        doing: &'static str,
        mut authors: Vec<UserId>,
        before: PostId,
        count: usize,
    ) -> Result<Vec<PostId>, StoreError> {
        let mut merged: Vec<PostId> = Vec::new();
        if count == 0 {
            return Ok(merged);
        }
        let mut below = vec![column(before.0); authors.len()];
        let mut end = PostId::MIN;
        let mut each = (2 * count / authors.len().max(1)).clamp(FIRST_ROUND.min(count), count);
        while !authors.is_empty() {
            let told = self.posts_below(doing, &authors, &below, column(end.0), each).await?;
            let mut of: HashMap<usize, (usize, PostId)> = HashMap::new();
            for (place, post) in told {
                let (number, oldest) = of.entry(place).or_insert((0, PostId::MAX));
                (*number, *oldest) = (*number + 1, post.min(*oldest));
                merged.push(post);
            }
            merged.sort_unstable_by(|one, two| two.cmp(one));
            merged.truncate(count);
            if merged.len() == count {
                end = merged.last().copied().unwrap_or_default();
            }
            // Who gave all that were asked for may have more, if the oldest of them still counts.
            let more = of.into_iter().filter(|&(_, (number, oldest))| number == each && oldest > end);
            let more: Vec<(UserId, i64)> =
                more.map(|(place, (_, oldest))| (authors[place], column(oldest.0))).collect();
            (authors, below) = more.into_iter().unzip();
            each = (each * 4).min(count);
        }
        Ok(merged)
    }
}

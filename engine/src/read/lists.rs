//! Users, their lists and posts, as a caller may see them (law 5: a block hides at once).

use std::sync::Arc;

use super::{Page, PageRequest, ReadError, Reads};
use crate::cache::{RenderedPost, View};
use crate::model::{AuthorState, Handle, PostId, User, UserId};
use crate::ports::{ListedTuning, StoreError, UserList};
use crate::timeline::ListId;

impl Reads {
    /// The user, unless that user has blocked the caller.
    ///
    /// # Errors
    /// [`ReadError::UnknownUser`], [`ReadError::Unavailable`].
    pub async fn user(&self, caller: UserId, id: UserId) -> Result<User, ReadError> {
        let view = self.view_before_asking(caller).await?;
        let user = self.tier.store.users(&[id]).await?.pop().flatten();
        unless_blocked_by(&view, user)
    }

    /// The user with this handle, unless that user has blocked the caller.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    pub async fn user_by_handle(&self, caller: UserId, handle: &Handle) -> Result<User, ReadError> {
        let view = self.view_before_asking(caller).await?;
        let user = self.tier.store.user_by_handle(handle).await?;
        unless_blocked_by(&view, user)
    }

    /// The caller's view, had before the store is asked for what somebody may hide by a block: so the same is asked,
    /// and takes as long, whether a thing is hidden or does not exist.
    pub(super) async fn view_before_asking(&self, caller: UserId) -> Result<Arc<View>, StoreError> {
        self.tier.view(caller).await
    }

    /// A page of an author's posts, newest first.
    ///
    /// # Errors
    /// [`ReadError::UnknownUser`] where there is no such author, or a block either way hides the posts.
    pub async fn posts_of(
        &self,
        caller: UserId,
        author: UserId,
        page: &PageRequest,
    ) -> Result<Page<Arc<RenderedPost>>, ReadError> {
        let list = ListId::Posts { caller, author };
        let mut before = match &page.cursor {
            None => PostId::MAX,
            Some(cursor) => {
                let [before] = self.signer.open(list, cursor).ok_or(ReadError::BadCursor)?;
                PostId(before)
            }
        };
        self.user(caller, author).await?;
        if !self.tier.view(caller).await?.follow.unblocked(author) {
            return Err(ReadError::UnknownUser);
        }
        let mut items: Vec<Arc<RenderedPost>> = Vec::with_capacity(page.limit + 1);
        loop {
            let wanted = page.limit + 1 - items.len();
            let ids = self.tier.store.posts_by(&[author], before, wanted).await?.pop().unwrap_or_default();
            items.extend(self.hydrate(&ids).await?.into_iter().flatten());
            match ids.last() {
                Some(&lowest) if ids.len() == wanted && items.len() <= page.limit => before = lowest,
                _ => break,
            }
        }
        let more = items.len() > page.limit;
        items.truncate(page.limit);
        let next = items.last().filter(|_| more).map(|last| self.signer.seal(list, [last.id().0]));
        Ok(Page { items, next })
    }

    /// A page of one of a user's lists, by rising id, without those who have blocked the caller. Mutes and blocks:
    /// the caller's own only.
    ///
    /// # Errors
    /// [`ReadError::UnknownUser`] where there is no such user for the caller.
    pub async fn user_list(
        &self,
        caller: UserId,
        user: UserId,
        list: UserList,
        page: &PageRequest,
    ) -> Result<Page<User>, ReadError> {
        let number = match list {
            UserList::Followers => 0,
            UserList::Following => 1,
            UserList::Mutes => 2,
            UserList::Blocks => 3,
        };
        let id = ListId::Users { caller, user, list: number };
        let mut after = match &page.cursor {
            None => UserId(0),
            Some(cursor) => {
                let [after] = self.signer.open(id, cursor).ok_or(ReadError::BadCursor)?;
                UserId(after)
            }
        };
        if matches!(list, UserList::Mutes | UserList::Blocks) && user != caller {
            return Err(ReadError::UnknownUser);
        }
        self.user(caller, user).await?;
        let view = self.tier.view(caller).await?;
        let mut items: Vec<User> = Vec::with_capacity(page.limit + 1);
        loop {
            let wanted = page.limit + 1 - items.len();
            let ids = self.tier.store.user_list(user, list, after, wanted).await?;
            let shown: Vec<UserId> =
                ids.iter().copied().filter(|id| view.follow.blocked_by.binary_search(id).is_err()).collect();
            items.extend(self.tier.store.users(&shown).await?.into_iter().flatten());
            match ids.last() {
                Some(&last) if ids.len() == wanted && items.len() <= page.limit => after = last,
                _ => break,
            }
        }
        let more = items.len() > page.limit;
        items.truncate(page.limit);
        let next = items.last().filter(|_| more).map(|last| self.signer.seal(id, [last.card.id.0]));
        Ok(Page { items, next })
    }

    /// A page of tuning versions, newest first.
    ///
    /// # Errors
    /// [`ReadError::BadCursor`], [`ReadError::Unavailable`].
    pub async fn tunings(&self, page: &PageRequest) -> Result<Page<ListedTuning>, ReadError> {
        let before = match &page.cursor {
            None => u64::MAX,
            Some(cursor) => {
                let [before] = self.signer.open(ListId::Tunings, cursor).ok_or(ReadError::BadCursor)?;
                before
            }
        };
        let mut items = self.tier.store.tunings(before, page.limit + 1).await?;
        let more = items.len() > page.limit;
        items.truncate(page.limit);
        let next = items.last().filter(|_| more).map(|last| self.signer.seal(ListId::Tunings, [last.tuning.version]));
        Ok(Page { items, next })
    }

    /// An author as operators see it.
    ///
    /// # Errors
    /// [`ReadError::UnknownUser`], [`ReadError::Unavailable`].
    pub async fn author(&self, id: UserId) -> Result<AuthorState, ReadError> {
        self.tier.store.author(id).await?.ok_or(ReadError::UnknownUser)
    }
}

fn unless_blocked_by(view: &View, user: Option<User>) -> Result<User, ReadError> {
    let shown = |user: &User| view.follow.blocked_by.binary_search(&user.card.id).is_err();
    user.filter(shown).ok_or(ReadError::UnknownUser)
}

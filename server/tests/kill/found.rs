//! What became of a command that was not acknowledged: whether a node shows its effect.

use tributary_engine::model::{Command, PostId, UserId};
use tributary_engine::testkit::Truth;

use crate::common::{Sent, Session, post_id};

impl Sent {
    /// Whether a node shows the one thing that the command is about; where it is a post, its id. `truth` is without it.
    pub async fn found<'a>(&self, of: impl Fn(UserId) -> &'a Session, truth: &Truth) -> Option<PostId> {
        let (me, session) = (self.actor, of(self.actor));
        let in_list = async |path: String, user: UserId| {
            session.all(&path, 100).await.iter().any(|item| item["id"] == user.to_string())
        };
        let likes = async |post: PostId| {
            // The author always sees it; from the actor a block may hide it.
            let author = of(truth.post(post).unwrap().author.id);
            author.get(&format!("/v1/posts/{post}")).await.expect(200).json()["likes"].as_u64().unwrap()
        };
        let yes = match self.command {
            Command::Publish { ref text } => {
                let posts = session.all(&format!("/v1/users/{me}/posts"), 100).await;
                return posts.iter().find(|post| post["text"] == **text).map(post_id);
            }
            Command::Remove { post } => session.get(&format!("/v1/posts/{post}")).await.status == 404,
            Command::Like { post } | Command::Unlike { post } => likes(post).await != truth.likes(post),
            Command::Follow { user, .. } => in_list(format!("/v1/users/{me}/following"), user).await,
            Command::Unfollow { user } => !in_list(format!("/v1/users/{me}/following"), user).await,
            Command::Mute { user } => in_list("/v1/mutes".to_owned(), user).await,
            Command::Unmute { user } => !in_list("/v1/mutes".to_owned(), user).await,
            Command::Block { user } => in_list("/v1/blocks".to_owned(), user).await,
            Command::Unblock { user } => !in_list("/v1/blocks".to_owned(), user).await,
            ref other => unreachable!("{other:?} is not sent"),
        };
        yes.then_some(PostId::MIN)
    }
}

//! Relations of the caller to other users: follows, mutes, blocks.

use http::Method;

use super::operation::{Described, user};
use super::shapes::UserPage;

/// Each of them.
pub fn operations() -> Vec<Described> {
    let begins = |path, id, summary| {
        user(Method::PUT, path, id, summary)
            .id("Another user.")
            .answers_nothing(204, "It is so, now or before.")
            .refuses(404, &["unknown_user"])
            .refuses(422, &["oneself"])
    };
    let ends = |path, id, summary| {
        user(Method::DELETE, path, id, summary).id("Another user.").answers_nothing(204, "It is not so, now or before.")
    };
    let lists =
        |path, id, summary| user(Method::GET, path, id, summary).list().answers::<UserPage>(200, "A page of users.");
    vec![
        begins("/v1/follows/{id}", "followUser", "Follow a user")
            .about("Their posts are in the caller's feed from now on, earlier ones too.")
            .refuses(422, &["blocked", "too_many_follows"]),
        ends("/v1/follows/{id}", "unfollowUser", "Follow a user no more"),
        lists("/v1/mutes", "listMutes", "Whom the caller has muted"),
        begins("/v1/mutes/{id}", "muteUser", "Leave a user's posts out of one's feed"),
        ends("/v1/mutes/{id}", "unmuteUser", "Mute a user no more"),
        lists("/v1/blocks", "listBlocks", "Whom the caller has blocked"),
        begins("/v1/blocks/{id}", "blockUser", "Block a user")
            .about("Ends the follows of both. To the blocked, the caller looks as if absent."),
        ends("/v1/blocks/{id}", "unblockUser", "Block a user no more"),
    ]
}

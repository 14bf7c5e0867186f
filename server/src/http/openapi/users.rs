//! Users, and the lists that belong to them.

use http::Method;

use super::operation::{Described, text, user};
use super::shapes::{PostPage, UserPage};
use crate::http::respond::UserBody;

/// Each of them.
pub fn operations() -> Vec<Described> {
    let found = |described: Described| described.answers::<UserBody<'static>>(200, "The user.");
    let of_user = |described: Described| described.id("A user.").refuses(404, &["unknown_user"]).list();
    vec![
        found(user(Method::GET, "/v1/me", "getMe", "Who the caller is")).refuses(404, &["unknown_user"]),
        found(user(Method::GET, "/v1/users", "findUser", "A user by handle"))
            .query("handle", "The whole handle.", text().pattern(Some("^[a-z0-9_]{1,30}$")).examples(["ann"]), true)
            .refuses(400, &["bad_handle", "bad_parameter"])
            .refuses(404, &["unknown_user"]),
        found(user(Method::GET, "/v1/users/{id}", "getUser", "A user by id").id("A user."))
            .refuses(404, &["unknown_user"]),
        of_user(user(Method::GET, "/v1/users/{id}/posts", "listPostsOfUser", "A user's posts, newest first"))
            .answers::<PostPage>(200, "A page of posts."),
        of_user(user(Method::GET, "/v1/users/{id}/followers", "listFollowers", "Who follows a user"))
            .answers::<UserPage>(200, "A page of users."),
        of_user(user(Method::GET, "/v1/users/{id}/following", "listFollowing", "Whom a user follows"))
            .answers::<UserPage>(200, "A page of users."),
    ]
}

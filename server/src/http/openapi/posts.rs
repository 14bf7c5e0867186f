//! Posts and likes.

use http::Method;

use super::operation::{Described, user};
use super::shapes::Post;
use crate::http::routes::posts::NewPost;

/// Each of them.
pub fn operations() -> Vec<Described> {
    vec![
        user(Method::POST, "/v1/posts", "publishPost", "Write a post")
            .takes::<NewPost>()
            .answers::<Post>(201, "The post. Whoever follows its author sees it from now on.")
            .with("Location", "The path of the post.")
            .refuses(422, &["text_empty", "text_too_long", "text_invalid"]),
        user(Method::GET, "/v1/posts/{id}", "getPost", "A post")
            .id("A post.")
            .answers::<Post>(200, "The post.")
            .refuses(404, &["unknown_post"]),
        user(Method::DELETE, "/v1/posts/{id}", "removePost", "Remove a post of one's own")
            .id("A post.")
            .answers_nothing(204, "It is gone, everywhere.")
            .refuses(403, &["not_author"])
            .refuses(404, &["unknown_post"]),
        user(Method::PUT, "/v1/likes/{id}", "likePost", "Like a post")
            .id("A post.")
            .answers_nothing(204, "The caller likes it, now or before.")
            .refuses(404, &["unknown_post"]),
        user(Method::DELETE, "/v1/likes/{id}", "unlikePost", "Like a post no more")
            .id("A post.")
            .answers_nothing(204, "The caller does not like it, now or before."),
    ]
}

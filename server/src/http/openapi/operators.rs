//! For operators: thresholds, pins, and what a node is at.

use http::Method;

use super::operation::{Described, operator, text};
use super::shapes::{SourcedFeed, Status, Tuning, TuningPage};
use crate::http::routes::operator::{AuthorBody, NewPin, NewTuning};

/// Each of them.
pub fn operations() -> Vec<Described> {
    vec![
        operator(Method::GET, "/v1/operator/tuning", "getTuning", "The thresholds in force")
            .answers::<Tuning>(200, "The thresholds.")
            .validated("Their version, in quotes."),
        operator(Method::PUT, "/v1/operator/tuning", "setTuning", "Change the thresholds")
            .sends("If-Match", "The `ETag` of the thresholds that one saw, or `*`.", text().examples(["\"3\""]))
            .takes::<NewTuning>()
            .answers::<Tuning>(200, "The next version.")
            .with("ETag", "Their version, in quotes.")
            .refuses(400, &["bad_if_match"])
            .refuses(412, &["version_mismatch"])
            .refuses(422, &["bad_tuning"])
            .refuses(428, &["if_match_required"]),
        operator(
            Method::GET,
            "/v1/operator/tuning/history",
            "listTunings",
            "Every version of the thresholds, newest first",
        )
        .list()
        .answers::<TuningPage>(200, "A page of versions."),
        operator(Method::GET, "/v1/operator/authors/{id}", "getAuthor", "An author's channel")
            .id("A user.")
            .answers::<AuthorBody<'static>>(200, "The author.")
            .refuses(404, &["unknown_user"]),
        operator(Method::PUT, "/v1/operator/authors/{id}", "pinAuthor", "Pin an author to a channel, or not")
            .id("A user.")
            .takes::<NewPin>()
            .answers::<AuthorBody<'static>>(200, "The author.")
            .refuses(404, &["unknown_user"])
            .refuses(422, &["bad_pin"]),
        operator(
            Method::GET,
            "/v1/operator/feed/{id}",
            "getFeedOfUser",
            "A user's home timeline, and where it came from",
        )
        .id("A user.")
        .list()
        .query("since", "The `fresh` of an earlier page: only what was logged after it was made.", text(), false)
        .answers::<SourcedFeed>(200, "A page of the timeline.")
        .refuses(404, &["unknown_user"]),
        operator(Method::GET, "/v1/operator/status", "getStatus", "What this node is at")
            .answers::<Status>(200, "The state of the node."),
    ]
}

//! What operators see and tune: thresholds, pins, the state of the node.

use http::StatusCode;
use http::header::IF_MATCH;
use serde::{Deserialize, Deserializer, Serialize};
use tributary_engine::model::{AuthorState, ChangedBy, Channel, Command, Mode, Tuning, TuningSettings};
use utoipa::ToSchema;

use super::{command, etag};
use crate::http::openapi::shapes;
use crate::http::problem::Fault;
use crate::http::request;
use crate::http::respond::{self, Answer};
use crate::http::router::Call;
use crate::http::tokens::Caller;

#[derive(Serialize)]
struct TuningBody {
    version: u64,
    #[serde(flatten)]
    settings: TuningSettings,
}

impl From<&Tuning> for TuningBody {
    fn from(tuning: &Tuning) -> Self {
        Self { version: tuning.version, settings: tuning.settings }
    }
}

/// A tuning with its version as `ETag`.
pub fn tuning_answer(tuning: &Tuning) -> Answer {
    let mut answer = respond::json(StatusCode::OK, &TuningBody::from(tuning));
    etag(&mut answer, tuning.version);
    answer
}

/// `GET /v1/operator/tuning`
pub async fn tuning(call: Call, _operator: Caller) -> Result<Answer, Fault> {
    Ok(tuning_answer(&call.app.engine.tuning().await?))
}

// With wide types: a value out of range breaks a rule (422), it is not malformed (400).
/// The five settings.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTuning {
    #[schema(value_type = shapes::Mode)]
    mode: String,
    /// At so many followers an author turns hot.
    #[schema(minimum = 1, maximum = 9007199254740991usize, example = 10000)]
    enter_followers: i64,
    /// Below so many a hot author cools down: not above `enter_followers`.
    #[schema(minimum = 0, maximum = 9007199254740991usize, example = 8000)]
    leave_followers: i64,
    #[schema(minimum = 0, maximum = 86400000, example = 900000)]
    flush_max_age_ms: i64,
    #[schema(minimum = 1, maximum = 100000000, example = 4000000)]
    flush_max_pairs: i64,
}

impl NewTuning {
    fn checked(self) -> Result<TuningSettings, Fault> {
        let bad = |why: String| Fault::rule("bad_tuning", why);
        let mode = match self.mode.as_str() {
            "threshold" => Mode::Threshold,
            "cost" => Mode::Cost,
            _ => return Err(bad("mode is \"threshold\" or \"cost\"".to_owned())),
        };
        let number = |name: &str, n: i64| u64::try_from(n).map_err(|_| bad(format!("{name} must not be negative")));
        let settings = TuningSettings {
            mode,
            enter_followers: number("enter_followers", self.enter_followers)?,
            leave_followers: number("leave_followers", self.leave_followers)?,
            flush_max_age_ms: number("flush_max_age_ms", self.flush_max_age_ms)?,
            flush_max_pairs: number("flush_max_pairs", self.flush_max_pairs)?,
        };
        settings.validate().map_err(|error| bad(error.to_string()))?;
        Ok(settings)
    }
}

/// `PUT /v1/operator/tuning`
pub async fn tune(call: Call, operator: Caller) -> Result<Answer, Fault> {
    let expected = if_match(&call)?;
    let settings = request::json::<NewTuning>(&call.parts, &call.body)?.checked()?;
    command(call, operator, Command::Tune { expected, settings, by: ChangedBy::Operator(operator.id) }).await
}

/// The version that must be the present one; none: whichever is (`*`).
fn if_match(call: &Call) -> Result<Option<u64>, Fault> {
    let missing = || {
        let detail = "send If-Match with the ETag of the tuning that you saw";
        Fault::new(StatusCode::PRECONDITION_REQUIRED, "if_match_required", detail)
    };
    let value = request::header(&call.parts.headers, &IF_MATCH)?.ok_or_else(missing)?.trim_ascii();
    if value == b"*" {
        return Ok(None);
    }
    let bad = || Fault::malformed("bad_if_match", "If-Match is one ETag as it was given, in quotes, or *");
    let (quoted, weak) = value.strip_prefix(b"W/").map_or((value, false), |tag| (tag, true));
    let tag = quoted.strip_prefix(b"\"").and_then(|tag| tag.strip_suffix(b"\"")).ok_or_else(bad)?;
    if tag.contains(&b'"') {
        return Err(bad());
    }
    let version = str::from_utf8(tag).ok().filter(|_| !weak && tag.iter().all(u8::is_ascii_digit));
    match version.and_then(|version| version.parse().ok()) {
        Some(version) => Ok(Some(version)),
        None => Err(Fault::new(StatusCode::PRECONDITION_FAILED, "version_mismatch", "no tuning has this ETag")),
    }
}

#[derive(Serialize)]
struct ListedTuningBody<'a> {
    #[serde(flatten)]
    tuning: TuningBody,
    changed_by: &'a str,
    changed_at: String,
}

/// `GET /v1/operator/tuning/history`
pub async fn history(call: Call, _operator: Caller) -> Result<Answer, Fault> {
    let page = call.app.engine.tunings(&request::page(&call.parts)?).await?;
    Ok(respond::page(&page, |listed| ListedTuningBody {
        tuning: TuningBody::from(&listed.tuning),
        changed_by: &listed.changed_by,
        changed_at: listed.tuning.changed_at.to_string(),
    }))
}

/// An author's channel, and what decides it.
#[derive(Serialize, ToSchema)]
#[schema(as = AuthorState)]
pub struct AuthorBody<'a> {
    #[schema(pattern = "^[1-9][0-9]{0,18}$", example = "506806140928000000")]
    id: String,
    #[schema(pattern = "^[a-z0-9_]{1,30}$", example = "ann")]
    handle: &'a str,
    #[schema(minimum = 0, example = 12000)]
    followers: u64,
    #[schema(value_type = shapes::Channel)]
    channel: Channel,
    #[schema(value_type = Option<shapes::Channel>, required)]
    pin: Option<Channel>,
}

/// An author as operators see it.
pub fn author_answer(author: &AuthorState) -> Answer {
    let body = AuthorBody {
        id: author.card.id.to_string(),
        handle: author.card.handle.as_str(),
        followers: author.followers,
        channel: author.channel(),
        pin: author.heat.pin,
    };
    respond::json(StatusCode::OK, &body)
}

/// `GET /v1/operator/authors/{id}`
pub async fn author(call: Call, _operator: Caller) -> Result<Answer, Fault> {
    Ok(author_answer(&call.app.engine.author(request::id(&call.id)?).await?))
}

/// The channel to pin an author to; null: none.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPin {
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<shapes::Channel>, required)]
    pin: Option<String>,
}

/// Null must be said: a missing field is malformed.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

/// `PUT /v1/operator/authors/{id}`
pub async fn pin(call: Call, operator: Caller) -> Result<Answer, Fault> {
    let author = request::id(&call.id)?;
    let pin = match request::json::<NewPin>(&call.parts, &call.body)?.pin.as_deref() {
        None => None,
        Some("push") => Some(Channel::Push),
        Some("pull") => Some(Channel::Pull),
        Some(_) => return Err(Fault::rule("bad_pin", "pin is \"push\", \"pull\" or null")),
    };
    command(call, operator, Command::Pin { author, pin }).await
}

/// `GET /v1/operator/status`
pub async fn status(call: Call, _operator: Caller) -> Result<Answer, Fault> {
    Ok(respond::json(StatusCode::OK, &call.app.engine.status()))
}

//! Refusals: what each status means, and the headers that come with it. Operations refer to them, and add their codes.

use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use super::operation::{seconds, told};
use super::shapes::Problem;

/// The type of a problem document (RFC 9457).
pub const CONTENT_TYPE: &str = "application/problem+json";

/// What whoever is counted is told of its rate, where there is a limit.
pub const RATES: &[(&str, &str)] = &[
    ("RateLimit-Policy", "The limits that count the caller, as the IETF's draft has them."),
    ("RateLimit", "What is left of each, and in how many seconds there will be more."),
];

/// Status, name in the document, meaning.
const REFUSALS: &[(u16, &str, &str)] = &[
    (400, "BadRequest", "Malformed: the JSON, an id, a cursor, a parameter or a header."),
    (401, "Unauthorized", "No token, or none that is good now."),
    (403, "Forbidden", "The caller may not do this."),
    (404, "NotFound", "There is no such thing, or none that the caller may know of."),
    (408, "RequestTimeout", "The body did not come in time."),
    (409, "Conflict", "It cannot be done beside what is already so."),
    (412, "PreconditionFailed", "Something else is there than `If-Match` names."),
    (413, "ContentTooLarge", "The body has over 64 KiB."),
    (414, "UriTooLong", "Path and query have over 8 KiB."),
    (415, "UnsupportedMediaType", "The body is not said to be JSON in UTF-8."),
    (422, "UnprocessableContent", "Well-formed, but it breaks a rule."),
    (426, "UpgradeRequired", "A WebSocket of another version than ours."),
    (428, "PreconditionRequired", "There is no `If-Match`."),
    (429, "TooManyRequests", "Too often."),
    (431, "RequestHeaderFieldsTooLarge", "The headers have over 16 KiB."),
    (503, "ServiceUnavailable", "It cannot be answered now."),
];

/// Statuses of what is refused before it is counted.
const UNCOUNTED: &[u16] = &[414, 431];

/// Every refusal by its name.
pub fn responses() -> impl Iterator<Item = (&'static str, Response)> {
    REFUSALS.iter().map(|&(status, name, what)| (name, response(status, what).build()))
}

fn response(status: u16, what: &str) -> ResponseBuilder {
    let content = ContentBuilder::new().schema(Some(Problem::reference())).build();
    let response = ResponseBuilder::new().description(what).content(CONTENT_TYPE, content);
    let response = response.header("X-Request-Id", told("Names the request in the server's log."));
    let rates = RATES.iter().filter(|_| !UNCOUNTED.contains(&status));
    let response = rates.fold(response, |response, (name, what)| response.header(*name, told(what)));
    match status {
        401 => response.header("WWW-Authenticate", told("`Bearer`.")),
        426 => response.header("Upgrade", told("`websocket`.")),
        429 | 503 => response.header("Retry-After", seconds("Seconds after which to try again.")),
        _ => response,
    }
}

/// A refusal with the codes that an operation gives there, and headers of its own.
pub fn refusal(status: u16, codes: &[&str], headers: &[(&str, &str)]) -> RefOr<Response> {
    let (_, name, what) = REFUSALS.iter().find(|refusal| refusal.0 == status).expect("every refusal is in the table");
    let codes: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
    let description = format!("{what} Codes: {}.", codes.join(", "));
    if headers.is_empty() || UNCOUNTED.contains(&status) {
        let mut reference = Ref::from_response_name(*name);
        reference.description = description;
        return reference.into();
    }
    let own = headers.iter();
    own.fold(response(status, &description), |response, (name, what)| response.header(*name, told(what))).into()
}

//! The document of the API as the judge of answers: whatever a test asks, the answer's status, code, content type,
//! headers and body must be what `openapi.json` has for its operation, to the last field.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::client::Reply;

/// Headers that come only with some answers of a status.
const SOMETIMES: &[&str] = &["idempotency-replayed", "etag", "ratelimit", "ratelimit-policy"];
/// Headers that come only with some refusals of a status.
const SOMETIMES_REFUSED: &[&str] = &["set-cookie"];
/// Headers that are never sent without being described.
const TOLD: &[&str] = &[
    "allow",
    "etag",
    "idempotency-replayed",
    "location",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "set-cookie",
    "www-authenticate",
];

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = serde_json::from_str(include_str!("../openapi.json")).unwrap();
    close(&mut document);
    document
});

/// Lets objects have no fields but those that are described. Clients are not told so: they must bear new ones.
fn close(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.contains_key("properties") && !fields.contains_key("additionalProperties") {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// In what an answer differs from the document. What the document leaves out on purpose has no faults: pages, methods
/// that get 405, and everything that a process without the role `api` does not have.
pub fn faults(reply: &Reply) -> Vec<String> {
    let (method, uri) = reply.asked.split_once(' ').unwrap();
    let path = uri.split_once("://").map_or(uri, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let path = path.split('?').next().unwrap_or_default();
    let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
    let code = body.as_ref().and_then(|body| body["code"].as_str()).filter(|_| reply.status.as_u16() >= 400);
    let operation = operation(path).and_then(|item| match method {
        "HEAD" => item.get("get"),
        _ => item.get(method.to_lowercase()),
    });
    let Some(operation) = operation.filter(|_| code != Some("unknown_route")) else { return vec![] };
    let Some(told) = operation["responses"].get(reply.status.as_str()) else {
        return vec![format!("{} is not described (server/src/http/openapi)", reply.status)];
    };
    let response = told["$ref"].as_str().map_or(told, |to| DOCUMENT.pointer(&to[1..]).unwrap());

    let mut faults = header_faults(reply, &response["headers"]);
    let codes = told["description"].as_str().and_then(|what| what.split_once(" Codes: "));
    if let (Some((_, codes)), Some(code)) = (codes, code)
        && !codes.contains(&format!("`{code}`"))
    {
        faults.push(format!("the code {code} is not described, only {codes}"));
    }
    let none = Map::new();
    let content = response["content"].as_object().unwrap_or(&none);
    let content_type = reply.header("content-type").unwrap_or_default();
    match content.get(content_type) {
        Some(_) if method == "HEAD" || reply.header("content-encoding").is_some() => {}
        Some(media) if content_type.ends_with("json") => match &body {
            Some(body) => faults.extend(schema_faults(&media["schema"], body)),
            None => faults.push("the body is not JSON".to_owned()),
        },
        Some(_) => {}
        None if content.is_empty() && reply.body.is_empty() => {}
        None => faults.push(format!("the content type {content_type:?} is not described")),
    }
    faults
}

/// The path's item: of several that fit, the one with the fewest parameters.
fn operation(path: &str) -> Option<&'static Value> {
    let fits = |pattern: &str| {
        let is = |(part, segment): (&str, &str)| part == segment || (part.starts_with('{') && !segment.is_empty());
        pattern.split('/').count() == path.split('/').count() && pattern.split('/').zip(path.split('/')).all(is)
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let found = paths.iter().filter(|(pattern, _)| fits(pattern));
    found.min_by_key(|(pattern, _)| pattern.matches('{').count()).map(|(_, item)| item)
}

fn header_faults(reply: &Reply, described: &Value) -> Vec<String> {
    let none = Map::new();
    let described: Vec<String> =
        described.as_object().unwrap_or(&none).keys().map(|name| name.to_lowercase()).collect();
    let refused = reply.status.as_u16() >= 400;
    let sometimes = |name: &str| SOMETIMES.contains(&name) || (refused && SOMETIMES_REFUSED.contains(&name));
    let missing = described
        .iter()
        .filter(|name| !sometimes(name) && reply.header(name).is_none())
        .map(|name| format!("the header {name} is missing"));
    let untold = TOLD
        .iter()
        .filter(|name| reply.header(name).is_some() && !described.iter().any(|other| other == *name))
        .map(|name| format!("the header {name} is not described"));
    missing.chain(untold).collect()
}

/// Compiling a schema takes longer than most answers: each is kept.
fn schema_faults(schema: &Value, body: &Value) -> Vec<String> {
    static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let validator = Arc::clone(VALIDATORS.lock().unwrap().entry(schema.to_string()).or_insert_with(|| {
        let mut root = schema.clone();
        root["components"] = DOCUMENT["components"].clone();
        Arc::new(jsonschema::options().should_validate_formats(true).build(&root).unwrap())
    }));
    validator.iter_errors(body).map(|error| format!("{} at {:?}", error, error.instance_path().to_string())).collect()
}

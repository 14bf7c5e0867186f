//! The OpenAPI 3.1 document of the API, made by utoipa: what `GET /openapi.json` answers, and what the tests hold every
//! answer against.
//!
//! Operations are described by subject, each beside its kind; what follows from an operation's door, method and body is
//! added in [`operation`]. Schemas are those of the types that handlers serialise, or, of what is rendered by hand, the
//! types of [`shapes`].

mod accounts;
mod feeds;
mod node;
mod operation;
mod operators;
mod posts;
mod problems;
mod relations;
pub mod shapes;
mod users;

use std::sync::LazyLock;

use bytes::Bytes;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem, PathsBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use operation::{BEARER, Described};
use shapes::Problem;

const ABOUT: &str = "\
Home timelines: what those you follow wrote, newest first.

Ids are strings of decimal digits, larger is newer. Times are RFC 3339 in UTC. Unknown fields of a request are refused. \
Whatever answers GET answers HEAD. Another method gets 405 with `Allow`, another path 404. Errors are problem documents \
(RFC 9457) with a stable `code`. Lists are read in pages: follow `next` until it is null.";

/// A subject: the name of its tag, what it is about, its operations.
type Subject = (&'static str, &'static str, fn() -> Vec<Described>);

const SUBJECTS: &[Subject] = &[
    ("accounts", "Signing in", accounts::operations),
    ("users", "Users, and the lists that belong to them", users::operations),
    ("posts", "Posts and likes", posts::operations),
    ("relations", "Follows, mutes and blocks", relations::operations),
    ("feeds", "Timelines", feeds::operations),
    ("operators", "For operators", operators::operations),
    ("node", "For supervisors, monitors and developers", node::operations),
];

/// The document as JSON, made once.
pub fn json() -> Bytes {
    static JSON: LazyLock<Bytes> =
        LazyLock::new(|| serde_json::to_vec(&document()).expect("the document is JSON").into());
    JSON.clone()
}

fn document() -> OpenApi {
    let mut paths = PathsBuilder::new();
    let mut components = ComponentsBuilder::new().schema(Problem::name(), Problem::schema());
    for (tag, _, operations) in SUBJECTS {
        for described in operations() {
            let path = described.path;
            let (method, operation, schemas) = described.finish(tag);
            paths = paths.path(path, PathItem::new(method, operation));
            components = components.schemas_from_iter(schemas);
        }
    }
    for (name, response) in problems::responses() {
        components = components.response(name, response);
    }
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("An access token: `access_token` of the answer to a sign-in."));
    let info = InfoBuilder::new()
        .title("Tributary")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(LicenseBuilder::new().name("Apache License 2.0").identifier(Some("Apache-2.0")).build()));
    let tags = SUBJECTS.iter().map(|(name, what, _)| TagBuilder::new().name(*name).description(Some(*what)).build());
    OpenApiBuilder::new()
        .info(info)
        .paths(paths)
        .components(Some(components.security_scheme(BEARER, SecurityScheme::Http(scheme.build())).build()))
        .tags(Some(tags))
        .build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::operation::Who;
    use super::*;
    use crate::http::router::{Door, ROUTES};

    fn described() -> impl Iterator<Item = Described> {
        SUBJECTS.iter().flat_map(|(_, _, operations)| operations())
    }

    #[test]
    fn the_document_has_every_route_of_the_table_at_its_door_and_no_other() {
        // The table knows one name of a parameter.
        let named = |path: &str| path.replace("{provider}", "{id}");
        let routes: BTreeSet<String> = ROUTES
            .iter()
            .filter(|(_, path, _)| !path.starts_with("/docs/"))
            .map(|(method, path, door)| {
                let who = match door {
                    Door::Probe(_) => Who::Probe,
                    Door::Guest(_) => Who::Guest,
                    Door::Visitor(_) => Who::Visitor,
                    Door::User(_) => Who::User,
                    Door::Operator(_) => Who::Operator,
                };
                format!("{method} {path} {who:?}")
            })
            .collect();
        let told: BTreeSet<String> =
            described().map(|one| format!("{} {} {:?}", one.method, named(one.path), one.who)).collect();
        let missing: Vec<_> = routes.difference(&told).collect();
        let unknown: Vec<_> = told.difference(&routes).collect();
        assert!(missing.is_empty() && unknown.is_empty(), "not described: {missing:?}; no routes: {unknown:?}");
        assert_eq!(described().count(), told.len(), "described twice");
    }

    #[test]
    fn every_parameter_of_a_path_is_described_and_every_operation_has_its_own_id() {
        let document: serde_json::Value = serde_json::from_slice(&json()).expect("JSON");
        let mut ids = BTreeSet::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            let named: BTreeSet<&str> =
                path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap_or_default()).collect();
            for operation in item.as_object().expect("operations").values() {
                let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
                let told: BTreeSet<&str> = parameters
                    .iter()
                    .filter(|one| one["in"] == "path")
                    .filter_map(|one| one["name"].as_str())
                    .collect();
                assert_eq!(told, named, "{path}");
                assert!(ids.insert(operation["operationId"].as_str().expect("an id").to_owned()), "{path}");
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &serde_json::Value, found: &mut BTreeSet<String>) {
            match value {
                serde_json::Value::Object(fields) => {
                    found.extend(fields.get("$ref").and_then(|to| to.as_str()).map(str::to_owned));
                    fields.values().for_each(|value| references(value, found));
                }
                serde_json::Value::Array(items) => items.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document: serde_json::Value = serde_json::from_slice(&json()).expect("JSON");
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 30, "{found:?}");
        for reference in found {
            assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
        }
    }
}

//! One operation of the document. What its door, its method, its path and its body imply is added here, once, so that a
//! description says only what is its own.

use std::collections::BTreeMap;

use http::Method;
use tributary_engine::limits::{IDEMPOTENCY_KEY_BYTES, PAGE_DEFAULT, PAGE_MAX};
use utoipa::ToSchema;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, Header, HeaderBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Schema};

use super::problems;
use super::shapes::Problem;

/// The name of the security scheme.
pub const BEARER: &str = "bearer";
/// An id as requests have it.
pub const ID_PATTERN: &str = "^[0-9]{1,19}$";

/// Who may ask: the doors of the table of routes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    Probe,
    Guest,
    /// Anybody, and whoever has a token is known by it.
    Visitor,
    User,
    Operator,
}

/// A named schema.
pub type Named = (String, RefOr<Schema>);

/// An operation under description.
pub struct Described {
    /// Its method.
    pub method: Method,
    /// The pattern of its path.
    pub path: &'static str,
    /// Who may ask.
    pub who: Who,
    operation: OperationBuilder,
    answers: Vec<(u16, ResponseBuilder)>,
    refusals: BTreeMap<u16, Vec<&'static str>>,
    /// Headers of its refusals.
    with_refusals: Vec<(&'static str, &'static str)>,
    schemas: Vec<Named>,
}

/// Anybody may ask, any number of times, every process.
pub fn probe(method: Method, path: &'static str, id: &str, summary: &str) -> Described {
    Described::new(Who::Probe, method, path, id, summary)
}

/// Anybody may ask, without a token.
pub fn guest(method: Method, path: &'static str, id: &str, summary: &str) -> Described {
    Described::new(Who::Guest, method, path, id, summary)
}

/// Anybody may ask; whoever sends a token is answered as that user.
pub fn visitor(method: Method, path: &'static str, id: &str, summary: &str) -> Described {
    Described::new(Who::Visitor, method, path, id, summary)
}

/// Whoever has a token may ask.
pub fn user(method: Method, path: &'static str, id: &str, summary: &str) -> Described {
    Described::new(Who::User, method, path, id, summary)
}

/// Whoever has an operator's token may ask.
pub fn operator(method: Method, path: &'static str, id: &str, summary: &str) -> Described {
    Described::new(Who::Operator, method, path, id, summary)
}

impl Described {
    fn new(who: Who, method: Method, path: &'static str, id: &str, summary: &str) -> Self {
        let operation = OperationBuilder::new().operation_id(Some(id)).summary(Some(summary));
        let (answers, refusals, with_refusals, schemas) = (vec![], BTreeMap::new(), vec![], vec![]);
        Self { method, path, who, operation, answers, refusals, with_refusals, schemas }.implied()
    }

    fn implied(mut self) -> Self {
        self = self.refuses(414, &["uri_too_long"]).refuses(431, &["headers_too_large"]).refuses(503, &["unavailable"]);
        if self.who != Who::Probe {
            self = self.refuses(429, &["rate_limited"]);
        }
        let (nobody, bearer) = (SecurityRequirement::default(), SecurityRequirement::new(BEARER, [""; 0]));
        let admitted = match self.who {
            // An empty list says that there is none, whatever a reader's default is.
            Who::Probe | Who::Guest => vec![],
            Who::Visitor => vec![nobody, bearer],
            Who::User | Who::Operator => vec![bearer],
        };
        if !admitted.is_empty() {
            self = self.refuses(400, &["duplicate_header"]);
            self = self.refuses(401, &["token_missing", "token_invalid", "token_expired"]);
        }
        self.operation = self.operation.securities(Some(admitted));
        if self.who == Who::Operator {
            self = self.refuses(403, &["operator_required"]);
        }
        if self.path.contains("{id}") {
            self = self.refuses(400, &["bad_id"]);
        }
        if self.method != Method::GET {
            self = self.refuses(400, &["bad_body"]).refuses(408, &["slow_body"]).refuses(413, &["body_too_large"]);
        }
        if self.is_command() {
            self = self.refuses(400, &["bad_idempotency_key"]);
            self = self.refuses(409, &["idempotency_key_in_flight"]).refuses(422, &["idempotency_key_reused"]);
            let key = text().pattern(Some("^[!-~]+$")).max_length(Some(IDEMPOTENCY_KEY_BYTES));
            self = self.sends(
                "Idempotency-Key",
                "Names the request: for 24 hours, the same key and request of the same user get the stored answer.",
                key,
            );
        }
        self
    }

    /// Whether it takes an `Idempotency-Key`.
    fn is_command(&self) -> bool {
        self.method != Method::GET && matches!(self.who, Who::User | Who::Operator)
    }

    /// More about it, in Markdown.
    pub fn about(mut self, text: &str) -> Self {
        self.operation = self.operation.description(Some(text));
        self
    }

    /// What stands for `{name}` in its path.
    pub fn segment(self, name: &str, what: &str, schema: ObjectBuilder) -> Self {
        self.parameter(ParameterIn::Path, name, what, schema, true)
    }

    /// What the `{id}` of its path is.
    pub fn id(self, what: &str) -> Self {
        self.segment("id", what, text().pattern(Some(ID_PATTERN)).examples(["506806140928000001"]))
    }

    /// A parameter of its query.
    pub fn query(self, name: &str, what: &str, schema: ObjectBuilder, required: bool) -> Self {
        self.parameter(ParameterIn::Query, name, what, schema, required)
    }

    /// A header that may be sent.
    pub fn sends(self, name: &str, what: &str, schema: ObjectBuilder) -> Self {
        self.parameter(ParameterIn::Header, name, what, schema, false)
    }

    fn parameter(mut self, at: ParameterIn, name: &str, what: &str, schema: ObjectBuilder, required: bool) -> Self {
        let required = if required { Required::True } else { Required::False };
        let parameter =
            ParameterBuilder::new().name(name).parameter_in(at).description(Some(what)).schema(Some(schema));
        self.operation = self.operation.parameter(parameter.required(required).build());
        self
    }

    /// It is a list, read in pages.
    pub fn list(self) -> Self {
        let limit = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(PAGE_MAX))
            .default(Some(PAGE_DEFAULT.into()));
        self.query("limit", "Items of the page at the most.", limit, false)
            .query("cursor", "The `next` of the page before: opaque, and good for this list alone.", text(), false)
            .refuses(400, &["bad_limit", "bad_parameter", "bad_cursor"])
    }

    /// It takes a JSON body of this shape.
    pub fn takes<T: ToSchema>(mut self) -> Self {
        let schema = self.named::<T>();
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let body = RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True));
        self.operation = self.operation.request_body(Some(body.build()));
        self.refuses(400, &["bad_json", "duplicate_header"]).refuses(415, &["not_json"])
    }

    /// It answers this status with a JSON body of this shape.
    pub fn answers<T: ToSchema>(mut self, status: u16, what: &str) -> Self {
        let schema = self.named::<T>();
        let content = ContentBuilder::new().schema(Some(schema)).build();
        self.answer(status, ResponseBuilder::new().description(what).content("application/json", content))
    }

    /// It answers this status with a body of another type.
    pub fn answers_as(self, status: u16, content_type: &str, schema: ObjectBuilder, what: &str) -> Self {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        self.answer(status, ResponseBuilder::new().description(what).content(content_type, content))
    }

    /// It answers this status without a body.
    pub fn answers_nothing(self, status: u16, what: &str) -> Self {
        self.answer(status, ResponseBuilder::new().description(what))
    }

    fn answer(mut self, status: u16, response: ResponseBuilder) -> Self {
        let mut response = response.header("X-Request-Id", told("Names the request in the server's log."));
        for (name, what) in problems::RATES.iter().filter(|_| self.who != Who::Probe) {
            response = response.header(*name, told(what));
        }
        if self.is_command() && (200..300).contains(&status) {
            let what = "`true`: this is the stored answer to an earlier request with the same key.";
            response = response.header("Idempotency-Replayed", told(what));
        }
        self.answers.push((status, response));
        self
    }

    /// A header of the answer described last.
    pub fn with(mut self, name: &str, what: &str) -> Self {
        let (status, response) = self.answers.pop().expect("an answer is described before its headers");
        self.answers.push((status, response.header(name, told(what))));
        self
    }

    /// Its answer has a validator: whoever has it already is told so.
    pub fn validated(self, what: &str) -> Self {
        let known = text().examples(["\"3\""]);
        self.with("ETag", what)
            .sends("If-None-Match", "The `ETag` of an answer that one has.", known)
            .answers_nothing(304, "It is what one has.")
            .with("ETag", what)
    }

    /// It refuses with this status, for the reasons that these codes name.
    pub fn refuses(mut self, status: u16, codes: &[&'static str]) -> Self {
        let known = self.refusals.entry(status).or_default();
        for code in codes {
            if !known.contains(code) {
                known.push(code);
            }
        }
        self
    }

    /// A header that comes with refusals.
    pub fn refuses_with(mut self, name: &'static str, what: &'static str) -> Self {
        self.with_refusals.push((name, what));
        self
    }

    /// A reference to the schema of `T`, which is kept with all that it names.
    fn named<T: ToSchema>(&mut self) -> Ref {
        let name = T::name().into_owned();
        let reference = Ref::from_schema_name(&name);
        self.schemas.push((name, T::schema()));
        T::schemas(&mut self.schemas);
        reference
    }

    /// The whole operation, under a tag, and the schemas that it names.
    pub fn finish(mut self, tag: &str) -> (HttpMethod, Operation, Vec<Named>) {
        let mut responses: BTreeMap<u16, RefOr<Response>> = BTreeMap::new();
        for (status, codes) in std::mem::take(&mut self.refusals) {
            responses.insert(status, problems::refusal(status, &codes, &self.with_refusals));
        }
        let problem = ContentBuilder::new().schema(Some(Problem::reference())).build();
        for (status, response) in std::mem::take(&mut self.answers) {
            // A status that can say both: a report of its own, or that there is none.
            let both = responses.contains_key(&status);
            let response = if both { response.content(problems::CONTENT_TYPE, problem.clone()) } else { response };
            responses.insert(status, response.into());
        }
        let mut operation = self.operation.tag(tag);
        for (status, response) in responses {
            operation = operation.response(status.to_string(), response);
        }
        let method = match self.method {
            Method::GET => HttpMethod::Get,
            Method::POST => HttpMethod::Post,
            Method::PUT => HttpMethod::Put,
            Method::DELETE => HttpMethod::Delete,
            other => unreachable!("no route has the method {other}"),
        };
        (method, operation.build(), self.schemas)
    }
}

/// The schema of a text.
pub fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// A header of an answer.
pub fn told(what: &str) -> Header {
    HeaderBuilder::new().schema(Some(text())).description(Some(what)).build()
}

/// A header that tells a number of seconds.
pub fn seconds(what: &str) -> Header {
    let schema = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    HeaderBuilder::new().schema(Some(schema)).description(Some(what)).build()
}

//! The document of the API, and Swagger UI over it: pages that run nothing but their own files, which are compiled in.
//! Of Swagger UI these are two files of npm's `swagger-ui-dist` 5.35.0, with its licence beside them in `docs/vendor`.

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue};

use crate::http::openapi;
use crate::http::problem::Fault;
use crate::http::respond::{self, Answer};
use crate::http::router::Call;

/// The style sheet has its pictures in it, as `data:`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /openapi.json`
pub async fn document(_call: Call) -> Result<Answer, Fault> {
    Ok(respond::bytes(StatusCode::OK, "application/json", openapi::json()))
}

/// `GET /docs`
pub async fn page(_call: Call) -> Result<Answer, Fault> {
    Ok(file("text/html; charset=utf-8", include_bytes!("docs/index.html")))
}

/// `GET /docs/init.js`
pub async fn init(_call: Call) -> Result<Answer, Fault> {
    Ok(file(JS, include_bytes!("docs/init.js")))
}

/// `GET /docs/swagger-ui.js`
pub async fn script(_call: Call) -> Result<Answer, Fault> {
    Ok(file(JS, include_bytes!("docs/vendor/swagger-ui-bundle.js")))
}

/// `GET /docs/swagger-ui.css`
pub async fn style(_call: Call) -> Result<Answer, Fault> {
    Ok(file("text/css; charset=utf-8", include_bytes!("docs/vendor/swagger-ui.css")))
}

const JS: &str = "text/javascript; charset=utf-8";

fn file(content_type: &'static str, bytes: &'static [u8]) -> Answer {
    let mut answer = respond::bytes(StatusCode::OK, content_type, bytes);
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

//! The document of the API, and Swagger UI over it: pages that run nothing but their own files, which are compiled in.
//! Of Swagger UI these are two files of npm's `swagger-ui-dist` 5.35.0, with its licence beside them in `docs/vendor`.

use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue};

use crate::http::openapi;
use crate::http::problem::Fault;
use crate::http::respond::{self, Answer};
use crate::http::router::Call;
use crate::http::settings::Asset;

/// The style sheet has its pictures in it, as `data:`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /openapi.json`
pub async fn document(_call: Call) -> Result<Answer, Fault> {
    Ok(respond::bytes(StatusCode::OK, "application/json", openapi::json()))
}

/// `GET /docs`
pub async fn page(call: Call) -> Result<Answer, Fault> {
    Ok(file(&call, "text/html; charset=utf-8", include_bytes!("docs/index.html")).await)
}

/// `GET /docs/init.js`
pub async fn init(call: Call) -> Result<Answer, Fault> {
    Ok(file(&call, JS, include_bytes!("docs/init.js")).await)
}

/// `GET /docs/swagger-ui.js`
pub async fn script(call: Call) -> Result<Answer, Fault> {
    Ok(file(&call, JS, include_bytes!("docs/vendor/swagger-ui-bundle.js")).await)
}

/// `GET /docs/swagger-ui.css`
pub async fn style(call: Call) -> Result<Answer, Fault> {
    Ok(file(&call, "text/css; charset=utf-8", include_bytes!("docs/vendor/swagger-ui.css")).await)
}

const JS: &str = "text/javascript; charset=utf-8";

async fn file(call: &Call, content_type: &'static str, bytes: &'static [u8]) -> Answer {
    let mut answer = call.app.pages.answer(&Asset { content_type, bytes }, &call.parts.headers).await;
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    answer
}

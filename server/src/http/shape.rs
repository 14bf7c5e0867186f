//! What a request says about the form of its answer, and the answer in that form: not again what the client has
//! (304), compressed as it likes, and readable by the page that asked.

use http::header::{HeaderValue, IF_NONE_MATCH, ORIGIN};
use http::{Method, Request};

use super::coding::{self, Coding};
use super::respond::Answer;
use super::{cors, etag};
use crate::config::Origins;

/// What a request says about the form of its answer.
pub struct Asked {
    if_none_match: Vec<HeaderValue>,
    origin: Option<HeaderValue>,
    coding: Option<Coding>,
    /// Whether pages of other origins may call what is asked for.
    is_api: bool,
}

impl Asked {
    /// Of this request.
    pub fn of<B>(request: &Request<B>) -> Self {
        let (headers, path) = (request.headers(), request.uri().path());
        let reads = request.method() == Method::GET || request.method() == Method::HEAD;
        Self {
            if_none_match: match reads {
                true => headers.get_all(IF_NONE_MATCH).iter().cloned().collect(),
                false => Vec::new(),
            },
            origin: headers.get(ORIGIN).cloned(),
            // A body with a secret and a text that somebody else chose would tell of the one by how well it is
            // compressed with the other.
            coding: if holds_secrets(path) { None } else { coding::liked_best(headers) },
            is_api: cors::is_api(path),
        }
    }

    /// The answer in this form.
    pub fn shape(&self, origins: &Origins, mut answer: Answer) -> Answer {
        let compresses = coding::pays(&answer);
        if etag::validator(&answer).is_some_and(|etag| etag::names(&self.if_none_match, etag)) {
            etag::not_modified(&mut answer);
        } else if let Some(coding) = self.coding.filter(|_| compresses) {
            answer = coding::coded(answer, coding);
        }
        if compresses {
            coding::varies(answer.headers_mut());
        }
        if self.is_api {
            cors::expose(origins, self.origin.as_ref(), answer.headers_mut());
        }
        answer
    }
}

/// Whether answers of this path have tokens in them.
fn holds_secrets(path: &str) -> bool {
    path.starts_with("/v1/auth/")
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http::header::{CONTENT_ENCODING, ETAG, VARY};

    use super::*;
    use crate::http::respond;

    fn shaped(path: &str, answer: Answer) -> Answer {
        let request =
            Request::get(path).header("accept-encoding", "gzip").header("if-none-match", "*").body(()).unwrap();
        Asked::of(&request).shape(&Origins::Only(Vec::new()), answer)
    }

    fn json(bytes: usize) -> Answer {
        respond::json(StatusCode::OK, &"a".repeat(bytes))
    }

    #[test]
    fn answers_with_secrets_are_not_compressed() {
        assert!(!shaped("/v1/auth/refresh", json(5_000)).headers().contains_key(CONTENT_ENCODING));
        assert!(shaped("/v1/feed", json(5_000)).headers().contains_key(CONTENT_ENCODING));
    }

    #[test]
    fn neither_small_nor_huge_answers_are_compressed() {
        for bytes in [10, 1_000, 300_000] {
            let answer = shaped("/v1/feed", json(bytes));
            assert!(
                !answer.headers().contains_key(CONTENT_ENCODING) && !answer.headers().contains_key(VARY),
                "{bytes}"
            );
        }
    }

    #[test]
    fn only_a_good_answer_with_a_validator_is_what_the_client_has() {
        let tagged = |status| {
            let mut answer = json(10);
            *answer.status_mut() = status;
            answer.headers_mut().insert(ETAG, HeaderValue::from_static("\"1\""));
            answer
        };
        assert_eq!(shaped("/", tagged(StatusCode::OK)).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(shaped("/", tagged(StatusCode::CREATED)).status(), StatusCode::CREATED);
        assert_eq!(shaped("/", json(10)).status(), StatusCode::OK);
    }
}

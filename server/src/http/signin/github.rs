//! GitHub: plain OAuth 2. There is no ID token; whom the access token belongs to is asked of its API.

use anyhow::Result;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use openidconnect::url::{ParseError, Url, form_urlencoded};
use openidconnect::{PkceCodeChallenge, PkceCodeVerifier};
use serde::Deserialize;

use super::attempt::Attempt;
use super::{Claims, Provider, code_refused};
use crate::http::problem::Fault;

/// Where GitHub is: the one of everybody, or one of one's own.
pub struct Github {
    authorize: Url,
    token: Url,
    user: Url,
}

/// What the token endpoint says, with status 200 in any case.
#[derive(Deserialize)]
struct Granted {
    access_token: Option<String>,
    error: Option<String>,
}

impl Github {
    /// The installation at `base`, or none's own.
    pub fn new(base: Option<&str>) -> Result<Self, ParseError> {
        let user = match base {
            Some(base) => format!("{base}/api/v3/user"),
            None => "https://api.github.com/user".to_owned(),
        };
        let base = base.unwrap_or("https://github.com");
        Ok(Self {
            authorize: format!("{base}/login/oauth/authorize").parse()?,
            token: format!("{base}/login/oauth/access_token").parse()?,
            user: user.parse()?,
        })
    }

    /// Where a browser goes for this attempt.
    pub fn authorize(&self, provider: &Provider, attempt: &Attempt) -> Url {
        let settings = &provider.settings;
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(attempt.verifier.clone()));
        let mut url = self.authorize.clone();
        let mut query = url.query_pairs_mut();
        query.append_pair("response_type", "code").append_pair("client_id", &settings.client_id);
        query.append_pair("redirect_uri", settings.redirect_url.as_str()).append_pair("state", &attempt.state());
        query.append_pair("code_challenge", challenge.as_str()).append_pair("code_challenge_method", "S256");
        if !settings.scopes.is_empty() {
            query.append_pair("scope", &settings.scopes.join(" "));
        }
        drop(query);
        url
    }

    /// Redeems a code; what GitHub says of its user, by the names of OpenID Connect.
    pub async fn claims(&self, provider: &Provider, attempt: &Attempt, code: String) -> Result<Claims, Fault> {
        let request = Request::builder().method(Method::POST).uri(self.token.as_str());
        let request = request.header(ACCEPT, "application/json");
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = request.body(form(provider, attempt, &code).into_bytes()).expect("a URL is a URI");
        let answer = provider.outbound.call(request).await.map_err(|error| provider.unavailable(error))?;
        let granted: Option<Granted> = serde_json::from_slice(answer.body()).ok();
        let granted = granted.filter(|_| answer.status() == StatusCode::OK);
        let granted = granted.ok_or_else(|| provider.unavailable(format!("token endpoint: {}", answer.status())))?;
        let token = match granted {
            Granted { access_token: Some(token), error: None } => token,
            Granted { error: Some(error), .. } if error == "bad_verification_code" => return Err(code_refused()),
            Granted { error, .. } => return Err(provider.unavailable(format!("token endpoint: {error:?}"))),
        };
        let user = provider.outbound.object(&self.user, &token).await;
        let mut user = user.map_err(|error| provider.unavailable(format!("user: {error}")))?;
        // The id stays when a user takes another login, and nobody else ever gets it.
        let id = user.get("id").and_then(serde_json::Value::as_u64);
        let id = id.ok_or_else(|| provider.unavailable("the user has no id"))?;
        user.insert("sub".to_owned(), id.to_string().into());
        if let Some(login) = user.get("login").cloned() {
            user.insert("preferred_username".to_owned(), login);
        }
        Ok(user)
    }
}

fn form(provider: &Provider, attempt: &Attempt, code: &str) -> String {
    let settings = &provider.settings;
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("client_id", &settings.client_id).append_pair("code", code);
    form.append_pair("redirect_uri", settings.redirect_url.as_str());
    form.append_pair("code_verifier", &attempt.verifier);
    if let Some(secret) = &provider.secret {
        form.append_pair("client_secret", secret.secret());
    }
    form.finish()
}

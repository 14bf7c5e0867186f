//! What no log, error or output may have.

use http::Method;
use serde_json::{Value, json};

use super::client::{Client, Reply};

/// Texts of which nobody may be told, each with what it is.
#[derive(Default)]
pub struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    /// One more, whole.
    pub fn add(&mut self, what: &'static str, secret: &str) {
        assert!(secret.len() >= 6, "{what}: so short a text is found by chance");
        self.0.push((what, secret.to_owned()));
    }

    /// One more token: also what makes it good, its last part, alone.
    pub fn add_token(&mut self, what: &'static str, token: &str) {
        self.add(what, token);
        if let Some((_, signature)) = token.rsplit_once('.') {
            self.add(what, signature);
        }
    }

    /// The tokens of sessions, which begin and end meanwhile in every way there is.
    pub async fn add_sessions(&mut self, client: &Client) {
        let post = async |path: &str, body: Value| -> Reply { client.ask(Method::POST, path).json(&body).await };
        let begin = async || post("/v1/auth/dev", json!({"handle": "ann"})).await.expect(200).json();
        let refresh = async |token: &Value| post("/v1/auth/refresh", json!({"refresh_token": token})).await;
        let first = begin().await;
        let second = refresh(&first["refresh_token"]).await.expect(200).json();
        refresh(&first["refresh_token"]).await.problem(401, "refresh_token_reused");
        refresh(&second["refresh_token"]).await.problem(401, "refresh_token_invalid");
        let other = begin().await;
        let token = other["refresh_token"].as_str().unwrap();
        refresh(&Value::from(format!("{token}A"))).await.problem(401, "refresh_token_invalid");
        let wrong = json!({"refresh_token": token, "and": token});
        post("/v1/auth/refresh", wrong).await.problem(400, "bad_json");
        post("/v1/auth/logout", json!({"refresh_token": token})).await.expect(204);
        for tokens in [&first, &second, &other] {
            self.add("a refresh token", tokens["refresh_token"].as_str().unwrap());
            self.add_token("an access token", tokens["access_token"].as_str().unwrap());
        }
    }

    /// None of them is in `told`, neither as it is nor as the numbers of its bytes.
    #[track_caller]
    pub fn assert_not_in(&self, told: &str) {
        for (what, secret) in &self.0 {
            let numbers = format!("{:?}", secret.as_bytes());
            for form in [secret.as_str(), numbers.trim_matches(['[', ']'])] {
                let at = told.find(form).map(|at| told[..at].lines().count());
                assert_eq!(at, None, "{what}: is told in this line of {} bytes", told.len());
            }
        }
    }
}

//! Signing in.

use http::Method;

use super::operation::{Described, guest, text, visitor};
use super::shapes::{Tokens, Ways};
use crate::http::routes::auth::{DevLogin, Held};

/// Each of them.
pub fn operations() -> Vec<Described> {
    let provider = |described: Described| {
        let name = text().examples(["github"]);
        described.segment("provider", "The name of a provider.", name).refuses(404, &["unknown_provider"])
    };
    vec![
        guest(Method::POST, "/v1/auth/dev", "signInAsDeveloper", "Sign in as whoever one says to be")
            .about("Only where the configuration says `auth.dev_login = true`. Makes the user at first sight.")
            .takes::<DevLogin>()
            .answers::<Tokens>(200, "Tokens of the user.")
            .refuses(404, &["unknown_route"])
            .refuses(422, &["bad_handle"]),
        guest(Method::GET, "/v1/auth/providers", "listProviders", "The ways to sign in here")
            .answers::<Ways>(200, "The ways to sign in."),
        provider(visitor(Method::GET, "/v1/auth/{provider}/login", "beginSignIn", "Sign in by a provider"))
            .about("For browsers: authorization code flow with PKCE. With a token, the identity becomes another of its user's.")
            .answers_nothing(302, "To the provider.")
            .with("Location", "The provider's page.")
            .with("Set-Cookie", "What the callback needs to know of the attempt, signed."),
        provider(guest(Method::GET, "/v1/auth/{provider}/callback", "endSignIn", "Where the provider sends one back to"))
            .about("Makes the user at first sight.")
            .query("state", "What the sign-in began with.", text(), true)
            .query("code", "The provider's code.", text(), false)
            .query("error", "Why the provider refused.", text(), false)
            .query("iss", "Who the provider says to be.", text(), false)
            .answers::<Tokens>(200, "Tokens of the user.")
            .with("Set-Cookie", "Takes away the cookie of the login.")
            .refuses_with("Set-Cookie", "Takes away the cookie of the login, where that is known.")
            .refuses(400, &["bad_parameter", "duplicate_header", "bad_state", "bad_issuer", "code_missing"])
            .refuses(400, &["sign_in_refused"])
            .refuses(401, &["code_refused", "id_token_refused"])
            .refuses(403, &["sign_in_denied"])
            .refuses(409, &["identity_taken"]),
        guest(Method::POST, "/v1/auth/refresh", "refreshTokens", "Get new tokens for a refresh token")
            .about("The old refresh token is spent: using it again revokes all that came from the same sign-in.")
            .takes::<Held>()
            .answers::<Tokens>(200, "New tokens.")
            .refuses(401, &["refresh_token_invalid", "refresh_token_reused"]),
        guest(Method::POST, "/v1/auth/logout", "signOut", "Revoke a refresh token")
            .about("And all that came from the same sign-in. Nothing is told of a token that is not known.")
            .takes::<Held>()
            .answers_nothing(204, "It is good no more."),
    ]
}

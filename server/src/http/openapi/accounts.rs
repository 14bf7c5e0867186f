//! Signing in.

use http::Method;
use http::header::{LOCATION, SET_COOKIE};

use super::operation::{Described, guest, text};
use super::shapes::{DevLogin, RefreshToken, Tokens};

pub fn operations() -> Vec<Described> {
    let provider = |described: Described| {
        described.segment("provider", "The name of a provider of the configuration.", text()).refuses(404, &[])
    };
    vec![
        guest(Method::POST, "/v1/auth/dev", "signInAsDeveloper", "Sign in as whoever one says to be")
            .about("Only where the configuration says `auth.dev_login = true`. Makes the user at first sight.")
            .takes::<DevLogin>()
            .answers::<Tokens>(200, "Tokens of the user.")
            .refuses(404, &["unknown_route"])
            .refuses(422, &["bad_handle"]),
        provider(guest(Method::GET, "/v1/auth/{provider}/login", "beginSignIn", "Sign in by a provider"))
            .about("For browsers: authorization code flow with PKCE.")
            .answers_nothing(302, "To the provider.")
            .with(LOCATION, "The provider's page.")
            .with(SET_COOKIE, "What the callback needs to know of the attempt, signed."),
        provider(guest(Method::GET, "/v1/auth/{provider}/callback", "endSignIn", "Where the provider sends one back to"))
            .about("Makes the user at first sight.")
            .query("code", "The provider's code.", text(), false)
            .query("state", "What the sign-in began with.", text(), false)
            .query("error", "Why the provider refused.", text(), false)
            .answers::<Tokens>(200, "Tokens of the user.")
            .refuses(400, &[])
            .refuses(401, &[])
            .refuses(403, &[]),
        guest(Method::POST, "/v1/auth/refresh", "refreshTokens", "Get new tokens for a refresh token")
            .about("The old refresh token is spent: using it again revokes all that came from the same sign-in.")
            .takes::<RefreshToken>()
            .answers::<Tokens>(200, "New tokens.")
            .refuses(401, &[]),
        guest(Method::POST, "/v1/auth/logout", "signOut", "Revoke a refresh token")
            .about("And all that came from the same sign-in.")
            .takes::<RefreshToken>()
            .answers_nothing(204, "It is good no more.")
            .refuses(401, &[]),
    ]
}

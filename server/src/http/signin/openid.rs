//! OpenID Connect: discovery and keys, fetched when they are first needed, kept, and fetched once for all who wait; the code
//! redeemed; the ID token verified.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use chrono::{DateTime, TimeDelta, Utc};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreErrorResponseType, CoreIdToken, CoreIdTokenVerifier,
    CoreJsonWebKeySet, CoreJwsSigningAlgorithm, CoreProviderMetadata,
};
use openidconnect::url::{ParseError, Url};
use openidconnect::{
    AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, CsrfToken, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, HttpRequest, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, SignatureVerificationError, TokenResponse,
};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tributary_engine::ports::Clock;

use super::attempt::Attempt;
use super::outbound::{Outbound, causes};
use super::{Claims, Provider, code_refused};
use crate::config::is_safe;
use crate::http::problem::Fault;

/// How long what a provider says of itself is used before it is asked again.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// The pause after a question without an answer: while there is an older answer, and while there is none.
const ASK_AGAIN: Duration = Duration::from_secs(60);
const ASK_AGAIN_SOON: Duration = Duration::from_secs(1);
/// The shortest time between two fetches of keys because a token did not fit them.
const KEYS_AGAIN: Duration = Duration::from_secs(10);
/// How far a provider's clock may be from ours.
const SKEW: TimeDelta = TimeDelta::seconds(60);
/// Signatures by a key that only the provider has. Those under a shared secret are not among them, nor is `none`.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// An issuer, with what is known of it.
pub struct OpenId {
    issuer: IssuerUrl,
    /// Held while the provider is asked: once for all who wait.
    known: Mutex<Known>,
}

struct Known {
    /// What the provider said of itself, with its keys; or why it is not known.
    said: Result<Arc<CoreProviderMetadata>, String>,
    /// When it is asked again.
    ask_at: Instant,
    /// When keys may be fetched again because a token did not fit them.
    keys_at: Instant,
}

impl OpenId {
    /// Asks nobody yet.
    pub fn new(issuer: &str) -> Result<Self, ParseError> {
        let now = Instant::now();
        let known = Known { said: Err("not asked yet".to_owned()), ask_at: now, keys_at: now };
        Ok(Self { issuer: IssuerUrl::new(issuer.to_owned())?, known: Mutex::new(known) })
    }

    /// Where a browser goes for this attempt.
    pub async fn authorize(&self, provider: &Provider, attempt: &Attempt) -> Result<Url, Fault> {
        let metadata = self.metadata(provider).await?;
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(attempt.verifier.clone()));
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let (state, nonce) = (attempt.state(), attempt.nonce.clone());
        let client = client(provider, &metadata);
        let mut request = client.authorize_url(flow, || CsrfToken::new(state), || Nonce::new(nonce));
        // The library adds `openid` itself.
        for scope in provider.settings.scopes.iter().filter(|scope| *scope != "openid") {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        Ok(request.set_pkce_challenge(challenge).url().0)
    }

    /// Redeems a code; what the provider says of its user, in the ID token and where that is not enough in its user info.
    pub async fn claims(&self, provider: &Provider, attempt: &Attempt, code: String) -> Result<Claims, Fault> {
        let metadata = self.metadata(provider).await?;
        let client = client(provider, &metadata);
        let request = client.exchange_code(AuthorizationCode::new(code));
        let request = request.map_err(|_| provider.unavailable("it names no token endpoint"))?;
        let request = request.set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier.clone()));
        let tokens = request.request_async(&http(&provider.outbound)).await.map_err(|error| match error {
            RequestTokenError::ServerResponse(said) if *said.error() == CoreErrorResponseType::InvalidGrant => {
                code_refused()
            }
            RequestTokenError::ServerResponse(said) => {
                provider.unavailable(format!("token endpoint: {:?}", said.error()))
            }
            RequestTokenError::Request(error) => provider.unavailable(format!("token endpoint: {error}")),
            // What was not understood may hold tokens, and the error may quote it.
            RequestTokenError::Parse(error, _) => {
                provider.unavailable(format!("token endpoint: malformed at {}", error.path()))
            }
            RequestTokenError::Other(why) => provider.unavailable(format!("token endpoint: {why}")),
        })?;
        let token = tokens.id_token().ok_or_else(|| provider.unavailable("there is no ID token"))?;
        self.verify(provider, &metadata, token, &Nonce::new(attempt.nonce.clone())).await?;
        let mut claims = payload(token).ok_or_else(|| provider.unavailable("the ID token's claims are no object"))?;
        if let Some(endpoint) = metadata.userinfo_endpoint().filter(|_| lacks(provider, &claims)) {
            let said = provider.outbound.object(endpoint.url(), tokens.access_token().secret()).await;
            let said = said.map_err(|error| provider.unavailable(format!("user info: {error}")))?;
            if said.get("sub") != claims.get("sub") {
                return Err(provider.unavailable("user info: it is of another subject"));
            }
            for (claim, value) in said {
                claims.entry(claim).or_insert(value);
            }
        }
        Ok(claims)
    }

    /// What the provider says of itself.
    async fn metadata(&self, provider: &Provider) -> Result<Arc<CoreProviderMetadata>, Fault> {
        let mut known = self.known.lock().await;
        if Instant::now() >= known.ask_at {
            match discover(&self.issuer, &provider.outbound).await {
                Ok(said) => {
                    known.said = Ok(Arc::new(said));
                    known.ask_at = Instant::now() + FRESH;
                }
                Err(why) => {
                    tracing::warn!(provider = provider.settings.name, why, "a sign-in provider cannot be asked");
                    let older = known.said.is_ok();
                    known.ask_at = Instant::now() + if older { ASK_AGAIN } else { ASK_AGAIN_SOON };
                    if !older {
                        known.said = Err(why);
                    }
                }
            }
        }
        known.said.clone().map_err(|why| provider.unavailable(why))
    }

    /// The keys newly fetched, where `metadata` has those of the last fetch and that is not too soon; none: they are
    /// what they were.
    async fn with_new_keys(
        &self,
        provider: &Provider,
        metadata: &Arc<CoreProviderMetadata>,
    ) -> Result<Option<Arc<CoreProviderMetadata>>, Fault> {
        let mut known = self.known.lock().await;
        if let Ok(said) = &known.said
            && !Arc::ptr_eq(said, metadata)
        {
            return Ok(Some(said.clone()));
        }
        if Instant::now() < known.keys_at {
            return Ok(None);
        }
        known.keys_at = Instant::now() + KEYS_AGAIN;
        let keys = CoreJsonWebKeySet::fetch_async(metadata.jwks_uri(), &http(&provider.outbound)).await;
        let keys = keys.map_err(|error| provider.unavailable(format!("keys: {}", causes(&error))))?;
        let said = Arc::new(CoreProviderMetadata::clone(metadata).set_jwks(keys));
        known.said = Ok(said.clone());
        Ok(Some(said))
    }

    /// Whether the ID token is the provider's, for us, for this attempt and for now. One that fits no key may be signed by
    /// a newer one.
    async fn verify(
        &self,
        provider: &Provider,
        metadata: &Arc<CoreProviderMetadata>,
        token: &CoreIdToken,
        nonce: &Nonce,
    ) -> Result<(), Fault> {
        let mut verified = fits(provider, metadata, token, nonce);
        if let Err(ClaimsVerificationError::SignatureVerification(why)) = &verified
            && !matches!(why, SignatureVerificationError::DisallowedAlg(_))
            && let Some(newer) = self.with_new_keys(provider, metadata).await?
        {
            verified = fits(provider, &newer, token, nonce);
        }
        verified.map_err(|why| {
            // Quoted, for it repeats what the token says.
            tracing::warn!(provider = provider.settings.name, why = ?why.to_string(), "an ID token is refused");
            Fault::unauthorized("id_token_refused", "the provider's word about you does not hold: begin again")
        })
    }
}

/// The provider's metadata with its keys; browsers and secrets may go where it says.
async fn discover(issuer: &IssuerUrl, outbound: &Outbound) -> Result<CoreProviderMetadata, String> {
    let said = CoreProviderMetadata::discover_async(issuer.clone(), &http(outbound)).await;
    let said = said.map_err(|error| causes(&error))?;
    match is_safe(said.authorization_endpoint().url()) {
        true => Ok(said),
        false => Err("its authorization endpoint is neither https:// nor on a loopback address".to_owned()),
    }
}

fn client(provider: &Provider, metadata: &CoreProviderMetadata) -> Client {
    let settings = &provider.settings;
    let id = ClientId::new(settings.client_id.clone());
    let client = CoreClient::from_provider_metadata(metadata.clone(), id, provider.secret.clone());
    let redirect = RedirectUrl::from_url(settings.redirect_url.clone());
    // Basic is what a provider that names no method takes.
    let takes = |method| metadata.token_endpoint_auth_methods_supported().is_none_or(|all| all.contains(&method));
    let in_body = !takes(CoreClientAuthMethod::ClientSecretBasic) && takes(CoreClientAuthMethod::ClientSecretPost);
    let how = if in_body { AuthType::RequestBody } else { AuthType::BasicAuth };
    client.set_redirect_uri(redirect).set_auth_type(how)
}

/// The library's way to ask.
fn http(outbound: &Outbound) -> impl Fn(HttpRequest) -> futures::future::BoxFuture<'static, Answered> + use<> {
    let outbound = outbound.clone();
    move |request| {
        let outbound = outbound.clone();
        Box::pin(async move { outbound.call(request).await })
    }
}

type Answered = Result<openidconnect::HttpResponse, super::outbound::OutboundError>;

fn fits(
    provider: &Provider,
    metadata: &CoreProviderMetadata,
    token: &CoreIdToken,
    nonce: &Nonce,
) -> Result<(), ClaimsVerificationError> {
    let now = i64::try_from(Clock::System.now().0).ok().and_then(DateTime::<Utc>::from_timestamp_millis);
    let now = now.expect("the clock shows a time that a calendar has");
    let id = ClientId::new(provider.settings.client_id.clone());
    let issued =
        move |at: DateTime<Utc>| if at > now + SKEW { Err("it is issued in the future".to_owned()) } else { Ok(()) };
    let verifier = CoreIdTokenVerifier::new_public_client(id, metadata.issuer().clone(), metadata.jwks().clone())
        .set_allowed_algs(ALGORITHMS)
        .set_time_fn(move || now - SKEW)
        .set_issue_time_verifier_fn(issued);
    token.claims(&verifier, nonce).map(drop)
}

/// All claims of a token that was verified: the library keeps those that it knows.
fn payload(token: &CoreIdToken) -> Option<Claims> {
    let text = token.to_string();
    let payload = text.split('.').nth(1)?;
    serde_json::from_slice(&BASE64.decode(payload).ok()?).ok()
}

/// Whether the ID token leaves open what user info may say: a name, or who is an operator.
fn lacks(provider: &Provider, claims: &Claims) -> bool {
    let named = ["preferred_username", "name", "email"].iter().any(|&claim| claims.contains_key(claim));
    let decided = provider.settings.operator.as_ref().is_none_or(|(claim, _)| claims.contains_key(claim));
    !named || !decided
}

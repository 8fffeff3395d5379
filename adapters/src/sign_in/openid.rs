//! OpenID Connect (Core 1.0, Discovery 1.0): the authorization code flow with PKCE, a nonce, and an ID token whose
//! signature, issuer, audience and time are checked by the `openidconnect` crate, over our own HTTP client.

use std::{error::Error, sync::Arc, time::Duration};

use annals_commands::ports::sign_in::{
    ProviderInfo, SignInFailure, SignInGrant, SignInProvider, SignInRequest, VouchedFor,
};
use annals_domain::identity::ExternalSubject;
use async_trait::async_trait;
use chrono::{TimeDelta, Utc};
use openidconnect::{
    AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, DiscoveryError,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, StandardErrorResponse, TokenResponse,
    UserInfoError,
    core::{
        CoreAuthenticationFlow, CoreClient, CoreErrorResponseType, CoreIdToken, CoreIdTokenClaims,
        CoreProviderMetadata, CoreTokenResponse, CoreUserInfoClaims,
    },
};
use tokio::{sync::Mutex, time::Instant};
use url::Url;

use super::{ClientAuthentication, Registration, STEP_TIME, address, person};
use crate::net::{Deadline, ForbiddenUrl, HttpClient, HttpRequest, NetError};

/// How long the provider's addresses and keys count. Keys that rotated before are found out by a token that
/// none of them signed.
const KNOWN_FOR: Duration = Duration::from_secs(60 * 60);
/// Clocks may differ by so much.
const LEEWAY: TimeDelta = TimeDelta::seconds(60);

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A provider that its issuer's address is enough to know.
pub struct OpenIdProvider {
    info: ProviderInfo,
    issuer: IssuerUrl,
    registration: Registration,
    http: HttpClient,
    /// Held while it is fetched: a crowd asks once.
    known: Mutex<Option<Known>>,
}

#[derive(Clone)]
struct Known {
    metadata: Arc<CoreProviderMetadata>,
    since: Instant,
}

impl OpenIdProvider {
    /// # Errors
    /// If the issuer is no URL.
    pub fn new(
        info: ProviderInfo,
        registration: Registration,
        http: HttpClient,
    ) -> Result<Self, url::ParseError> {
        let issuer = IssuerUrl::new(info.issuer.as_str().to_string())?;
        Ok(Self { info, issuer, registration, http, known: Mutex::default() })
    }

    /// The provider's own document and keys, fetched when they are needed.
    async fn metadata(&self, deadline: Deadline) -> Result<Arc<CoreProviderMetadata>, SignInFailure> {
        let mut known = self.known.lock().await;
        match &*known {
            Some(known) if known.since.elapsed() < KNOWN_FOR => Ok(Arc::clone(&known.metadata)),
            _ => self.fetch(&mut known, deadline).await,
        }
    }

    /// Fetched again, because a token was signed with a key that was not among them.
    async fn newer_metadata(
        &self,
        than: &Arc<CoreProviderMetadata>,
        deadline: Deadline,
    ) -> Result<Arc<CoreProviderMetadata>, SignInFailure> {
        let mut known = self.known.lock().await;
        match &*known {
            Some(known) if !Arc::ptr_eq(&known.metadata, than) => Ok(Arc::clone(&known.metadata)),
            _ => self.fetch(&mut known, deadline).await,
        }
    }

    async fn fetch(
        &self,
        known: &mut Option<Known>,
        deadline: Deadline,
    ) -> Result<Arc<CoreProviderMetadata>, SignInFailure> {
        let http = |request| send(self.http.clone(), deadline, request);
        let fetched = CoreProviderMetadata::discover_async(self.issuer.clone(), &http).await;
        let metadata = Arc::new(fetched.map_err(not_discovered)?);
        *known = Some(Known { metadata: Arc::clone(&metadata), since: Instant::now() });
        Ok(metadata)
    }

    fn client(&self, metadata: &CoreProviderMetadata, redirect_uri: &Url) -> Client {
        let registration = &self.registration;
        CoreClient::from_provider_metadata(
            metadata.clone(),
            ClientId::new(registration.client_id.clone()),
            registration.client_secret.clone().map(ClientSecret::new),
        )
        .set_redirect_uri(RedirectUrl::from_url(redirect_uri.clone()))
        .set_auth_type(match registration.authentication {
            ClientAuthentication::Basic => AuthType::BasicAuth,
            ClientAuthentication::Post => AuthType::RequestBody,
        })
    }

    /// What the ID token says, if it is the provider's, for us, of this sign-in and in time.
    async fn claims(
        &self,
        token: &CoreIdToken,
        nonce: &Nonce,
        (metadata, redirect_uri): (&Arc<CoreProviderMetadata>, &Url),
        deadline: Deadline,
    ) -> Result<CoreIdTokenClaims, SignInFailure> {
        let client = self.client(metadata, redirect_uri);
        let failed = match verified(token, &client, nonce) {
            Ok(claims) => return Ok(claims),
            Err(failed) => failed,
        };
        if !matches!(failed, ClaimsVerificationError::SignatureVerification(_)) {
            return Err(untrusted(&failed));
        }
        let newer = self.newer_metadata(metadata, deadline).await?;
        verified(token, &self.client(&newer, redirect_uri), nonce).map_err(|failed| untrusted(&failed))
    }

    /// The address and name, where the ID token does not have them.
    async fn ask_who(
        &self,
        client: &Client,
        tokens: &CoreTokenResponse,
        claims: &CoreIdTokenClaims,
        deadline: Deadline,
    ) -> Result<Option<CoreUserInfoClaims>, SignInFailure> {
        // Without such an endpoint there is nobody to ask.
        let Ok(request) = client.user_info(tokens.access_token().clone(), Some(claims.subject().clone()))
        else {
            return Ok(None);
        };
        let http = |request| send(self.http.clone(), deadline, request);
        request.request_async(&http).await.map(Some).map_err(not_told)
    }
}

#[async_trait]
impl SignInProvider for OpenIdProvider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    async fn authorization_url(&self, request: &SignInRequest) -> Result<Url, SignInFailure> {
        let metadata = self.metadata(Deadline::within(STEP_TIME)).await?;
        let client = self.client(&metadata, &request.redirect_uri);
        let verifier = PkceCodeVerifier::new(request.code_verifier.clone());
        let (state, nonce) = (request.state.clone(), request.nonce.clone());
        // The scope `openid` is added by itself.
        let scopes = self.registration.scopes.iter().filter(|scope| *scope != "openid");
        let asked = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce),
            )
            .add_scopes(scopes.cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        Ok(asked.url().0)
    }

    async fn complete(&self, grant: SignInGrant) -> Result<VouchedFor, SignInFailure> {
        let deadline = Deadline::within(STEP_TIME);
        let metadata = self.metadata(deadline).await?;
        let client = self.client(&metadata, &grant.redirect_uri);
        let http = |request| send(self.http.clone(), deadline, request);
        let request = client.exchange_code(AuthorizationCode::new(grant.code)).map_err(|error| {
            SignInFailure::unavailable("it names no address to exchange codes at").caused_by(error)
        })?;
        let verifier = PkceCodeVerifier::new(grant.code_verifier);
        let tokens = request.set_pkce_verifier(verifier).request_async(&http).await.map_err(not_exchanged)?;
        let token = tokens
            .id_token()
            .ok_or_else(|| SignInFailure::Untrusted("there is no ID token in it".to_string()))?;
        let nonce = Nonce::new(grant.nonce);
        let claims = self.claims(token, &nonce, (&metadata, &grant.redirect_uri), deadline).await?;
        let subject = ExternalSubject::parse(claims.subject().as_str())
            .map_err(|fault| SignInFailure::Untrusted(format!("the subject {fault}")))?;
        let mut vouched = VouchedFor {
            subject,
            email: claims.email().and_then(|email| address(email)),
            email_is_verified: claims.email_verified() == Some(true),
            name: claims.name().and_then(|name| name.get(None)).and_then(|name| person(name)),
        };
        if vouched.email.is_none()
            && let Some(told) = self.ask_who(&client, &tokens, &claims, deadline).await?
        {
            vouched.email = told.email().and_then(|email| address(email));
            vouched.email_is_verified = told.email_verified() == Some(true);
            let name = told.name().and_then(|name| name.get(None)).and_then(|name| person(name));
            vouched.name = vouched.name.or(name);
        }
        Ok(vouched)
    }
}

fn verified(
    token: &CoreIdToken,
    client: &Client,
    nonce: &Nonce,
) -> Result<CoreIdTokenClaims, ClaimsVerificationError> {
    let verifier = client.id_token_verifier().set_time_fn(|| Utc::now() - LEEWAY);
    token.claims(&verifier, nonce).cloned()
}

/// One call of the crate's, over our own client: bounded, and never to an address that the policy forbids.
async fn send(
    http: HttpClient,
    deadline: Deadline,
    request: openidconnect::HttpRequest,
) -> Result<openidconnect::HttpResponse, NetError> {
    let (head, body) = request.into_parts();
    let url: Url = head.uri.to_string().parse().map_err(|_| ForbiddenUrl::NoHost)?;
    let body = (!body.is_empty()).then_some(body);
    let request = HttpRequest { method: head.method, url, headers: head.headers, body, deadline };
    let answer = http.send(request).await?;
    let mut response = http::Response::new(answer.body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(response)
}

fn not_discovered(error: DiscoveryError<NetError>) -> SignInFailure {
    let message = match &error {
        DiscoveryError::Request(error) => format!("its document could not be fetched: {error}"),
        DiscoveryError::Response(status, ..) => {
            format!("its document could not be fetched: it answered {status}")
        }
        _ => "its document is not that of this issuer".to_string(),
    };
    SignInFailure::unavailable(message).caused_by(InWords::of(&error))
}

fn not_exchanged(
    error: RequestTokenError<NetError, StandardErrorResponse<CoreErrorResponseType>>,
) -> SignInFailure {
    match &error {
        RequestTokenError::ServerResponse(refusal) if is_of_the_code(refusal.error()) => {
            SignInFailure::Refused("the code was used already or is too old, sign in again".to_string())
        }
        RequestTokenError::ServerResponse(_) => SignInFailure::unavailable(
            "it does not take this installation's credentials: its operator has to correct them",
        )
        .caused_by(InWords::of(&error)),
        RequestTokenError::Request(cause) => {
            SignInFailure::unavailable(cause.to_string()).caused_by(InWords::of(&error))
        }
        // Its words may hold tokens: they are not kept.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            SignInFailure::unavailable("it answered in a way that is not understood")
        }
    }
}

fn is_of_the_code(error: &CoreErrorResponseType) -> bool {
    matches!(error, CoreErrorResponseType::InvalidGrant | CoreErrorResponseType::InvalidRequest)
}

fn not_told(error: UserInfoError<NetError>) -> SignInFailure {
    match &error {
        UserInfoError::ClaimsVerification(_) => {
            SignInFailure::Untrusted("it tells of another account than the one that signed in".to_string())
        }
        _ => SignInFailure::unavailable("it does not tell the account's address")
            .caused_by(InWords::of(&error)),
    }
}

fn untrusted(error: &ClaimsVerificationError) -> SignInFailure {
    let what = match error {
        ClaimsVerificationError::Expired(_) => "it has expired",
        ClaimsVerificationError::InvalidAudience(_) => "it is for another client",
        ClaimsVerificationError::InvalidIssuer(_) => "it is of another issuer",
        ClaimsVerificationError::InvalidNonce(_) => "it is of another sign-in",
        ClaimsVerificationError::SignatureVerification(_) => "its signature does not hold",
        _ => "it is not what it has to be",
    };
    SignInFailure::Untrusted(format!("the ID token: {what}"))
}

/// An error and what caused it, as words: those of the crate can't be sent between threads.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct InWords(String);

impl InWords {
    fn of(error: &dyn Error) -> Self {
        let mut words = error.to_string();
        let mut next = error.source();
        while let Some(error) = next {
            words.push_str(": ");
            words.push_str(&error.to_string());
            next = error.source();
        }
        Self(words)
    }
}

//! Letting us in at a platform: the authorization code flow of OAuth 2 (RFC 6749) with PKCE (RFC 7636).

use async_trait::async_trait;
use serde_json::Value;
use url::Url;

use super::{ConnectedAccount, ProviderError};

/// What sends a person to their platform and back.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    /// Where the platform sends them afterwards, the same at both ends.
    pub redirect_uri: Url,
    /// Comes back unchanged; holds nothing that the platform could read.
    pub state: String,
    /// SHA-256 of the verifier (method `S256`).
    pub code_challenge: String,
}

/// What the person came back with.
#[derive(Clone)]
pub struct AuthorizationGrant {
    pub code: String,
    pub code_verifier: String,
    pub redirect_uri: Url,
}

/// The steps of a platform that people let us in at.
#[async_trait]
pub trait OAuth2Platform: Send + Sync {
    /// Whatever comes before anyone can be sent there, such as registering with the server that the user
    /// named. What it returns is sealed into the state and comes back with the grant.
    ///
    /// # Errors
    /// If the server is none, forbidden, or does not answer.
    async fn prepare(&self, fields: Value, redirect_uri: &Url) -> Result<Value, ProviderError>;

    /// Where the person is sent. No I/O.
    ///
    /// # Errors
    /// If what was prepared can't be read.
    fn authorization_url(
        &self,
        prepared: &Value,
        request: &AuthorizationRequest,
    ) -> Result<Url, ProviderError>;

    /// Exchanges the code for tokens and reads whose they are.
    ///
    /// # Errors
    /// If the platform refuses the code or does not answer.
    async fn complete(
        &self,
        prepared: Value,
        grant: AuthorizationGrant,
    ) -> Result<ConnectedAccount, ProviderError>;
}

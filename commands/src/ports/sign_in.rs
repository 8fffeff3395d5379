//! Signing in with an account at another provider: OpenID Connect, or OAuth 2 with an endpoint that tells
//! who somebody is. What the write side wants to know of either is the same.

use std::{error::Error, sync::Arc};

use annals_domain::{
    identity::{ExternalSubject, Issuer, PersonName, ProviderName},
    kernel::EmailAddress,
};
use async_trait::async_trait;
use url::Url;

/// A provider, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderInfo {
    /// In paths.
    pub name: ProviderName,
    /// On buttons.
    pub label: String,
    pub issuer: Issuer,
}

/// What sends a person to their provider and back.
#[derive(Clone)]
pub struct SignInRequest {
    /// Where the provider sends them afterwards, the same at both ends.
    pub redirect_uri: Url,
    /// Comes back unchanged; holds nothing that the provider could read.
    pub state: String,
    /// Comes back within the signed token: it is of this sign-in.
    pub nonce: String,
    /// Of PKCE (RFC 7636); its challenge alone is sent.
    pub code_verifier: String,
}

/// What the person came back with.
#[derive(Clone)]
pub struct SignInGrant {
    pub code: String,
    pub code_verifier: String,
    pub nonce: String,
    pub redirect_uri: Url,
}

/// What a provider says of whoever signed in there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VouchedFor {
    pub subject: ExternalSubject,
    pub email: Option<EmailAddress>,
    /// Whether the provider knows that the address is theirs.
    pub email_is_verified: bool,
    pub name: Option<PersonName>,
}

/// Why a sign-in at a provider came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum SignInFailure {
    /// It does not answer, or not sensibly; trying again later may help.
    #[error("{message}")]
    Unavailable {
        message: String,
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// It does not take the code, or does not tell who that is.
    #[error("{0}")]
    Refused(String),
    /// What it answered is not what it has to be: nobody is let in on it.
    #[error("{0}")]
    Untrusted(String),
}

impl SignInFailure {
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable { message: message.into(), source: None }
    }

    #[must_use]
    pub fn caused_by(self, error: impl Error + Send + Sync + 'static) -> Self {
        match self {
            Self::Unavailable { message, .. } => Self::Unavailable { message, source: Some(error.into()) },
            other => other,
        }
    }
}

/// One provider.
#[async_trait]
pub trait SignInProvider: Send + Sync {
    fn info(&self) -> &ProviderInfo;

    /// Where the person is sent. May ask the provider for its addresses first.
    ///
    /// # Errors
    /// If they can't be had.
    async fn authorization_url(&self, request: &SignInRequest) -> Result<Url, SignInFailure>;

    /// Exchanges the code and checks what comes for it.
    ///
    /// # Errors
    /// See [`SignInFailure`].
    async fn complete(&self, grant: SignInGrant) -> Result<VouchedFor, SignInFailure>;
}

/// The providers of an installation, in the order of its configuration.
#[derive(Clone, Default)]
pub struct SignInProviders(Arc<[Arc<dyn SignInProvider>]>);

impl SignInProviders {
    pub fn new(providers: Vec<Arc<dyn SignInProvider>>) -> Self {
        Self(providers.into())
    }

    pub fn get(&self, name: &str) -> Option<&Arc<dyn SignInProvider>> {
        self.0.iter().find(|provider| provider.info().name.as_str() == name)
    }

    pub fn infos(&self) -> impl Iterator<Item = &ProviderInfo> {
        self.0.iter().map(|provider| provider.info())
    }
}

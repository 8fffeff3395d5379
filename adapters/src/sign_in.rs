//! Providers that people sign in with: OpenID Connect, and OAuth 2 with endpoints that tell who somebody is.

mod oauth2;
mod openid;

use std::time::Duration;

use annals_domain::{identity::PersonName, kernel::EmailAddress};

pub use oauth2::{OAuth2Addresses, OAuth2Provider};
pub use openid::OpenIdProvider;

/// All calls of one step of a sign-in.
const STEP_TIME: Duration = Duration::from_secs(15);

/// As what this installation is registered with a provider. It does not print itself.
#[derive(Clone)]
pub struct Registration {
    pub client_id: String,
    /// None: a public client, which PKCE alone protects.
    pub client_secret: Option<String>,
    pub scopes: Vec<String>,
    pub authentication: ClientAuthentication,
}

/// How the secret is shown to the provider (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// In `Authorization`.
    Basic,
    /// In the body.
    Post,
}

/// An address that can't be one of ours is as good as none.
fn address(text: &str) -> Option<EmailAddress> {
    EmailAddress::parse(text).ok()
}

/// A name as far as it fits.
fn person(text: &str) -> Option<PersonName> {
    let short: String = text.chars().take(PersonName::MAX_CHARS).collect();
    PersonName::parse(&short).ok()
}

//! The providers that people sign in with, as they are configured. None of them is asked anything yet.

use std::sync::Arc;

use annals_adapters::{
    net::{AllowedHost, HttpClient, OutboundPolicy},
    sign_in::{ClientAuthentication, OAuth2Addresses, OAuth2Provider, OpenIdProvider, Registration},
};
use annals_commands::ports::sign_in::{ProviderInfo, SignInProvider, SignInProviders};
use annals_domain::identity::{Issuer, ProviderName};
use anyhow::Context as _;

use crate::config::{AuthProvider, Config, TokenAuth};

const SCOPES: [&str; 3] = ["openid", "email", "profile"];

/// # Errors
/// If the configuration of one does not hold, by its name.
pub(super) fn providers(config: &Config, policy: &OutboundPolicy) -> anyhow::Result<SignInProviders> {
    let providers = config.auth.all().into_iter().map(|provider| {
        let name = provider.name.clone();
        open(provider, policy.clone()).with_context(|| format!("auth.providers: {name:?}"))
    });
    Ok(SignInProviders::new(providers.collect::<Result<_, _>>()?))
}

fn open(provider: AuthProvider, mut policy: OutboundPolicy) -> anyhow::Result<Arc<dyn SignInProvider>> {
    // The operator named these hosts, not a user: they may be private. What their documents lead to may not.
    for (_, url) in provider.addresses() {
        let url = url?;
        policy.allow_hosts.push(url.host_str().unwrap_or_default().parse::<AllowedHost>()?);
    }
    let http = HttpClient::new(policy).context("calls can't be made from this machine")?;
    let name = ProviderName::parse(&provider.name).map_err(|fault| anyhow::anyhow!("name {fault}"))?;
    let label = provider.label.clone().unwrap_or_else(|| provider.name.clone());
    let is_openid = provider.issuer.is_some();
    let scopes = provider.scopes.unwrap_or_else(|| match is_openid {
        true => SCOPES.map(str::to_string).to_vec(),
        false => Vec::new(),
    });
    let registration = Registration {
        client_id: provider.client_id,
        client_secret: provider.client_secret.map(|secret| secret.reveal().to_string()),
        scopes,
        authentication: match provider.token_auth {
            Some(TokenAuth::Basic) => ClientAuthentication::Basic,
            Some(TokenAuth::Post) => ClientAuthentication::Post,
            // What each of the two standards has every server know.
            None if is_openid => ClientAuthentication::Basic,
            None => ClientAuthentication::Post,
        },
    };
    let issuer = |text: &str| Issuer::parse(text).map_err(|fault| anyhow::anyhow!("issuer {fault}"));
    if let Some(given) = &provider.issuer {
        let info = ProviderInfo { name, label, issuer: issuer(given)? };
        return Ok(Arc::new(OpenIdProvider::new(info, registration, http)?));
    }
    let addresses = OAuth2Addresses {
        authorization: provider.authorization_url.context("authorization_url is missing")?,
        token: provider.token_url.context("token_url is missing")?,
        user: provider.user_url.context("user_url is missing")?,
        emails: provider.emails_url,
    };
    // Whose accounts they are: whoever's page people sign in at.
    let issuer = issuer(&addresses.authorization.origin().ascii_serialization())?;
    let info = ProviderInfo { name, label, issuer };
    Ok(Arc::new(OAuth2Provider::new(info, registration, addresses, http)))
}

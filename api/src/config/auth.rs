//! Providers that people sign in with.

use serde::{Deserialize, Serialize};
use url::Url;

use super::{Config, Hidden};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Both: people can sign in with Google.
    pub google_client_id: Option<String>,
    pub google_client_secret: Option<Hidden>,
    pub google_issuer: String,
    /// Addresses of frontends that people may be sent back to.
    pub return_urls: Vec<Url>,
    pub providers: Vec<AuthProvider>,
}

/// One more provider: of OpenID Connect if it has an issuer, else of OAuth 2 with four addresses.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthProvider {
    /// In paths.
    pub name: String,
    /// On buttons; the name if not given.
    pub label: Option<String>,
    pub issuer: Option<String>,
    pub client_id: String,
    pub client_secret: Option<Hidden>,
    pub scopes: Option<Vec<String>>,
    pub token_auth: Option<TokenAuth>,
    pub authorization_url: Option<Url>,
    pub token_url: Option<Url>,
    pub user_url: Option<Url>,
    pub emails_url: Option<Url>,
}

/// Where the client secret stands in calls to the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenAuth {
    /// In the header `Authorization`.
    Basic,
    /// In the body.
    Post,
}

pub const GOOGLE: &str = "google";

impl Default for Auth {
    fn default() -> Self {
        Self {
            google_client_id: None,
            google_client_secret: None,
            google_issuer: "https://accounts.google.com".to_string(),
            return_urls: Vec::new(),
            providers: Vec::new(),
        }
    }
}

impl Auth {
    /// Google first, if it is configured, then the others.
    pub fn all(&self) -> Vec<AuthProvider> {
        let google = self.google_client_id.as_ref().map(|client_id| AuthProvider {
            name: GOOGLE.to_string(),
            label: Some("Google".to_string()),
            issuer: Some(self.google_issuer.clone()),
            client_id: client_id.clone(),
            client_secret: self.google_client_secret.clone(),
            scopes: None,
            token_auth: Some(TokenAuth::Post),
            authorization_url: None,
            token_url: None,
            user_url: None,
            emails_url: None,
        });
        google.into_iter().chain(self.providers.iter().cloned()).collect()
    }
}

impl AuthProvider {
    /// Every address of it that is called, by the setting that gave it.
    pub fn addresses(&self) -> impl Iterator<Item = (&'static str, Result<Url, url::ParseError>)> {
        let issuer = self.issuer.as_deref().map(|issuer| ("issuer", issuer.parse()));
        let others = [
            ("authorization_url", &self.authorization_url),
            ("token_url", &self.token_url),
            ("user_url", &self.user_url),
            ("emails_url", &self.emails_url),
        ];
        let given = others.into_iter().filter_map(|(key, url)| Some((key, Ok(url.clone()?))));
        issuer.into_iter().chain(given)
    }
}

pub(super) fn check(config: &Config, require: &mut impl FnMut(bool, &str, &str)) {
    let auth = &config.auth;
    require(
        auth.google_client_id.is_some() == auth.google_client_secret.is_some(),
        "auth.google_client_id",
        "must be given together with auth.google_client_secret",
    );
    for url in &auth.return_urls {
        let fits = (url.scheme() == "https" || is_of_this_machine(url))
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty();
        require(fits, "auth.return_urls", &format!("{url} must begin with https:// and have no query"));
    }
    let providers = auth.all();
    for (index, provider) in providers.iter().enumerate() {
        if let Some(fault) = fault(config, provider) {
            require(false, "auth.providers", &format!("{:?}: {fault}", provider.name));
        }
        let is_twice = providers[..index].iter().any(|other| other.name == provider.name);
        require(!is_twice, "auth.providers", &format!("{:?} is there twice", provider.name));
    }
}

fn fault(config: &Config, provider: &AuthProvider) -> Option<String> {
    use annals_domain::identity::{Issuer, ProviderName};
    if let Err(fault) = ProviderName::parse(&provider.name) {
        return Some(format!("name {fault}"));
    }
    if provider.client_id.trim().is_empty() {
        return Some("client_id must not be empty".to_string());
    }
    if provider.label.as_ref().is_some_and(|label| label.trim().is_empty() || label.chars().count() > 50) {
        return Some("label must have 1 to 50 characters".to_string());
    }
    let oauth2 = [&provider.authorization_url, &provider.token_url, &provider.user_url];
    let is_oauth2 = oauth2.iter().all(|url| url.is_some());
    let names_any = oauth2.iter().any(|url| url.is_some()) || provider.emails_url.is_some();
    if provider.issuer.is_some() == is_oauth2 || (provider.issuer.is_some() && names_any) {
        let words =
            "must have an issuer (OpenID Connect), or authorization_url, token_url and user_url (OAuth 2)";
        return Some(words.to_string());
    }
    if let Some(fault) = provider.issuer.as_deref().and_then(|issuer| Issuer::parse(issuer).err()) {
        return Some(format!("issuer {fault}"));
    }
    provider.addresses().find_map(|(key, url)| match url {
        Err(fault) => Some(format!("{key} is no URL: {fault}")),
        Ok(url) if url.scheme() == "https" => None,
        Ok(url) if url.scheme() == "http" && (is_of_this_machine(&url) || is_trusted(config, &url)) => None,
        Ok(_) => Some(format!("{key} must begin with https:// (or its host be one of outbound.allow_hosts)")),
    })
}

pub(crate) fn is_of_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether the operator lets calls to this host be plain `http`.
fn is_trusted(config: &Config, url: &Url) -> bool {
    let of_host = |allowed: &String| {
        url.host_str()
            .is_some_and(|host| allowed.rsplit_once(':').map_or(allowed.as_str(), |(h, _)| h) == host)
    };
    config.outbound.allow_private || config.outbound.allow_hosts.iter().any(of_host)
}

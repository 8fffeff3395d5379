//! A signed-in account: what the user gave, what the server made of it, and how it stays fresh.

use annals_commands::ports::social::{FailureClass, ProviderError};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Utc;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::{
    DEFAULT_SERVICE,
    xrpc::{Call, Payload, Xrpc, XrpcError, host},
};
use crate::net::{Deadline, Effect};

/// A token that ends within this many seconds might not live through the call.
const FRESH_SECONDS_MIN: i64 = 30;
const IDENTIFIER_CHARS_MAX: usize = 512;

/// The channel's credentials as they are sealed. No `Debug`: they never go into a log.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Session {
    /// Where one signs in.
    pub(super) service: Url,
    pub(super) identifier: String,
    password: String,
    pub(super) did: String,
    pub(super) handle: String,
    /// Where the account's data is; the service itself unless the account's document says otherwise.
    pub(super) pds: Url,
    pub(super) access_jwt: String,
    refresh_jwt: String,
}

/// What the user gives.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    #[serde(default)]
    service: Option<String>,
    identifier: String,
    password: String,
}

/// The answer to `createSession` and `refreshSession`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signed {
    did: String,
    handle: String,
    access_jwt: String,
    refresh_jwt: String,
    #[serde(default)]
    did_doc: Option<DidDocument>,
    #[serde(default)]
    active: Option<bool>,
    #[serde(default)]
    status: Option<String>,
}

#[derive(Deserialize)]
struct DidDocument {
    #[serde(default)]
    service: Vec<DidService>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DidService {
    id: String,
    service_endpoint: Value,
}

impl Session {
    /// Signs in with what the user gave.
    pub(super) async fn sign_in(
        xrpc: &Xrpc,
        credentials: Value,
        deadline: Deadline,
    ) -> Result<Self, ProviderError> {
        let given: Given = serde_json::from_value(credentials).map_err(|error| bad(error.to_string()))?;
        let service = service(given.service.as_deref())?;
        xrpc.check(&service).map_err(|forbidden| bad(format!("service {forbidden}")))?;
        let identifier = given.identifier.trim().trim_start_matches('@').to_string();
        for (name, value) in [("identifier", &identifier), ("password", &given.password)] {
            if value.is_empty() || value.chars().count() > IDENTIFIER_CHARS_MAX {
                return Err(bad(format!("{name} must have 1 to {IDENTIFIER_CHARS_MAX} characters")));
            }
        }
        describe(xrpc, &service, deadline).await?;
        let signed = create(xrpc, &service, &identifier, &given.password, deadline).await?;
        signed.session(xrpc, service, identifier, given.password)
    }

    pub(super) fn from_credentials(credentials: &Value) -> Result<Self, ProviderError> {
        Self::deserialize(credentials).map_err(|_| {
            // Not the source: it could quote a value.
            ProviderError::new(
                FailureClass::Disconnected,
                "the channel's credentials are incomplete, connect it again",
            )
        })
    }

    pub(super) fn to_credentials(&self) -> Value {
        json!(self)
    }

    /// New tokens: by the refresh token, else by signing in again.
    pub(super) async fn refreshed(&self, xrpc: &Xrpc, deadline: Deadline) -> Result<Self, ProviderError> {
        let call = Call {
            server: &self.service,
            method: "com.atproto.server.refreshSession",
            token: Some(&self.refresh_jwt),
            effect: Effect::Read,
            deadline,
        };
        let signed: Signed = match xrpc.procedure(call, Payload::Nothing).await {
            Ok(signed) => signed,
            Err(error) if error.failure.class == FailureClass::Retry => return Err(error.into()),
            // The refresh token is used up, expired or revoked; the password may still be good.
            Err(_) => create(xrpc, &self.service, &self.identifier, &self.password, deadline).await?,
        };
        if signed.did != self.did {
            let message = "the server signed in another account than the one connected, connect it again";
            return Err(ProviderError::new(FailureClass::Disconnected, message));
        }
        signed.session(xrpc, self.service.clone(), self.identifier.clone(), self.password.clone())
    }

    /// Asks for new tokens before the server has to: then it is sure that nothing was done.
    pub(super) fn check_fresh(&self) -> Result<(), ProviderError> {
        match expires_at(&self.access_jwt) {
            Some(expires_at) if expires_at < Utc::now().timestamp() + FRESH_SECONDS_MIN => {
                Err(ProviderError::new(FailureClass::RefreshToken, "the access token is expiring"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn profile_url(&self) -> String {
        if self.is_bluesky() {
            format!("https://bsky.app/profile/{}", self.name())
        } else {
            format!("at://{}", self.did)
        }
    }

    /// Where people see a post: Bluesky's site for its own accounts, else the record's address.
    pub(super) fn post_url(&self, uri: &str, rkey: &str) -> String {
        if self.is_bluesky() {
            format!("https://bsky.app/profile/{}/post/{rkey}", self.name())
        } else {
            uri.to_string()
        }
    }

    fn name(&self) -> &str {
        if self.handle == "handle.invalid" { &self.did } else { &self.handle }
    }

    fn is_bluesky(&self) -> bool {
        let host = host(&self.service);
        host == "bsky.social" || host.ends_with(".bsky.social") || host.ends_with(".bsky.network")
    }
}

impl Signed {
    fn session(
        self,
        xrpc: &Xrpc,
        service: Url,
        identifier: String,
        password: String,
    ) -> Result<Session, ProviderError> {
        if self.active == Some(false) {
            let status = self.status.as_deref().unwrap_or("not active");
            let message = format!("the account is {status}, look into it at {}", host(&service));
            return Err(ProviderError::new(FailureClass::Disconnected, message));
        }
        let pds = self.did_doc.as_ref().and_then(DidDocument::pds).unwrap_or_else(|| service.clone());
        xrpc.check(&pds).map_err(|forbidden| {
            let message = format!("the account's server {forbidden}");
            ProviderError::new(FailureClass::Disconnected, message)
        })?;
        Ok(Session {
            service,
            identifier,
            password,
            did: self.did,
            handle: self.handle,
            pds,
            access_jwt: self.access_jwt,
            refresh_jwt: self.refresh_jwt,
        })
    }
}

impl DidDocument {
    /// The server that the account's own document names.
    fn pds(&self) -> Option<Url> {
        let entry = self.service.iter().find(|entry| entry.id.ends_with("#atproto_pds"))?;
        let url: Url = entry.service_endpoint.as_str()?.parse().ok()?;
        url.has_host().then_some(url)
    }
}

/// That an AT Protocol server is there at all, before it is sent a password.
async fn describe(xrpc: &Xrpc, service: &Url, deadline: Deadline) -> Result<(), ProviderError> {
    #[derive(Deserialize)]
    struct Description {
        #[serde(rename = "availableUserDomains")]
        _domains: Vec<String>,
    }
    let call = Call {
        server: service,
        method: "com.atproto.server.describeServer",
        token: None,
        effect: Effect::Read,
        deadline,
    };
    match xrpc.query::<Description>(call, &[]).await {
        Ok(_) => Ok(()),
        Err(error) if error.failure.class == FailureClass::BadContent => {
            Err(bad(format!("service must be an AT Protocol server, {} is none", host(service))))
        }
        Err(error) => Err(error.into()),
    }
}

async fn create(
    xrpc: &Xrpc,
    service: &Url,
    identifier: &str,
    password: &str,
    deadline: Deadline,
) -> Result<Signed, ProviderError> {
    let call = Call {
        server: service,
        method: "com.atproto.server.createSession",
        token: None,
        // Another session does no harm.
        effect: Effect::Read,
        deadline,
    };
    let payload = Payload::Json(json!({"identifier": identifier, "password": password}));
    xrpc.procedure(call, payload).await.map_err(|error: XrpcError| {
        if error.is("AuthFactorTokenRequired") {
            let message = "the account asks for a code by mail: use an app password instead";
            return ProviderError::new(FailureClass::Disconnected, message);
        }
        if error.is("AuthenticationRequired") {
            let message = "identifier or password is wrong, or the app password was revoked";
            return ProviderError::new(FailureClass::Disconnected, message);
        }
        error.into()
    })
}

/// The server's address as users write it: with or without the scheme.
fn service(given: Option<&str>) -> Result<Url, ProviderError> {
    let text = given.map(str::trim).filter(|text| !text.is_empty()).unwrap_or(DEFAULT_SERVICE);
    let malformed = || bad("service must be a server's address such as https://bsky.social".to_string());
    let with_scheme = if text.contains("://") { text.to_string() } else { format!("https://{text}") };
    let url: Url = with_scheme.parse().map_err(|_| malformed())?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if bare && url.has_host() { Ok(url) } else { Err(malformed()) }
}

fn bad(message: String) -> ProviderError {
    ProviderError::new(FailureClass::BadContent, message)
}

/// When a JWT ends, in Unix seconds, unverified: only its issuer can verify it.
fn expires_at(jwt: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let payload = URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Claims>(&payload).ok().map(|claims| claims.exp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_an_origin() {
        let parsed = |text| service(text).map(|url| url.to_string()).map_err(|error| error.message);
        assert_eq!(parsed(None).as_deref(), Ok("https://bsky.social/"));
        assert_eq!(parsed(Some(" ")).as_deref(), Ok("https://bsky.social/"));
        assert_eq!(parsed(Some("pds.example.org")).as_deref(), Ok("https://pds.example.org/"));
        assert_eq!(parsed(Some("http://localhost:2583")).as_deref(), Ok("http://localhost:2583/"));
        for text in ["https://a.example/path", "https://a.example?x", "https://", "mailto://x y", "a b"] {
            assert!(parsed(Some(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn the_end_of_a_token_is_read_from_it() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"exp":1700000000}"#);
        assert_eq!(expires_at(&format!("e30.{payload}.sig")), Some(1_700_000_000));
        assert_eq!(expires_at("opaque"), None);
    }
}

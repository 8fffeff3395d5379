//! A channel's credentials: the server, our app there, and the token that its owner gave us.

use annals_commands::ports::social::{FailureClass, ProviderError};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::super::rest::{Rest, RestCall};
use crate::net::Deadline;

/// A token that ends within this might not live through the call.
const FRESH_MIN: TimeDelta = TimeDelta::seconds(30);

/// Who sees a post.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Visibility {
    #[default]
    Public,
    /// Everyone, but not in public timelines.
    Unlisted,
    /// Followers.
    Private,
    /// Those whom it mentions.
    Direct,
}

/// Our app on a server.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct App {
    pub(super) server: Url,
    pub(super) client_id: String,
    pub(super) client_secret: String,
}

/// As they are sealed. No `Debug`: they never go into a log.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Credentials {
    #[serde(flatten)]
    pub(super) app: App,
    pub(super) account_id: String,
    pub(super) access_token: String,
    refresh_token: Option<String>,
    expires_at: Option<DateTime<Utc>>,
    pub(super) visibility: Visibility,
    pub(super) content_warning: Option<String>,
}

/// The answer of the token endpoint (RFC 6749, section 5.1).
#[derive(Clone, Deserialize)]
pub(super) struct Token {
    pub(super) access_token: String,
    refresh_token: Option<String>,
    expires_in: Option<i64>,
}

impl Token {
    /// Asks the token endpoint. An exchange that is repeated does no harm: a code and a refresh token are
    /// good once.
    pub(super) async fn ask(
        rest: &Rest,
        app: &App,
        grant: &[(&str, &str)],
        deadline: Deadline,
    ) -> Result<Self, ProviderError> {
        let mut form = vec![("client_id", app.client_id.as_str()), ("client_secret", &app.client_secret)];
        form.extend_from_slice(grant);
        let token: Self = rest.call(RestCall::asks(app.at("/oauth/token"), deadline).form(&form)).await?;
        if token.access_token.is_empty() {
            return Err(ProviderError::new(FailureClass::Retry, "the server answered without a token"));
        }
        Ok(token)
    }

    fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.expires_in.and_then(TimeDelta::try_seconds).map(|lives| Utc::now() + lives)
    }
}

impl App {
    pub(super) fn at(&self, path: &str) -> Url {
        let mut url = self.server.clone();
        url.set_path(path);
        url
    }
}

impl Credentials {
    pub(super) fn new(
        app: App,
        account_id: String,
        token: Token,
        (visibility, content_warning): (Visibility, Option<String>),
    ) -> Self {
        let expires_at = token.expires_at();
        let Token { access_token, refresh_token, .. } = token;
        Self { app, account_id, access_token, refresh_token, expires_at, visibility, content_warning }
    }

    pub(super) fn read(credentials: &Value) -> Result<Self, ProviderError> {
        Self::deserialize(credentials).map_err(|_| {
            // Not the source: it could quote a value.
            ProviderError::new(
                FailureClass::Disconnected,
                "the channel's credentials are incomplete, connect it again",
            )
        })
    }

    pub(super) fn to_value(&self) -> Value {
        json!(self)
    }

    /// When the token ends, if there is something to refresh it with.
    pub(super) fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.expires_at.filter(|_| self.refresh_token.is_some())
    }

    /// Asks for a new token before the server has to: then it is sure that nothing was done.
    pub(super) fn check_fresh(&self) -> Result<(), ProviderError> {
        match self.expires_at() {
            Some(expires_at) if expires_at < Utc::now() + FRESH_MIN => {
                Err(ProviderError::new(FailureClass::RefreshToken, "the access token is expiring"))
            }
            _ => Ok(()),
        }
    }

    /// With a new token; a server that gives no new refresh token keeps the old one good (RFC 6749, section 6).
    pub(super) async fn refreshed(&self, rest: &Rest, deadline: Deadline) -> Result<Self, ProviderError> {
        let Some(refresh_token) = &self.refresh_token else { return Ok(self.clone()) };
        let grant = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        let token =
            Token::ask(rest, &self.app, &grant, deadline).await.map_err(|error| match error.class {
                // `invalid_grant`: the refresh token is used up, expired or revoked.
                FailureClass::BadContent => ProviderError { class: FailureClass::Disconnected, ..error },
                _ => error,
            })?;
        let expires_at = token.expires_at();
        let refresh_token = token.refresh_token.or_else(|| self.refresh_token.clone());
        Ok(Self { access_token: token.access_token, refresh_token, expires_at, ..self.clone() })
    }
}

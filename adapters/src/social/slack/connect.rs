//! Letting our app into a workspace: OAuth 2 as Slack has it (v2).

use annals_commands::ports::social::{
    AuthorizationGrant, AuthorizationRequest, ConnectedAccount, FailureClass, OAuth2Platform, ProviderError,
};
use async_trait::async_trait;
use chrono::{TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::{
    CALL_TIME, Slack, SlackApp,
    access::{Access, Bot, Token, bad, channel_id},
};
use crate::net::Deadline;

/// Writing, also to public channels that the bot was not invited to; the channel's name; finding what was
/// written.
const SCOPES: &str = "chat:write,chat:write.public,channels:read,groups:read,channels:history,groups:history";
/// With it, Slack asks the person for the channel.
const PICKS_CHANNEL: &str = "incoming-webhook";

/// What is known before the person is sent there.
#[derive(Serialize, Deserialize)]
struct Prepared {
    channel: Option<String>,
}

/// The answer of `oauth.v2.access`.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: Option<i64>,
    incoming_webhook: Option<Picked>,
}

#[derive(Deserialize)]
struct Picked {
    channel_id: String,
}

impl Granted {
    fn token(&self, former: Option<String>) -> Token {
        Token {
            access_token: self.access_token.clone(),
            refresh_token: self.refresh_token.clone().or(former),
            expires_at: self.expires_in.and_then(TimeDelta::try_seconds).map(|lives| Utc::now() + lives),
        }
    }
}

#[async_trait]
impl OAuth2Platform for Slack {
    async fn prepare(&self, fields: Value, _redirect_uri: &Url) -> Result<Value, ProviderError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields {
            channel: Option<String>,
        }
        let fields: Fields = serde_json::from_value(fields).map_err(|_| bad("channel", "must be a text"))?;
        let channel = fields.channel.as_deref().map(channel_id).transpose()?;
        Ok(json!(Prepared { channel }))
    }

    fn authorization_url(
        &self,
        prepared: &Value,
        request: &AuthorizationRequest,
    ) -> Result<Url, ProviderError> {
        let (app, prepared) = (self.app()?, read(prepared)?);
        let scopes = match prepared.channel {
            Some(_) => SCOPES.to_string(),
            None => format!("{SCOPES},{PICKS_CHANNEL}"),
        };
        let mut url = self.api.at("/oauth/v2/authorize");
        // No PKCE: Slack takes it only from apps without a secret.
        url.query_pairs_mut().extend_pairs([
            ("client_id", app.client_id.as_str()),
            ("scope", &scopes),
            ("redirect_uri", request.redirect_uri.as_str()),
            ("state", &request.state),
        ]);
        Ok(url)
    }

    async fn complete(
        &self,
        prepared: Value,
        grant: AuthorizationGrant,
    ) -> Result<ConnectedAccount, ProviderError> {
        let prepared = read(&prepared)?;
        let deadline = Deadline::within(CALL_TIME);
        let arguments = [("code", grant.code.as_str()), ("redirect_uri", grant.redirect_uri.as_str())];
        let granted = self.granted(&arguments, deadline).await?;
        let token = granted.token(None);
        let picked = granted.incoming_webhook.map(|picked| picked.channel_id);
        let channel = prepared.channel.or(picked).ok_or_else(|| bad("channel", "was not chosen at Slack"))?;
        self.api.connect_bot(token, channel, deadline).await
    }
}

impl Slack {
    fn app(&self) -> Result<&SlackApp, ProviderError> {
        let none = || {
            let message = "this installation has no app at Slack any more";
            ProviderError::new(FailureClass::Disconnected, message)
        };
        self.app.as_ref().ok_or_else(none)
    }

    /// A code and a refresh token are good once: to exchange them again does no harm.
    async fn granted(
        &self,
        arguments: &[(&str, &str)],
        deadline: Deadline,
    ) -> Result<Granted, ProviderError> {
        let app = self.app()?;
        let mut form = vec![("client_id", app.client_id.as_str()), ("client_secret", &app.client_secret)];
        form.extend_from_slice(arguments);
        Ok(self.api.ask("oauth.v2.access", None, &form, deadline).await?)
    }

    /// With a new token where the app rotates them; else as it was.
    pub(super) async fn refreshed(
        &self,
        access: Access,
        deadline: Deadline,
    ) -> Result<Access, ProviderError> {
        let Access::Bot(bot) = &access else { return Ok(access) };
        let Some(refresh_token) = bot.token.refresh_token.clone() else { return Ok(access) };
        let arguments = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
        let granted = self.granted(&arguments, deadline).await.map_err(|error| match error.class {
            // The refresh token is used up or revoked.
            FailureClass::BadContent => ProviderError { class: FailureClass::Disconnected, ..error },
            _ => error,
        })?;
        let token = granted.token(Some(refresh_token));
        Ok(Access::Bot(Bot { token, ..bot.clone() }))
    }
}

fn read(prepared: &Value) -> Result<Prepared, ProviderError> {
    Prepared::deserialize(prepared).map_err(|_| {
        ProviderError::new(FailureClass::BadContent, "the authorization is incomplete, begin again")
    })
}

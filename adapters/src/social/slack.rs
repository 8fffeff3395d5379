//! The platform `slack`: one channel of a workspace, written to by a bot or through an incoming webhook.
//!
//! A bot's messages carry the handle as metadata, by which they are found again. A webhook's answer is "ok" and
//! nothing else: it can neither look nor answer its own messages.

mod access;
mod api;
mod connect;
mod publish;
mod text;

use std::time::Duration;

use annals_commands::ports::social::{
    ChannelAccess, ConnectMethod, ConnectRequest, ConnectedAccount, ContentProblem, CredentialField,
    IdempotencyKind, Lookup, OAuth2Platform, OutgoingPart, OutgoingPost, PlatformInfo, PlatformLimits,
    ProviderError, PublishHandle, Published, SocialProvider,
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;
use url::Url;

use crate::net::{Deadline, HttpClient};
use access::{Access, Given};
use api::Api;

/// Where Slack is, unless the installation says otherwise.
pub const SLACK_URL: &str = "https://slack.com";

/// Shorter than the 20 seconds that the port gives a call: the rest is for telling what happened.
const CALL_TIME: Duration = Duration::from_secs(18);

/// An installation's own app at Slack, with which people let it in in a browser.
#[derive(Clone)]
pub struct SlackApp {
    pub client_id: String,
    pub client_secret: String,
}

pub struct Slack {
    info: PlatformInfo,
    api: Api,
    app: Option<SlackApp>,
}

impl Slack {
    /// `server` is [`SLACK_URL`] or what speaks its API.
    pub fn new(http: HttpClient, server: Url, app: Option<SlackApp>) -> Self {
        let field =
            |name, label, secret| CredentialField { name, label, secret, required: false, default: None };
        let channel = || field("channel", "Id of the channel (C…)", false);
        let info = PlatformInfo {
            identifier: "slack",
            name: "Slack",
            connect: ConnectMethod::Credentials {
                fields: vec![
                    field("webhookUrl", "Incoming webhook's URL", true),
                    field("botToken", "Or a bot's token (xoxb-…)", true),
                    channel(),
                ],
                browser: app.is_some().then(|| vec![channel()]),
            },
            limits: PlatformLimits {
                text_chars_max: text::CHARS_MAX,
                thread_parts_max: text::THREAD_PARTS_MAX,
                media: None,
            },
            settings: Vec::new(),
            // Of a webhook; a bot's channel is better off.
            idempotency: IdempotencyKind::None,
        };
        Self { info, api: Api::new(http, server), app }
    }
}

#[async_trait]
impl SocialProvider for Slack {
    fn info(&self) -> &PlatformInfo {
        &self.info
    }

    fn oauth2(&self) -> Option<&dyn OAuth2Platform> {
        self.app.is_some().then_some(self)
    }

    fn idempotency(&self, channel: &ChannelAccess) -> IdempotencyKind {
        match Access::read(&channel.credentials) {
            Ok(Access::Bot(_)) => IdempotencyKind::Searchable,
            Ok(Access::Webhook { .. }) | Err(_) => IdempotencyKind::None,
        }
    }

    async fn authenticate(&self, request: ConnectRequest) -> Result<ConnectedAccount, ProviderError> {
        let deadline = Deadline::within(CALL_TIME);
        match Given::read(&self.api, request.credentials)? {
            Given::Bot { token, channel } => self.api.connect_bot(token, channel, deadline).await,
            Given::Webhook(url) => self.api.connect_webhook(url, deadline).await,
        }
    }

    /// Tokens end only where the app rotates them.
    async fn refresh(&self, channel: &ChannelAccess) -> Result<Value, ProviderError> {
        let access = Access::read(&channel.credentials)?;
        Ok(self.refreshed(access, Deadline::within(CALL_TIME)).await?.to_value())
    }

    fn expires_at(&self, credentials: &Value) -> Option<DateTime<Utc>> {
        Access::read(credentials).ok()?.expires_at()
    }

    fn check(&self, parts: &[OutgoingPart]) -> Vec<ContentProblem> {
        text::check(parts)
    }

    async fn publish(
        &self,
        channel: &ChannelAccess,
        handle: PublishHandle,
        post: &OutgoingPost,
    ) -> Result<Published, ProviderError> {
        let access = Access::read(&channel.credentials)?;
        access.check_fresh()?;
        publish::publish(&self.api, &access, handle, post, Deadline::within(CALL_TIME)).await
    }

    async fn find(
        &self,
        channel: &ChannelAccess,
        handle: PublishHandle,
        post: &OutgoingPost,
    ) -> Result<Lookup, ProviderError> {
        let access = Access::read(&channel.credentials)?;
        access.check_fresh()?;
        publish::find(&self.api, &access, handle, post, Deadline::within(CALL_TIME)).await
    }
}

//! The platform `discord`: one text channel, written to by a bot or through a webhook of the channel.
//!
//! A bot's message carries a nonce that derives from the handle, which Discord enforces for some minutes; a later
//! attempt looks for the message first. A webhook can neither look nor be told attempts apart: an outcome that
//! is unknown there stays so until a person has looked.

mod access;
mod api;
mod publish;
mod text;

use std::time::Duration;

use annals_commands::ports::social::{
    ChannelAccess, ConnectMethod, ConnectRequest, ConnectedAccount, ContentProblem, CredentialField,
    IdempotencyKind, Lookup, OutgoingPart, OutgoingPost, PlatformInfo, PlatformLimits, ProviderError,
    PublishHandle, Published, SocialProvider,
};
use async_trait::async_trait;
use url::Url;

use crate::net::{Deadline, HttpClient};
use access::{Access, Given};
use api::Api;

/// Where Discord is, unless the installation says otherwise.
pub const DISCORD_URL: &str = "https://discord.com";

/// Shorter than the 20 seconds that the port gives a call: the rest is for telling what happened.
const CALL_TIME: Duration = Duration::from_secs(18);

pub struct Discord {
    info: PlatformInfo,
    api: Api,
}

impl Discord {
    /// `server` is [`DISCORD_URL`] or what speaks its API; `public_url` is told to it as where we come from.
    pub fn new(http: HttpClient, server: Url, public_url: &Url) -> Self {
        let field =
            |name, label, secret| CredentialField { name, label, secret, required: false, default: None };
        let info = PlatformInfo {
            identifier: "discord",
            name: "Discord",
            connect: ConnectMethod::Credentials {
                fields: vec![
                    field("webhookUrl", "Webhook URL of the channel", true),
                    field("botToken", "Or a bot's token", true),
                    field("channelId", "and the id of the channel it writes to", false),
                ],
                browser: None,
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
        Self { info, api: Api::new(http, server, public_url) }
    }
}

#[async_trait]
impl SocialProvider for Discord {
    fn info(&self) -> &PlatformInfo {
        &self.info
    }

    fn idempotency(&self, channel: &ChannelAccess) -> IdempotencyKind {
        match Access::read(&channel.credentials) {
            Ok(Access::Bot { .. }) => IdempotencyKind::ByHandle,
            Ok(Access::Webhook { .. }) | Err(_) => IdempotencyKind::None,
        }
    }

    async fn authenticate(&self, request: ConnectRequest) -> Result<ConnectedAccount, ProviderError> {
        let deadline = Deadline::within(CALL_TIME);
        match Given::read(&self.api, request.credentials)? {
            Given::Bot { token, channel } => self.api.connect_bot(token, channel, deadline).await,
            Given::Webhook { id, token } => self.api.connect_webhook(id, token, deadline).await,
        }
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
        publish::publish(&self.api, &access, handle, post, Deadline::within(CALL_TIME)).await
    }

    async fn find(
        &self,
        channel: &ChannelAccess,
        _handle: PublishHandle,
        post: &OutgoingPost,
    ) -> Result<Lookup, ProviderError> {
        let access = Access::read(&channel.credentials)?;
        publish::find(&self.api, &access, post, Deadline::within(CALL_TIME)).await
    }
}

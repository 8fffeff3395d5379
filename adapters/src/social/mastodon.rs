//! The platform `mastodon`: any server that speaks Mastodon's API, named by its user.
//!
//! The server is asked for an app of its own, the owner lets it in in a browser (OAuth 2 with PKCE), and posts
//! carry an `Idempotency-Key` that is the same in every attempt. A server forgets such a key after an hour, so
//! a later attempt looks for the post first.

mod connect;
mod figures;
mod instance;
mod media;
mod publish;
mod settings;
mod text;
mod token;

use std::{collections::HashMap, time::Duration};

use annals_commands::ports::social::{
    ChannelAccess, ConnectMethod, ContentProblem, CredentialField, Figure, IdempotencyKind, Lookup,
    OAuth2Platform, OutgoingPart, OutgoingPost, PlatformInfo, PlatformLimits, PostReading, ProviderError,
    PublishHandle, Published, SocialProvider,
};
use annals_domain::publishing::{figures::AccountCounts, integration::ServerLimits};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::rest::Rest;
use crate::net::{Deadline, HttpClient};
use token::Credentials;

/// Shorter than the 20 seconds that the port gives a call: the rest is for telling what happened.
const CALL_TIME: Duration = Duration::from_secs(18);

pub struct Mastodon {
    info: PlatformInfo,
    rest: Rest,
}

impl Mastodon {
    pub fn new(http: HttpClient) -> Self {
        let field = |name, label, default: Option<&'static str>, required| CredentialField {
            name,
            label,
            secret: false,
            required,
            default,
        };
        let info = PlatformInfo {
            identifier: "mastodon",
            name: "Mastodon",
            connect: ConnectMethod::OAuth2 {
                fields: vec![
                    field("server", "Server", None, true),
                    field("visibility", "Who sees posts", Some("public"), false),
                    field("contentWarning", "Content warning of every post", None, false),
                ],
            },
            limits: PlatformLimits {
                text_chars_max: text::CHARS_MAX,
                thread_parts_max: text::THREAD_PARTS_MAX,
                media: Some(media::taken()),
            },
            settings: settings::fields(),
            idempotency: IdempotencyKind::ByHandle,
        };
        Self { info, rest: Rest::new(http, "a Mastodon server", words) }
    }
}

/// `{"error": "…"}`, and OAuth's `{"error": "invalid_grant", "error_description": "…"}`.
fn words(body: &Value) -> Option<String> {
    let of = |name: &str| body.get(name)?.as_str().map(str::to_string);
    of("error_description").or_else(|| of("error")).or_else(|| of("detail"))
}

#[async_trait]
impl SocialProvider for Mastodon {
    fn info(&self) -> &PlatformInfo {
        &self.info
    }

    fn oauth2(&self) -> Option<&dyn OAuth2Platform> {
        Some(self)
    }

    /// Mastodon's own tokens do not end; those of other servers that speak its API may.
    async fn refresh(&self, channel: &ChannelAccess) -> Result<Value, ProviderError> {
        let credentials = Credentials::read(&channel.credentials)?;
        Ok(credentials.refreshed(&self.rest, Deadline::within(CALL_TIME)).await?.to_value())
    }

    fn expires_at(&self, credentials: &Value) -> Option<DateTime<Utc>> {
        Credentials::read(credentials).ok()?.expires_at()
    }

    fn check(&self, parts: &[OutgoingPart]) -> Vec<ContentProblem> {
        text::check(parts, text::Counting::default())
    }

    fn check_on(&self, own: Option<&ServerLimits>, parts: &[OutgoingPart]) -> Vec<ContentProblem> {
        text::check(parts, text::Counting::of(own))
    }

    async fn server_limits(&self, channel: &ChannelAccess) -> Result<Option<ServerLimits>, ProviderError> {
        let credentials = Credentials::read(&channel.credentials)?;
        instance::limits(&self.rest, &credentials.app, Deadline::within(CALL_TIME)).await
    }

    async fn publish(
        &self,
        channel: &ChannelAccess,
        handle: PublishHandle,
        post: &OutgoingPost,
    ) -> Result<Published, ProviderError> {
        let credentials = Credentials::read(&channel.credentials)?;
        credentials.check_fresh()?;
        publish::publish(&self.rest, &credentials, handle, post, Deadline::within(CALL_TIME)).await
    }

    async fn find(
        &self,
        channel: &ChannelAccess,
        _handle: PublishHandle,
        post: &OutgoingPost,
    ) -> Result<Lookup, ProviderError> {
        let credentials = Credentials::read(&channel.credentials)?;
        credentials.check_fresh()?;
        publish::find(&self.rest, &credentials, post, Deadline::within(CALL_TIME)).await
    }

    fn figures(&self) -> &'static [Figure] {
        figures::GIVEN
    }

    async fn post_figures(
        &self,
        channel: &ChannelAccess,
        remote_ids: &[String],
    ) -> Result<HashMap<String, PostReading>, ProviderError> {
        let credentials = Credentials::read(&channel.credentials)?;
        credentials.check_fresh()?;
        figures::of_posts(&self.rest, &credentials, remote_ids, Deadline::within(CALL_TIME)).await
    }

    async fn account_figures(&self, channel: &ChannelAccess) -> Result<AccountCounts, ProviderError> {
        let credentials = Credentials::read(&channel.credentials)?;
        credentials.check_fresh()?;
        figures::of_account(&self.rest, &credentials, Deadline::within(CALL_TIME)).await
    }
}

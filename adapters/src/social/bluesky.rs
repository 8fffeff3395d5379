//! The platform `bluesky`: any AT Protocol personal data server (PDS), Bluesky's own by default.
//!
//! A post is written with `putRecord` under a key that derives from its handle, so that a repeated attempt
//! writes the same record to the same place.

mod facets;
mod figures;
mod identity;
mod images;
mod publish;
mod record;
mod session;
mod text;
mod tid;
mod xrpc;

use std::{collections::HashMap, time::Duration};

use annals_commands::ports::social::{
    ChannelAccess, ConnectMethod, ConnectRequest, ConnectedAccount, ContentProblem, CredentialField, Figure,
    IdempotencyKind, Lookup, OutgoingPart, OutgoingPost, PlatformInfo, PlatformLimits, PostReading,
    ProviderError, PublishHandle, Published, SocialProvider,
};
use annals_domain::publishing::figures::AccountCounts;
use async_trait::async_trait;
use serde_json::Value;

use crate::net::{Deadline, HttpClient};
use session::Session;
use xrpc::Xrpc;

/// Shorter than the 20 seconds that the port gives a call: the rest is for telling what happened.
const CALL_TIME: Duration = Duration::from_secs(18);

/// Bluesky's servers, where accounts are unless they say otherwise.
const DEFAULT_SERVICE: &str = "https://bsky.social";

pub struct Bluesky {
    info: PlatformInfo,
    xrpc: Xrpc,
}

impl Bluesky {
    pub fn new(http: HttpClient) -> Self {
        let field = |name, label, secret, default: Option<&'static str>| CredentialField {
            name,
            label,
            secret,
            required: default.is_none(),
            default,
        };
        let info = PlatformInfo {
            identifier: "bluesky",
            name: "Bluesky",
            connect: ConnectMethod::Credentials {
                fields: vec![
                    field("service", "Server", false, Some(DEFAULT_SERVICE)),
                    field("identifier", "Handle or mail address", false, None),
                    field("password", "App password", true, None),
                ],
                browser: None,
            },
            limits: PlatformLimits {
                text_chars_max: text::GRAPHEMES_MAX,
                thread_parts_max: text::THREAD_PARTS_MAX,
                media: Some(images::taken()),
            },
            settings: record::settings(),
            idempotency: IdempotencyKind::ByHandle,
        };
        Self { info, xrpc: Xrpc::new(http) }
    }
}

#[async_trait]
impl SocialProvider for Bluesky {
    fn info(&self) -> &PlatformInfo {
        &self.info
    }

    async fn authenticate(&self, request: ConnectRequest) -> Result<ConnectedAccount, ProviderError> {
        let deadline = Deadline::within(CALL_TIME);
        let session = Session::sign_in(&self.xrpc, request.credentials, deadline).await?;
        let profile = identity::profile(&self.xrpc, &session, deadline).await;
        Ok(ConnectedAccount {
            remote_id: session.did.clone(),
            name: profile.display_name.unwrap_or_else(|| session.handle.clone()),
            handle: Some(format!("@{}", session.handle)),
            url: Some(session.profile_url()),
            picture: profile.picture,
            credentials: session.to_credentials(),
        })
    }

    async fn refresh(&self, channel: &ChannelAccess) -> Result<Value, ProviderError> {
        let session = Session::from_credentials(&channel.credentials)?;
        let fresh = session.refreshed(&self.xrpc, Deadline::within(CALL_TIME)).await?;
        Ok(fresh.to_credentials())
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
        let session = Session::from_credentials(&channel.credentials)?;
        publish::publish(&self.xrpc, &session, handle, post, Deadline::within(CALL_TIME)).await
    }

    async fn find(
        &self,
        channel: &ChannelAccess,
        handle: PublishHandle,
        post: &OutgoingPost,
    ) -> Result<Lookup, ProviderError> {
        let session = Session::from_credentials(&channel.credentials)?;
        publish::find(&self.xrpc, &session, handle, post, Deadline::within(CALL_TIME)).await
    }

    fn figures(&self) -> &'static [Figure] {
        figures::GIVEN
    }

    async fn post_figures(
        &self,
        channel: &ChannelAccess,
        remote_ids: &[String],
    ) -> Result<HashMap<String, PostReading>, ProviderError> {
        let session = Session::from_credentials(&channel.credentials)?;
        figures::of_posts(&self.xrpc, &session, remote_ids, Deadline::within(CALL_TIME)).await
    }

    async fn account_figures(&self, channel: &ChannelAccess) -> Result<AccountCounts, ProviderError> {
        let session = Session::from_credentials(&channel.credentials)?;
        figures::of_account(&self.xrpc, &session, Deadline::within(CALL_TIME)).await
    }
}

//! Connecting a channel whose owner lets us in at the platform itself.

use annals_domain::{
    kernel::{IntegrationId, OrganizationId, UserId},
    publishing::integration::Label,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::{
    Channels, PublishingRefusal,
    channels::{NewChannel, Presented, SIGN_IN_TIMEOUT, oauth2, timed_out},
};
use crate::{
    authorization::{Authorization, as_used, code_challenge},
    bus::{CommandError, Context, Outcome},
    ports::social::{AuthorizationGrant, AuthorizationRequest},
};

const PURPOSE: &str = "channel-authorization";

/// A channel that waits for its owner: bound to who began, in which organization, on which platform.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PendingChannel {
    pub organization: OrganizationId,
    pub by: UserId,
    pub platform: String,
    pub name: Option<Label>,
    redirect_uri: Url,
    prepared: Value,
}

/// Where the owner is sent, and until when they may come back.
#[derive(Clone, Debug)]
pub struct BegunAuthorization {
    pub url: Url,
    pub expires_at: DateTime<Utc>,
}

impl Channels {
    /// Prepares an authorization: `channel.credentials` holds the fields that the platform asks for first.
    /// Nothing is recorded before the owner comes back.
    ///
    /// # Errors
    /// [`PublishingRefusal`] of the platform.
    pub async fn begin_authorization(
        &self,
        channel: NewChannel,
        redirect_uri: Url,
    ) -> Result<BegunAuthorization, CommandError> {
        let provider = self.provider(&channel.platform)?;
        let name = provider.info().name;
        let refused = |error| CommandError::refused(PublishingRefusal::of_sign_in(name, &error));
        let platform = oauth2(&*provider).map_err(refused)?;
        let preparing = platform.prepare(channel.credentials, &redirect_uri);
        let prepared = tokio::time::timeout(SIGN_IN_TIMEOUT, preparing)
            .await
            .unwrap_or_else(|_| Err(timed_out()))
            .map_err(refused)?;
        let store = self.bus().store();
        let pending = PendingChannel {
            organization: channel.organization,
            by: channel.by,
            platform: channel.platform,
            name: channel.name,
            redirect_uri: redirect_uri.clone(),
            prepared: prepared.clone(),
        };
        let authorization = Authorization::begin(self.bus().now(), pending);
        let request = AuthorizationRequest {
            redirect_uri,
            state: authorization.seal(store, PURPOSE),
            code_challenge: code_challenge(&authorization.code_verifier(store)),
        };
        let url = platform.authorization_url(&prepared, &request).map_err(refused)?;
        Ok(BegunAuthorization { url, expires_at: authorization.expires_at })
    }

    /// The authorization that a `state` stands for, so that the rights of who began it can be looked up.
    ///
    /// # Errors
    /// [`crate::authorization::AuthorizationRefusal`].
    pub fn pending(&self, state: &str) -> Result<Authorization<PendingChannel>, CommandError> {
        Authorization::open(self.bus().store(), PURPOSE, state, self.bus().now())
            .map_err(CommandError::refused)
    }

    /// Exchanges the code and connects the account, once however often the owner comes back with it. An
    /// account that is connected already gets the new credentials.
    ///
    /// # Errors
    /// [`PublishingRefusal`] of the platform, or the bus's own.
    pub async fn complete_authorization(
        &self,
        context: &Context,
        authorization: Authorization<PendingChannel>,
        code: String,
    ) -> Result<Outcome<IntegrationId>, CommandError> {
        let code_verifier = authorization.code_verifier(self.bus().store());
        let context = authorization.once(context, &code);
        let PendingChannel { organization, by, platform, name, redirect_uri, prepared } =
            authorization.content;
        let provider = self.provider(&platform)?;
        let channel = NewChannel { organization, by, platform, name, credentials: Value::Null };
        let grant = AuthorizationGrant { code, code_verifier, redirect_uri };
        self.sign_in(&context, provider, channel, Presented::Grant { prepared, grant }).await.map_err(as_used)
    }
}

//! A social platform: what Annals asks of each, whatever its API looks like.

mod figures;
mod media;
mod oauth2;
mod outgoing;
mod settings;

use std::{collections::HashMap, sync::Arc};

use annals_domain::{
    kernel::{IntegrationId, PostId},
    publishing::{figures::AccountCounts, integration::ServerLimits, media::MediaKind},
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use figures::{Figure, PostReading};
pub use media::{Choice, KindLimits, MediaProblem, PlatformMedia};
pub use oauth2::{AuthorizationGrant, AuthorizationRequest, OAuth2Platform};
pub use outgoing::{Attachment, AttachmentSource, OutgoingPart, OutgoingPost};
pub use settings::{SettingField, SettingKind, SettingProblem, check_settings};

/// What a platform is and can do: listed by `GET integrations`, checked when a post is scheduled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlatformInfo {
    /// `bluesky`: stable, lower case, used in URLs and events.
    pub identifier: &'static str,
    pub name: &'static str,
    pub connect: ConnectMethod,
    pub limits: PlatformLimits,
    /// What a post may be told on one channel, beside its content.
    pub settings: Vec<SettingField>,
    /// What happens to a call whose answer was lost.
    pub idempotency: IdempotencyKind,
}

/// How a channel on this platform is connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum ConnectMethod {
    /// Nothing to give: the channel is ours.
    None,
    /// The user gives these fields as `credentials`.
    Credentials {
        fields: Vec<CredentialField>,
        /// Or these, and is sent to the platform as with [`Self::OAuth2`], where this installation can.
        #[serde(skip_serializing_if = "Option::is_none")]
        browser: Option<Vec<CredentialField>>,
    },
    /// The user gives these fields, is sent to the platform, and comes back: see [`OAuth2Platform`].
    #[serde(rename = "oauth2")]
    OAuth2 { fields: Vec<CredentialField> },
}

impl ConnectMethod {
    /// What the user gives.
    pub fn fields(&self) -> &[CredentialField] {
        match self {
            Self::None => &[],
            Self::Credentials { fields, .. } | Self::OAuth2 { fields } => fields,
        }
    }

    /// What the user gives before being sent to the platform, if there is that way.
    pub fn browser_fields(&self) -> Option<&[CredentialField]> {
        match self {
            Self::None => None,
            Self::Credentials { browser, .. } => browser.as_deref(),
            Self::OAuth2 { fields } => Some(fields),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialField {
    pub name: &'static str,
    pub label: &'static str,
    pub secret: bool,
    pub required: bool,
    pub default: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlatformLimits {
    /// Characters as the platform counts them (grapheme clusters on Bluesky).
    pub text_chars_max: usize,
    /// Parts of a thread, the first included; 1: no threads.
    pub thread_parts_max: usize,
    /// `None`: a post's files do not reach those who read it there, and a post that has some is refused when
    /// it is scheduled.
    pub media: Option<PlatformMedia>,
}

impl PlatformLimits {
    /// As an account's own server has them.
    fn within(mut self, own: &ServerLimits) -> Self {
        let count = |own: Option<u32>, known| own.map_or(known, |own| own as usize);
        self.text_chars_max = count(own.text_chars_max, self.text_chars_max);
        if let Some(media) = &mut self.media {
            media.files_max = count(own.files_max, media.files_max);
            media.alt_chars_max = count(own.alt_chars_max, media.alt_chars_max);
            for kind in &mut media.kinds {
                kind.bytes_max = match kind.kind {
                    MediaKind::Image => own.image_bytes_max.or(kind.bytes_max),
                    MediaKind::Video => own.video_bytes_max.or(kind.bytes_max),
                    MediaKind::Document => kind.bytes_max,
                };
                if !own.media_types.is_empty() {
                    kind.media_types.retain(|media_type| own.media_types.contains(media_type));
                }
            }
            media.kinds.retain(|kind| !kind.media_types.is_empty());
        }
        self
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IdempotencyKind {
    /// The same handle can be published any number of times and stands once.
    ByHandle,
    /// The platform can be asked whether a handle was published.
    Searchable,
    /// Neither: from an unknown outcome only the user may try again.
    None,
}

/// The same in every attempt to publish one occurrence of a post on one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PublishHandle {
    pub post: PostId,
    pub channel: IntegrationId,
    /// 0 for a post that is published once.
    pub occurrence: u32,
}

/// A channel as its provider needs it.
#[derive(Clone, Debug)]
pub struct ChannelAccess {
    pub id: IntegrationId,
    pub name: String,
    /// What [`SocialProvider::authenticate`] or [`SocialProvider::refresh`] returned, opened.
    pub credentials: Value,
    /// Where the channel's public page is, such as a feed's URL.
    pub url: Option<String>,
}

/// A new connection: what the user gave.
#[derive(Clone, Debug)]
pub struct ConnectRequest {
    pub channel: IntegrationId,
    pub name: Option<String>,
    pub credentials: Value,
}

/// An account that answered.
#[derive(Clone, Debug)]
pub struct ConnectedAccount {
    /// The platform's stable id of the account (a DID on Bluesky).
    pub remote_id: String,
    /// The name to show if the user gave none.
    pub name: String,
    /// Such as `@ada.example.org`.
    pub handle: Option<String>,
    pub url: Option<String>,
    pub picture: Option<String>,
    /// To be sealed; all that later calls need.
    pub credentials: Value,
}

/// Where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The platform's id of the first part that was published (an AT URI on Bluesky).
    pub remote_id: String,
    pub url: Option<String>,
}

/// What the platform says about a handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    Found(Published),
    NotFound,
    CannotTell,
}

/// Why a text can't go to this platform, for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentProblem {
    /// Which part of the thread, from 0.
    pub part: usize,
    /// Follows the field's name: `has 320 characters, Bluesky takes 300`.
    pub message: String,
}

/// What a failed call means for what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The platform did not act, and may later: try again.
    Retry,
    /// The platform did not act: the access token has to be refreshed first.
    RefreshToken,
    /// The platform will never take this content.
    BadContent,
    /// The account is gone or no longer lets us in: the user has to connect again.
    Disconnected,
    /// The platform may have acted: never try blindly again.
    OutcomeUnknown,
    /// This platform does not offer that.
    Unsupported,
}

/// A provider's failure: its class, and words for the person who owns the channel.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    pub class: FailureClass,
    /// Lower case, no final period, no credentials.
    pub message: String,
    /// If the platform said when to come back.
    pub retry_after: Option<std::time::Duration>,
    /// The one of [`ConnectMethod::fields`] that is at fault, if one of them is.
    pub field: Option<&'static str>,
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ProviderError {
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), retry_after: None, field: None, source: None }
    }

    /// Names what of the user's the failure is about.
    #[must_use]
    pub fn at(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// Posts whose figures are asked for at once.
pub const FIGURES_POSTS_MAX: usize = 40;

/// One social platform. Calls end within 20 seconds: the worker's lease is longer.
#[async_trait]
pub trait SocialProvider: Send + Sync {
    fn info(&self) -> &PlatformInfo;

    /// Signs in with what the user gave and reads who it is. Not asked of a platform that is connected by
    /// [`ConnectMethod::OAuth2`].
    async fn authenticate(&self, _request: ConnectRequest) -> Result<ConnectedAccount, ProviderError> {
        Err(ProviderError::new(FailureClass::Unsupported, "this platform is connected in a browser"))
    }

    /// The steps of [`ConnectMethod::OAuth2`].
    fn oauth2(&self) -> Option<&dyn OAuth2Platform> {
        None
    }

    /// New credentials from the old ones. A provider without refresh returns them unchanged.
    async fn refresh(&self, channel: &ChannelAccess) -> Result<Value, ProviderError> {
        Ok(channel.credentials.clone())
    }

    /// When these credentials end, if they do and have to be refreshed before. `None` too where the
    /// platform's own answer asks for a refresh in time.
    fn expires_at(&self, _credentials: &Value) -> Option<DateTime<Utc>> {
        None
    }

    /// What is wrong with a post's texts for this platform; asked when it is scheduled. No I/O. Its files are
    /// judged by [`PlatformLimits::media`], its settings by [`PlatformInfo::settings`].
    fn check(&self, parts: &[OutgoingPart]) -> Vec<ContentProblem>;

    /// The same on one account, whose own server may take more or less.
    fn check_on(&self, _own: Option<&ServerLimits>, parts: &[OutgoingPart]) -> Vec<ContentProblem> {
        self.check(parts)
    }

    /// What happens to a call of this channel's whose answer was lost, where that depends on what it is
    /// reached by; [`PlatformInfo::idempotency`] is the least of them.
    fn idempotency(&self, _channel: &ChannelAccess) -> IdempotencyKind {
        self.info().idempotency
    }

    /// What the account's own server takes, where servers differ: asked when it is connected and refreshed.
    async fn server_limits(&self, _channel: &ChannelAccess) -> Result<Option<ServerLimits>, ProviderError> {
        Ok(None)
    }

    /// The platform's limits as one account has them.
    fn limits_on(&self, own: Option<&ServerLimits>) -> PlatformLimits {
        let limits = self.info().limits.clone();
        match own {
            None => limits,
            Some(own) => limits.within(own),
        }
    }

    /// Publishes what does not stand yet, under the handle and the part's number. A second call with the same handle must not double where
    /// [`IdempotencyKind::ByHandle`] is promised.
    async fn publish(
        &self,
        channel: &ChannelAccess,
        handle: PublishHandle,
        post: &OutgoingPost,
    ) -> Result<Published, ProviderError>;

    /// Whether what does not stand yet was published under the handle: asked before an unknown outcome is tried
    /// again. The parts come without their files.
    async fn find(
        &self,
        channel: &ChannelAccess,
        handle: PublishHandle,
        post: &OutgoingPost,
    ) -> Result<Lookup, ProviderError>;

    /// Which figures this platform gives, where it gives them. None: it is never asked.
    fn figures(&self) -> &'static [Figure] {
        &[]
    }

    /// What the platform counts of posts, by [`Published::remote_id`]; at most [`FIGURES_POSTS_MAX`] at once. A post that
    /// the answer leaves out is asked for again another time.
    async fn post_figures(
        &self,
        _channel: &ChannelAccess,
        _remote_ids: &[String],
    ) -> Result<HashMap<String, PostReading>, ProviderError> {
        Err(ProviderError::new(FailureClass::Unsupported, "this platform gives no figures of posts"))
    }

    /// What the platform counts of the account.
    async fn account_figures(&self, _channel: &ChannelAccess) -> Result<AccountCounts, ProviderError> {
        Err(ProviderError::new(FailureClass::Unsupported, "this platform gives no figures of accounts"))
    }
}

/// The platforms of this installation, by identifier.
#[derive(Clone, Default)]
pub struct Platforms {
    providers: HashMap<&'static str, Arc<dyn SocialProvider>>,
}

impl Platforms {
    pub fn new(providers: impl IntoIterator<Item = Arc<dyn SocialProvider>>) -> Self {
        Self { providers: providers.into_iter().map(|p| (p.info().identifier, p)).collect() }
    }

    pub fn get(&self, identifier: &str) -> Option<&Arc<dyn SocialProvider>> {
        self.providers.get(identifier)
    }

    /// Sorted by identifier.
    pub fn list(&self) -> Vec<&PlatformInfo> {
        let mut infos: Vec<_> = self.providers.values().map(|p| p.info()).collect();
        infos.sort_by_key(|info| info.identifier);
        infos
    }
}

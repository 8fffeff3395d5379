//! A connected channel: an account of an organization on a platform.

mod limits;

use chrono::{DateTime, Utc};
use cqrs_es::{Aggregate, event_sink::EventSink};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Refusal, RefusalKind,
    kernel::{InvalidText, OrganizationId, Secret, UserId, bounded, named_events},
};

pub use limits::ServerLimits;

/// A channel's or group's or customer's name: 1 to 120 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Label(String);

impl Label {
    pub const MAX_CHARS: usize = 120;

    /// # Errors
    /// If it is empty, too long or holds control characters.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        bounded(text, Self::MAX_CHARS).map(Self)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The account as the platform describes it. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Account {
    /// The platform's stable id of the account.
    pub remote_id: String,
    pub name: String,
    pub handle: Option<String>,
    /// Its public page.
    pub url: Option<String>,
    pub picture: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntegrationStatus {
    /// Never connected.
    #[default]
    None,
    Connected,
    /// Switched off by a member; keeps its credentials.
    Disabled,
    /// The platform no longer lets us in: somebody has to connect it again.
    Expired,
    /// Removed by a member; its credentials are destroyed.
    Disconnected,
}

impl IntegrationStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            IntegrationStatus::None => "none",
            IntegrationStatus::Connected => "connected",
            IntegrationStatus::Disabled => "disabled",
            IntegrationStatus::Expired => "expired",
            IntegrationStatus::Disconnected => "disconnected",
        }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Integration {
    organization: OrganizationId,
    platform: String,
    status: IntegrationStatus,
    account: Option<Account>,
    group: Option<Label>,
    customer: Option<Label>,
    credentials: Option<Secret<Value>>,
    /// Who let us in last.
    connected_by: UserId,
    #[serde(default)]
    limits: Option<ServerLimits>,
}

impl Integration {
    pub fn organization(&self) -> OrganizationId {
        self.organization
    }

    pub fn platform(&self) -> &str {
        &self.platform
    }

    pub fn status(&self) -> IntegrationStatus {
        self.status
    }

    pub fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    pub fn group(&self) -> Option<&Label> {
        self.group.as_ref()
    }

    pub fn customer(&self) -> Option<&Label> {
        self.customer.as_ref()
    }

    /// What the platform's calls need; `None` once the channel is disconnected.
    pub fn credentials(&self) -> Option<&Value> {
        self.credentials.as_ref().and_then(Secret::get)
    }

    /// Who let us in last.
    pub fn connected_by(&self) -> UserId {
        self.connected_by
    }

    /// What the account's own server takes, where that is known.
    pub fn limits(&self) -> Option<&ServerLimits> {
        self.limits.as_ref()
    }

    /// Whether it is there for its organization: connected once and not disconnected since.
    pub fn exists(&self) -> bool {
        !matches!(self.status, IntegrationStatus::None | IntegrationStatus::Disconnected)
    }
}

#[derive(Clone, Debug)]
pub enum IntegrationCommand {
    Connect {
        organization: OrganizationId,
        platform: String,
        account: Account,
        credentials: Secret<Value>,
        by: UserId,
        now: DateTime<Utc>,
    },
    /// The same account answered again: new credentials, and the account as it is now.
    Reconnect {
        account: Account,
        credentials: Secret<Value>,
        by: UserId,
        now: DateTime<Utc>,
    },
    RefreshCredentials {
        credentials: Secret<Value>,
        now: DateTime<Utc>,
    },
    /// The account's server said what it takes. Does nothing if it said so before.
    NoteLimits {
        limits: ServerLimits,
        now: DateTime<Utc>,
    },
    Rename {
        name: Label,
    },
    Group {
        group: Option<Label>,
        customer: Option<Label>,
    },
    Enable,
    Disable,
    /// The platform refused the credentials for good.
    LoseAccess {
        reason: String,
        now: DateTime<Utc>,
    },
    Disconnect {
        now: DateTime<Utc>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum IntegrationEvent {
    Connected {
        organization_id: OrganizationId,
        platform: String,
        account: Account,
        credentials: Secret<Value>,
        connected_by: UserId,
        at: DateTime<Utc>,
    },
    Reconnected {
        account: Account,
        credentials: Secret<Value>,
        connected_by: UserId,
        at: DateTime<Utc>,
    },
    CredentialsRefreshed {
        credentials: Secret<Value>,
        at: DateTime<Utc>,
    },
    Renamed {
        name: Label,
    },
    Grouped {
        group: Option<Label>,
        customer: Option<Label>,
    },
    Enabled {},
    Disabled {},
    AccessLost {
        reason: String,
        at: DateTime<Utc>,
    },
    Disconnected {
        at: DateTime<Utc>,
    },
    /// What the account's own server takes, as it said.
    LimitsNoted {
        limits: ServerLimits,
        at: DateTime<Utc>,
    },
}

named_events! {
    IntegrationEvent, version "1",
    Connected => "publishing.integration.connected",
    Reconnected => "publishing.integration.reconnected",
    CredentialsRefreshed => "publishing.integration.credentials_refreshed",
    Renamed => "publishing.integration.renamed",
    Grouped => "publishing.integration.grouped",
    Enabled => "publishing.integration.enabled",
    Disabled => "publishing.integration.disabled",
    AccessLost => "publishing.integration.access_lost",
    Disconnected => "publishing.integration.disconnected",
    LimitsNoted => "publishing.integration.limits_noted",
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntegrationError {
    #[error("there is no such channel")]
    NotFound,
    #[error("the channel is connected already")]
    AlreadyConnected,
    #[error("the channel belongs to another account of the platform: connect that one as a new channel")]
    OtherAccount,
    #[error("the platform no longer lets us in: connect the channel again")]
    Expired,
    #[error("the credentials are empty")]
    NoCredentials,
}

impl Refusal for IntegrationError {
    fn kind(&self) -> RefusalKind {
        match self {
            IntegrationError::NotFound => RefusalKind::NotFound,
            IntegrationError::NoCredentials => RefusalKind::Invalid,
            _ => RefusalKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            IntegrationError::NotFound => "NOT_FOUND",
            IntegrationError::AlreadyConnected => "CHANNEL_ALREADY_CONNECTED",
            IntegrationError::OtherAccount => "CHANNEL_OTHER_ACCOUNT",
            IntegrationError::Expired => "CHANNEL_EXPIRED",
            IntegrationError::NoCredentials => "VALIDATION_ERROR",
        }
    }

    fn field(&self) -> Option<&str> {
        matches!(self, IntegrationError::NoCredentials).then_some("credentials")
    }
}

impl Integration {
    /// What a command changes: at most one event, none if it is so already.
    fn decide(&self, command: IntegrationCommand) -> Result<Option<IntegrationEvent>, IntegrationError> {
        use IntegrationCommand as Do;
        if let Do::Connect { organization, platform, account, credentials, by, now } = command {
            if self.status != IntegrationStatus::None {
                return Err(IntegrationError::AlreadyConnected);
            }
            return Ok(Some(IntegrationEvent::Connected {
                organization_id: organization,
                platform,
                account,
                credentials: given(credentials)?,
                connected_by: by,
                at: now,
            }));
        }
        if !self.exists() {
            return Err(IntegrationError::NotFound);
        }
        Ok(match command {
            Do::Connect { .. } => None,
            Do::Reconnect { account, credentials, by, now } => {
                if self.account.as_ref().is_some_and(|known| known.remote_id != account.remote_id) {
                    return Err(IntegrationError::OtherAccount);
                }
                let credentials = given(credentials)?;
                Some(IntegrationEvent::Reconnected { account, credentials, connected_by: by, at: now })
            }
            Do::RefreshCredentials { credentials, now } => {
                let changed = self.credentials.as_ref() != Some(&credentials);
                let credentials = given(credentials)?;
                changed.then_some(IntegrationEvent::CredentialsRefreshed { credentials, at: now })
            }
            Do::NoteLimits { limits, now } => {
                let changed = self.limits.as_ref() != Some(&limits);
                changed.then_some(IntegrationEvent::LimitsNoted { limits, at: now })
            }
            Do::Rename { name } => {
                let changed = self.account.as_ref().is_none_or(|account| account.name != name.0);
                changed.then_some(IntegrationEvent::Renamed { name })
            }
            Do::Group { group, customer } => {
                let changed = self.group != group || self.customer != customer;
                changed.then_some(IntegrationEvent::Grouped { group, customer })
            }
            Do::Enable => match self.status {
                IntegrationStatus::Expired => return Err(IntegrationError::Expired),
                IntegrationStatus::Disabled => Some(IntegrationEvent::Enabled {}),
                _ => None,
            },
            Do::Disable => match self.status {
                IntegrationStatus::Expired => return Err(IntegrationError::Expired),
                IntegrationStatus::Connected => Some(IntegrationEvent::Disabled {}),
                _ => None,
            },
            Do::LoseAccess { reason, now } => (self.status != IntegrationStatus::Expired)
                .then_some(IntegrationEvent::AccessLost { reason, at: now }),
            Do::Disconnect { now } => Some(IntegrationEvent::Disconnected { at: now }),
        })
    }
}

/// Credentials that hold something: a refresh that answers nothing must not overwrite good ones.
fn given(credentials: Secret<Value>) -> Result<Secret<Value>, IntegrationError> {
    match credentials.get() {
        None | Some(Value::Null) => Err(IntegrationError::NoCredentials),
        Some(_) => Ok(credentials),
    }
}

impl Aggregate for Integration {
    const TYPE: &'static str = "publishing.integration";
    type Command = IntegrationCommand;
    type Event = IntegrationEvent;
    type Error = IntegrationError;
    type Services = ();

    async fn handle(
        &mut self,
        command: IntegrationCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), IntegrationError> {
        if let Some(event) = self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: IntegrationEvent) {
        match event {
            IntegrationEvent::Connected {
                organization_id,
                platform,
                account,
                credentials,
                connected_by,
                ..
            } => {
                self.connected_by = connected_by;
                self.organization = organization_id;
                self.platform = platform;
                self.account = Some(account);
                self.credentials = Some(credentials);
                self.status = IntegrationStatus::Connected;
            }
            IntegrationEvent::Reconnected { account, credentials, connected_by, .. } => {
                self.connected_by = connected_by;
                self.account = Some(account);
                self.credentials = Some(credentials);
                self.status = IntegrationStatus::Connected;
            }
            IntegrationEvent::CredentialsRefreshed { credentials, .. } => {
                self.credentials = Some(credentials);
            }
            IntegrationEvent::Renamed { name } => {
                if let Some(account) = &mut self.account {
                    account.name = name.0;
                }
            }
            IntegrationEvent::Grouped { group, customer } => {
                self.group = group;
                self.customer = customer;
            }
            IntegrationEvent::Enabled {} => self.status = IntegrationStatus::Connected,
            IntegrationEvent::Disabled {} => self.status = IntegrationStatus::Disabled,
            IntegrationEvent::AccessLost { .. } => self.status = IntegrationStatus::Expired,
            IntegrationEvent::Disconnected { .. } => {
                self.status = IntegrationStatus::Disconnected;
                self.credentials = None;
            }
            IntegrationEvent::LimitsNoted { limits, .. } => self.limits = Some(limits),
        }
    }
}

#[cfg(test)]
#[path = "integration_tests.rs"]
mod tests;

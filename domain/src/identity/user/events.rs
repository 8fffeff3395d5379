use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    identity::{Profile, UserSettings},
    kernel::{ApiKeyId, EmailAddress, OrganizationId, Personal, Secret, SessionId, UserId},
};

/// What happened to a user, each `identity.user.<tag>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum UserEvent {
    Registered {
        user_id: UserId,
        email: Personal<EmailAddress>,
        profile: Personal<Profile>,
        settings: Personal<UserSettings>,
        /// argon2id in PHC form.
        password: Secret<String>,
    },
    ProfileChanged {
        profile: Personal<Profile>,
    },
    SettingsChanged {
        settings: Personal<UserSettings>,
    },
    PasswordChanged {
        password: Secret<String>,
        /// Sessions of another epoch are over, but for the kept one.
        session_epoch: u32,
        kept_session: Option<SessionId>,
    },
    SessionsRevoked {
        session_epoch: u32,
        kept_session: Option<SessionId>,
    },
    EmailChangeRequested {
        address: Personal<EmailAddress>,
        /// SHA-256 of the token that is mailed to the new address.
        token: Secret<String>,
        /// From which the token is derived; new for every request.
        request_id: uuid::Uuid,
        expires_at: DateTime<Utc>,
    },
    EmailChanged {
        email: Personal<EmailAddress>,
    },
    OrganizationJoined {
        organization_id: OrganizationId,
    },
    OrganizationLeft {
        organization_id: OrganizationId,
    },
    ApiKeyAdded {
        api_key_id: ApiKeyId,
    },
    ApiKeyRemoved {
        api_key_id: ApiKeyId,
    },
    OperatorGranted,
    OperatorRevoked,
    Deleted,
}

impl UserEvent {
    /// The tags with the aggregate's type before them: for filters.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Registered { .. } => "identity.user.registered",
            Self::ProfileChanged { .. } => "identity.user.profile_changed",
            Self::SettingsChanged { .. } => "identity.user.settings_changed",
            Self::PasswordChanged { .. } => "identity.user.password_changed",
            Self::SessionsRevoked { .. } => "identity.user.sessions_revoked",
            Self::EmailChangeRequested { .. } => "identity.user.email_change_requested",
            Self::EmailChanged { .. } => "identity.user.email_changed",
            Self::OrganizationJoined { .. } => "identity.user.organization_joined",
            Self::OrganizationLeft { .. } => "identity.user.organization_left",
            Self::ApiKeyAdded { .. } => "identity.user.api_key_added",
            Self::ApiKeyRemoved { .. } => "identity.user.api_key_removed",
            Self::OperatorGranted => "identity.user.operator_granted",
            Self::OperatorRevoked => "identity.user.operator_revoked",
            Self::Deleted => "identity.user.deleted",
        }
    }
}

impl cqrs_es::DomainEvent for UserEvent {
    fn event_type(&self) -> String {
        self.type_name().to_string()
    }

    fn event_version(&self) -> String {
        "1".to_string()
    }
}

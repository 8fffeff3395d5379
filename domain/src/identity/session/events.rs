use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::kernel::{OrganizationId, Secret, SessionId, UserId};

/// What happened to a session, each `identity.session.<tag>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SessionEvent {
    Opened {
        session_id: SessionId,
        user_id: UserId,
        organization_id: OrganizationId,
        /// The user's session epoch at that moment.
        epoch: u32,
        /// SHA-256 of the refresh token.
        token: Secret<String>,
        expires_at: DateTime<Utc>,
    },
    /// The refresh token was exchanged for a new one.
    Refreshed {
        /// 1 for the first exchange.
        generation: u32,
        token: Secret<String>,
        expires_at: DateTime<Utc>,
    },
    OrganizationSwitched {
        organization_id: OrganizationId,
    },
    Revoked {
        reason: RevokedBecause,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokedBecause {
    LoggedOut,
    /// The user ended it from another session.
    Revoked,
    /// A refresh token was used a second time: it, or its successor, is in foreign hands.
    TokenReused,
}

impl SessionEvent {
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "identity.session.opened",
            Self::Refreshed { .. } => "identity.session.refreshed",
            Self::OrganizationSwitched { .. } => "identity.session.organization_switched",
            Self::Revoked { .. } => "identity.session.revoked",
        }
    }
}

impl cqrs_es::DomainEvent for SessionEvent {
    fn event_type(&self) -> String {
        self.type_name().to_string()
    }

    fn event_version(&self) -> String {
        "1".to_string()
    }
}

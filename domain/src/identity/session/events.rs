use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kernel::{OrganizationId, Secret, SessionId, UserId, named_events};

/// What happened to a session, each `identity.session.<tag>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RevokedBecause {
    LoggedOut,
    /// The user ended it from another session.
    Revoked,
    /// A refresh token was used a second time: it, or its successor, is in foreign hands.
    TokenReused,
}

named_events! {
    SessionEvent, version "1",
    Opened => "identity.session.opened",
    Refreshed => "identity.session.refreshed",
    OrganizationSwitched => "identity.session.organization_switched",
    Revoked => "identity.session.revoked",
}

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    identity::{ApiKeyName, Scope},
    kernel::{ApiKeyId, OrganizationId, Personal, Secret, UserId},
};

/// What happened to an API key, each `identity.api_key.<tag>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ApiKeyEvent {
    Created {
        api_key_id: ApiKeyId,
        user_id: UserId,
        organization_id: OrganizationId,
        name: Personal<ApiKeyName>,
        /// Empty: all its creator may do.
        scopes: Vec<Scope>,
        /// SHA-256 of the key.
        digest: Secret<String>,
    },
    /// Noted at most once an hour.
    Used {
        at: DateTime<Utc>,
    },
    Revoked,
}

impl ApiKeyEvent {
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Created { .. } => "identity.api_key.created",
            Self::Used { .. } => "identity.api_key.used",
            Self::Revoked => "identity.api_key.revoked",
        }
    }
}

impl cqrs_es::DomainEvent for ApiKeyEvent {
    fn event_type(&self) -> String {
        self.type_name().to_string()
    }

    fn event_version(&self) -> String {
        "1".to_string()
    }
}

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    identity::{ApiKeyName, Scope},
    kernel::{ApiKeyId, OrganizationId, Personal, Secret, UserId, named_events},
};

/// What happened to an API key, each `identity.api_key.<tag>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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

named_events! {
    ApiKeyEvent, version "1",
    Created => "identity.api_key.created",
    Used => "identity.api_key.used",
    Revoked => "identity.api_key.revoked",
}

use chrono::{DateTime, Utc};

use crate::{
    identity::{ApiKeyName, Scope},
    kernel::{ApiKeyId, OrganizationId, UserId},
};

/// What may be asked of an API key.
#[derive(Clone, Debug)]
pub enum ApiKeyCommand {
    Create {
        api_key_id: ApiKeyId,
        user_id: UserId,
        organization_id: OrganizationId,
        name: ApiKeyName,
        scopes: Vec<Scope>,
        digest: String,
    },
    /// Does nothing if the last use noted is younger than an hour.
    NoteUse { now: DateTime<Utc> },
    /// By its creator. Fine if it is revoked already.
    Revoke { by: UserId },
}

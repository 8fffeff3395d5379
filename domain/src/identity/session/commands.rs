use chrono::{DateTime, Utc};

use super::RevokedBecause;
use crate::kernel::{OrganizationId, SessionId, UserId};

/// What may be asked of a session. Digests are SHA-256 in hex.
#[derive(Clone, Debug)]
pub enum SessionCommand {
    Open {
        session_id: SessionId,
        user_id: UserId,
        organization_id: OrganizationId,
        epoch: u32,
        token_digest: String,
        now: DateTime<Utc>,
    },
    /// Exchanges the refresh token. One that was exchanged before revokes the session instead:
    /// look at [`super::Session::is_alive`] afterwards.
    Refresh {
        presented_digest: String,
        new_digest: String,
        /// The one of before, or another if the user is no member there any more.
        organization_id: OrganizationId,
        now: DateTime<Utc>,
    },
    /// Another organization, with a new refresh token.
    SwitchOrganization { organization_id: OrganizationId, new_digest: String, now: DateTime<Utc> },
    /// Ends it. Fine if it has ended already.
    Revoke { reason: RevokedBecause },
}

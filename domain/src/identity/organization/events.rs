use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    identity::OrganizationSettings,
    kernel::{
        EmailAddress, InvitationId, OrganizationId, Personal, Role, Secret, TierName, UserId, named_events,
    },
    operations::Reason,
};

/// What happened to an organization, each `identity.organization.<tag>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OrganizationEvent {
    Created {
        organization_id: OrganizationId,
        settings: OrganizationSettings,
        owner: UserId,
    },
    SettingsChanged {
        settings: OrganizationSettings,
    },
    MemberInvited {
        invitation_id: InvitationId,
        /// Under the invited user if there is one, else under the invitation.
        email: Personal<EmailAddress>,
        role: Role,
        /// SHA-256 of the token that is mailed.
        token: Secret<String>,
        invited_by: UserId,
        expires_at: DateTime<Utc>,
    },
    InvitationAccepted {
        invitation_id: InvitationId,
        user_id: UserId,
        role: Role,
    },
    InvitationRevoked {
        invitation_id: InvitationId,
        revoked_by: UserId,
    },
    InvitationExpired {
        invitation_id: InvitationId,
    },
    MemberRoleChanged {
        user_id: UserId,
        role: Role,
        changed_by: UserId,
    },
    MemberRemoved {
        user_id: UserId,
        removed_by: UserId,
    },
    MemberLeft {
        user_id: UserId,
    },
    /// The former owner is an admin from now on.
    OwnershipTransferred {
        from: UserId,
        to: UserId,
    },
    /// An operator set what the organization may have.
    TierSet {
        tier: TierName,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Reason>,
        /// The operator; none: somebody at the command line.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<UserId>,
    },
    /// Its last member deleted their account.
    Closed,
}

named_events! {
    OrganizationEvent, version "1",
    Created => "identity.organization.created",
    SettingsChanged => "identity.organization.settings_changed",
    MemberInvited => "identity.organization.member_invited",
    InvitationAccepted => "identity.organization.invitation_accepted",
    InvitationRevoked => "identity.organization.invitation_revoked",
    InvitationExpired => "identity.organization.invitation_expired",
    MemberRoleChanged => "identity.organization.member_role_changed",
    MemberRemoved => "identity.organization.member_removed",
    MemberLeft => "identity.organization.member_left",
    OwnershipTransferred => "identity.organization.ownership_transferred",
    TierSet => "identity.organization.tier_set",
    Closed => "identity.organization.closed",
}

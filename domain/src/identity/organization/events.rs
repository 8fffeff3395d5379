use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    identity::OrganizationSettings,
    kernel::{EmailAddress, InvitationId, OrganizationId, Personal, Role, Secret, UserId},
};

/// What happened to an organization, each `identity.organization.<tag>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Its last member deleted their account.
    Closed,
}

impl OrganizationEvent {
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Created { .. } => "identity.organization.created",
            Self::SettingsChanged { .. } => "identity.organization.settings_changed",
            Self::MemberInvited { .. } => "identity.organization.member_invited",
            Self::InvitationAccepted { .. } => "identity.organization.invitation_accepted",
            Self::InvitationRevoked { .. } => "identity.organization.invitation_revoked",
            Self::InvitationExpired { .. } => "identity.organization.invitation_expired",
            Self::MemberRoleChanged { .. } => "identity.organization.member_role_changed",
            Self::MemberRemoved { .. } => "identity.organization.member_removed",
            Self::MemberLeft { .. } => "identity.organization.member_left",
            Self::OwnershipTransferred { .. } => "identity.organization.ownership_transferred",
            Self::Closed => "identity.organization.closed",
        }
    }
}

impl cqrs_es::DomainEvent for OrganizationEvent {
    fn event_type(&self) -> String {
        self.type_name().to_string()
    }

    fn event_version(&self) -> String {
        "1".to_string()
    }
}

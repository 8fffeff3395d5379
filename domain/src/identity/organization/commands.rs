use chrono::{DateTime, Utc};

use crate::{
    identity::OrganizationSettings,
    kernel::{Allowance, EmailAddress, InvitationId, OrganizationId, Role, TierName, UserId},
    operations::Reason,
};

/// What may be asked of an organization. `by` is who asks; what they may is decided here, at the
/// organization's current version, whatever the policy let through before.
#[derive(Clone, Debug)]
pub enum OrganizationCommand {
    Create {
        organization_id: OrganizationId,
        settings: OrganizationSettings,
        owner: UserId,
    },
    ChangeSettings {
        by: UserId,
        settings: OrganizationSettings,
    },
    Invite {
        by: UserId,
        invitation_id: InvitationId,
        email: EmailAddress,
        /// The user with this address, if there is one.
        known_user: Option<UserId>,
        role: Role,
        token_digest: String,
        /// Of members and open invitations together.
        allowance: Allowance,
        now: DateTime<Utc>,
    },
    AcceptInvitation {
        invitation_id: InvitationId,
        token_digest: String,
        user_id: UserId,
        /// The accepting user's own address.
        email: EmailAddress,
        now: DateTime<Utc>,
    },
    RevokeInvitation {
        by: UserId,
        invitation_id: InvitationId,
    },
    /// Does nothing if it is not open or not due.
    ExpireInvitation {
        invitation_id: InvitationId,
        now: DateTime<Utc>,
    },
    ChangeRole {
        by: UserId,
        user_id: UserId,
        role: Role,
    },
    RemoveMember {
        by: UserId,
        user_id: UserId,
    },
    /// The owner can't: ownership is handed on first.
    Leave {
        user_id: UserId,
    },
    /// The member's account goes. The organization of a sole member closes.
    DeleteMember {
        user_id: UserId,
    },
    TransferOwnership {
        by: UserId,
        to: UserId,
    },
    /// That the tier is one, and that who asks is an operator, is decided before.
    SetTier {
        tier: TierName,
        reason: Option<Reason>,
        /// None: somebody at the command line.
        by: Option<UserId>,
    },
}

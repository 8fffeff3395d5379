//! What an organization decides.

use super::{Organization, OrganizationCommand, OrganizationError, OrganizationEvent, OrganizationStatus};
use crate::kernel::{InvitationId, Personal, Role, Secret, Subject, UserId};

type Decision = Result<Option<OrganizationEvent>, OrganizationError>;

impl Organization {
    pub(super) fn decide(&self, command: OrganizationCommand) -> Decision {
        if let OrganizationCommand::Create { organization_id, settings, owner } = command {
            if self.status != OrganizationStatus::Absent {
                return Err(OrganizationError::AlreadyCreated);
            }
            return Ok(Some(OrganizationEvent::Created { organization_id, settings, owner }));
        }
        if !self.is_open() {
            return Err(OrganizationError::NotFound);
        }
        match command {
            OrganizationCommand::Create { .. } => Err(OrganizationError::AlreadyCreated),
            OrganizationCommand::ChangeSettings { by, settings } => {
                self.manager(by)?;
                let changed = settings != self.settings;
                Ok(changed.then_some(OrganizationEvent::SettingsChanged { settings }))
            }
            OrganizationCommand::Invite { .. } => self.invite(command),
            OrganizationCommand::AcceptInvitation { .. } => self.accept(command),
            OrganizationCommand::RevokeInvitation { by, invitation_id } => {
                self.manager(by)?;
                self.invitation_exists(invitation_id)?;
                Ok(Some(OrganizationEvent::InvitationRevoked { invitation_id, revoked_by: by }))
            }
            OrganizationCommand::ExpireInvitation { invitation_id, now } => {
                let due = self.invitations.get(&invitation_id).is_some_and(|open| open.expires_at <= now);
                Ok(due.then_some(OrganizationEvent::InvitationExpired { invitation_id }))
            }
            OrganizationCommand::ChangeRole { by, user_id, role } => self.change_role(by, user_id, role),
            OrganizationCommand::RemoveMember { by, user_id } => self.remove(by, user_id),
            OrganizationCommand::Leave { user_id } => match self.member(user_id)? {
                Role::Owner => Err(OrganizationError::OwnerMustTransfer),
                _ => Ok(Some(OrganizationEvent::MemberLeft { user_id })),
            },
            OrganizationCommand::DeleteMember { user_id } => match self.member(user_id)? {
                Role::Owner if self.members.len() > 1 => Err(OrganizationError::OwnerMustTransfer),
                Role::Owner => Ok(Some(OrganizationEvent::Closed)),
                _ => Ok(Some(OrganizationEvent::MemberLeft { user_id })),
            },
            OrganizationCommand::TransferOwnership { by, to } => self.transfer(by, to),
            OrganizationCommand::SetTier { tier, reason, by } => {
                let changed = self.tier.as_ref() != Some(&tier);
                Ok(changed.then_some(OrganizationEvent::TierSet { tier, reason, by }))
            }
        }
    }

    fn invite(&self, command: OrganizationCommand) -> Decision {
        let OrganizationCommand::Invite {
            by,
            invitation_id,
            email,
            known_user,
            role,
            token_digest,
            allowance,
            now,
        } = command
        else {
            return Ok(None);
        };
        self.grant(by, role)?;
        if known_user.is_some_and(|user| self.members.contains_key(&user)) {
            return Err(OrganizationError::AlreadyMember);
        }
        let open = self.invitations.values().filter(|invitation| now < invitation.expires_at);
        let same = |other: &super::Invitation| {
            other.email.get().is_some_and(|address| address.canonical() == email.canonical())
        };
        if open.clone().any(same) {
            return Err(OrganizationError::AlreadyInvited);
        }
        let waiting = open.count();
        if waiting >= Self::INVITATIONS_MAX {
            return Err(OrganizationError::TooManyInvitations { max: Self::INVITATIONS_MAX });
        }
        // Who is invited counts from now on, so that accepting needs no check.
        allowance.check((self.members.len() + waiting) as u64, 1)?;
        // Who has an account is forgotten with it, invitations to them included.
        let subject = known_user.map_or_else(|| Subject::invitation(invitation_id), Subject::from);
        Ok(Some(OrganizationEvent::MemberInvited {
            invitation_id,
            email: Personal::new(subject, email),
            role,
            token: Secret::new(Self::invitation_secrets(invitation_id), token_digest),
            invited_by: by,
            expires_at: now + Self::INVITATION_VALID_FOR,
        }))
    }

    fn accept(&self, command: OrganizationCommand) -> Decision {
        let OrganizationCommand::AcceptInvitation { invitation_id, token_digest, user_id, email, now } =
            command
        else {
            return Ok(None);
        };
        let invitation = self
            .invitations
            .get(&invitation_id)
            .filter(|invitation| invitation.token.get() == Some(&token_digest))
            .ok_or(OrganizationError::NoSuchInvitation)?;
        if invitation.email.get().map(|address| address.canonical()) != Some(email.canonical()) {
            return Err(OrganizationError::InvitationForAnotherAddress);
        }
        if invitation.expires_at <= now {
            return Err(OrganizationError::InvitationExpired);
        }
        if self.members.contains_key(&user_id) {
            return Err(OrganizationError::AlreadyMember);
        }
        // Who invited may have been demoted since: nobody grants more than their own role.
        if self.grant(invitation.invited_by, invitation.role).is_err() {
            return Err(OrganizationError::InvitationVoid);
        }
        if self.members.len() >= Self::MEMBERS_MAX {
            return Err(OrganizationError::TooManyMembers { max: Self::MEMBERS_MAX });
        }
        Ok(Some(OrganizationEvent::InvitationAccepted { invitation_id, user_id, role: invitation.role }))
    }

    fn change_role(&self, by: UserId, user_id: UserId, role: Role) -> Decision {
        let current = self.touch(by, user_id)?;
        self.grant(by, role)?;
        Ok((current != role).then_some(OrganizationEvent::MemberRoleChanged {
            user_id,
            role,
            changed_by: by,
        }))
    }

    fn remove(&self, by: UserId, user_id: UserId) -> Decision {
        if by == user_id {
            self.member(by)?;
            return Err(OrganizationError::UseLeave);
        }
        self.touch(by, user_id)?;
        Ok(Some(OrganizationEvent::MemberRemoved { user_id, removed_by: by }))
    }

    fn transfer(&self, by: UserId, to: UserId) -> Decision {
        let role = self.member(by)?;
        if role != Role::Owner {
            return Err(OrganizationError::RoleTooWeak { role, needed: Role::Owner });
        }
        if by == to {
            return Err(OrganizationError::AlreadyOwner);
        }
        self.members.get(&to).ok_or(OrganizationError::NoSuchMember)?;
        Ok(Some(OrganizationEvent::OwnershipTransferred { from: by, to }))
    }

    /// The role of someone who asks. To a stranger the organization does not exist.
    fn member(&self, user: UserId) -> Result<Role, OrganizationError> {
        self.role_of(user).ok_or(OrganizationError::NotFound)
    }

    fn manager(&self, user: UserId) -> Result<Role, OrganizationError> {
        let role = self.member(user)?;
        if role < Role::Admin {
            return Err(OrganizationError::RoleTooWeak { role, needed: Role::Admin });
        }
        Ok(role)
    }

    /// Whether `by` may give `role` to someone.
    fn grant(&self, by: UserId, role: Role) -> Result<(), OrganizationError> {
        let own = self.manager(by)?;
        if role == Role::Owner {
            return Err(OrganizationError::OwnerOnlyByTransfer);
        }
        if role > own {
            return Err(OrganizationError::CannotGrant { own, granted: role });
        }
        Ok(())
    }

    /// Whether `by` may change or remove the member; returns the member's role.
    fn touch(&self, by: UserId, user_id: UserId) -> Result<Role, OrganizationError> {
        let own = self.manager(by)?;
        let theirs = *self.members.get(&user_id).ok_or(OrganizationError::NoSuchMember)?;
        if theirs == Role::Owner {
            return Err(OrganizationError::OwnerMustTransfer);
        }
        if theirs > own {
            return Err(OrganizationError::CannotTouch { own, theirs });
        }
        Ok(theirs)
    }

    fn invitation_exists(&self, id: InvitationId) -> Result<(), OrganizationError> {
        match self.invitations.contains_key(&id) {
            true => Ok(()),
            false => Err(OrganizationError::NoSuchInvitation),
        }
    }
}

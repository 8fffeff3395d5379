//! Invitations: single-use, for one address, for seven days.

use annals_domain::{
    Refusal as _,
    identity::{Organization, OrganizationCommand, OrganizationError, User, UserCommand, UserError},
    kernel::{EmailAddress, InvitationId, OrganizationId, Quota, Role, UserId},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Done, Identity,
    account::forget_invitation,
    api_keys::count_keys_again,
    done::{remember, remember_sealed},
    sign_in::holder,
    tokens,
};
use crate::{
    bus::{CommandError, Context, Work},
    tiers,
};

#[derive(Clone, Debug)]
pub struct Invite {
    pub organization_id: OrganizationId,
    pub by: UserId,
    pub email: EmailAddress,
    pub role: Role,
}

/// An invitation with its token, which is shown this once (and mailed).
#[derive(Clone, Serialize, Deserialize)]
pub struct Invited {
    pub invitation_id: InvitationId,
    pub token: String,
    pub expires_at: DateTime<Utc>,
}

/// Where an invitation led.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Accepted {
    pub organization_id: OrganizationId,
    pub role: Role,
}

impl Identity {
    /// Invites an address.
    ///
    /// # Errors
    /// What the organization refuses.
    pub async fn invite(&self, context: &Context, invite: Invite) -> Result<Done<Invited>, CommandError> {
        let this = self.clone();
        let invitation_id = InvitationId::new(Uuid::now_v7());
        let outcome = self
            .bus
            .transact(context, "InviteMember", move |work| {
                let (this, invite) = (this.clone(), invite.clone());
                Box::pin(async move { this.inviting(work, invitation_id, invite).await })
            })
            .await?;
        Done::of(outcome)
    }

    async fn inviting(
        &self,
        work: &mut Work,
        invitation_id: InvitationId,
        invite: Invite,
    ) -> Result<Invited, CommandError> {
        let claim = self.email_claim(&invite.email.canonical());
        let known_user = holder(work.claim_holder(&claim).await?)?;
        let allowance = tiers::allowance(work, invite.organization_id, Quota::Members).await?;
        let token = tokens::invitation_token(self.bus.store(), invite.organization_id, invitation_id);
        let command = OrganizationCommand::Invite {
            by: invite.by,
            invitation_id,
            email: invite.email,
            known_user,
            role: invite.role,
            token_digest: tokens::digest(&token),
            allowance,
            now: work.now(),
        };
        work.execute::<Organization>(invite.organization_id, command).await?;
        let expires_at = work.now() + Organization::INVITATION_VALID_FOR;
        let invited = Invited { invitation_id, token, expires_at };
        remember_sealed(work, &invited);
        Ok(invited)
    }

    /// Accepts an invitation, as the user whose address it names.
    ///
    /// # Errors
    /// What the organization refuses; [`OrganizationError::NoSuchInvitation`] for a made-up token.
    pub async fn accept_invitation(
        &self,
        context: &Context,
        user_id: UserId,
        token: String,
    ) -> Result<Done<Accepted>, CommandError> {
        let (organization_id, invitation_id) =
            tokens::invitation_of(&token).ok_or_else(no_such_invitation)?;
        let outcome = self
            .bus
            .transact(context, "AcceptInvitation", move |work| {
                let token_digest = tokens::digest(&token);
                Box::pin(async move {
                    let user = work.load::<User>(user_id).await?;
                    let email = user.email().ok_or_else(|| CommandError::refused(UserError::NotFound))?;
                    let command = OrganizationCommand::AcceptInvitation {
                        invitation_id,
                        token_digest,
                        user_id,
                        email: email.clone(),
                        now: work.now(),
                    };
                    work.execute::<Organization>(organization_id, command).await.map_err(hide)?;
                    work.execute::<User>(user_id, UserCommand::JoinOrganization { organization_id }).await?;
                    forget_invitation(work, invitation_id);
                    count_keys_again(work, user_id, organization_id).await?;
                    let organization = work.load::<Organization>(organization_id).await?;
                    let role = organization.role_of(user_id).ok_or_else(no_such_invitation)?;
                    let accepted = Accepted { organization_id, role };
                    remember(work, &accepted);
                    Ok(accepted)
                })
            })
            .await?;
        Done::of(outcome)
    }

    /// Takes an open invitation back.
    ///
    /// # Errors
    /// What the organization refuses.
    pub async fn revoke_invitation(
        &self,
        context: &Context,
        by: UserId,
        organization_id: OrganizationId,
        invitation_id: InvitationId,
    ) -> Result<Done<()>, CommandError> {
        let outcome = self
            .bus
            .transact(context, "RevokeInvitation", move |work| {
                let command = OrganizationCommand::RevokeInvitation { by, invitation_id };
                Box::pin(async move {
                    work.execute::<Organization>(organization_id, command).await?;
                    forget_invitation(work, invitation_id);
                    Ok(())
                })
            })
            .await?;
        Done::of(outcome)
    }

    /// Closes an invitation whose time is over. Does nothing if it is not open or not due.
    ///
    /// # Errors
    /// If the log can't be reached.
    pub async fn expire_invitation(
        &self,
        context: &Context,
        organization_id: OrganizationId,
        invitation_id: InvitationId,
    ) -> Result<(), CommandError> {
        self.bus
            .transact(context, "ExpireInvitation", move |work| {
                Box::pin(async move {
                    let organization = work.load::<Organization>(organization_id).await?;
                    let Some(invitation) = organization.invitations.get(&invitation_id) else {
                        return Ok(());
                    };
                    let now = work.now();
                    if invitation.expires_at <= now {
                        let command = OrganizationCommand::ExpireInvitation { invitation_id, now };
                        work.execute::<Organization>(organization_id, command).await?;
                        forget_invitation(work, invitation_id);
                    }
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }
}

fn no_such_invitation() -> CommandError {
    CommandError::refused(OrganizationError::NoSuchInvitation)
}

/// A made-up token must not tell whether there is such an organization.
fn hide(error: CommandError) -> CommandError {
    match error {
        CommandError::Refused(refusal) if refusal.code() == OrganizationError::NotFound.code() => {
            no_such_invitation()
        }
        other => other,
    }
}

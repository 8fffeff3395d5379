//! Organizations and their members.

use annals_domain::{
    identity::{
        Organization, OrganizationCommand, OrganizationName, OrganizationSettings, User, UserCommand,
    },
    kernel::{OrganizationId, Role, TierName, TimeZone, UserId},
    operations::Reason,
};
use uuid::Uuid;

use super::{
    Done, Identity, IdentityRefusal, account::Change, api_keys::release_keys, done::remember,
    sign_in::found_organization,
};
use crate::bus::{CommandError, Context};

#[derive(Clone, Debug)]
pub struct NewOrganization {
    pub name: OrganizationName,
    pub timezone: TimeZone,
}

/// A tier for an organization, by the name that the policy gives it.
#[derive(Clone, Debug)]
pub struct SetTier {
    pub organization_id: OrganizationId,
    pub tier: String,
    pub reason: Reason,
    /// The operator; none: somebody at the command line.
    pub by: Option<UserId>,
}

impl Identity {
    /// A new organization, owned by the caller.
    ///
    /// # Errors
    /// If the user is in too many, or the log can't be reached.
    pub async fn create_organization(
        &self,
        context: &Context,
        owner: UserId,
        new: NewOrganization,
    ) -> Result<Done<OrganizationId>, CommandError> {
        let id = OrganizationId::new(Uuid::now_v7());
        let outcome = self
            .bus
            .transact(context, "CreateOrganization", move |work| {
                let mut settings = OrganizationSettings::named(new.name.clone());
                settings.timezone = new.timezone.clone();
                Box::pin(async move {
                    found_organization(work, owner, id, settings).await?;
                    remember(work, &id);
                    Ok(id)
                })
            })
            .await?;
        Done::of(outcome)
    }

    /// Changes an organization's settings; `change` gets what they are at the version that the
    /// change is made on.
    ///
    /// # Errors
    /// What the organization or `change` refuses, or a stale `If-Match`.
    pub async fn change_organization(
        &self,
        context: &Context,
        by: UserId,
        organization_id: OrganizationId,
        change: impl Change<OrganizationSettings>,
    ) -> Result<Done<()>, CommandError> {
        let outcome = self
            .bus
            .transact(context, "ChangeOrganizationSettings", move |work| {
                let change = change.clone();
                Box::pin(async move {
                    let organization = work.load::<Organization>(organization_id).await?;
                    organization
                        .role_of(by)
                        .ok_or_else(|| CommandError::refused(IdentityRefusal::NotAMember))?;
                    let settings = change(organization.settings.clone())?;
                    let command = OrganizationCommand::ChangeSettings { by, settings };
                    work.execute::<Organization>(organization_id, command).await
                })
            })
            .await?;
        Done::of(outcome)
    }

    /// Gives a member another role, up to the caller's own.
    ///
    /// # Errors
    /// What the organization refuses.
    pub async fn change_role(
        &self,
        context: &Context,
        by: UserId,
        organization_id: OrganizationId,
        user_id: UserId,
        role: Role,
    ) -> Result<Done<()>, CommandError> {
        let outcome = self
            .bus
            .transact(context, "ChangeMemberRole", move |work| {
                let command = OrganizationCommand::ChangeRole { by, user_id, role };
                Box::pin(work.execute::<Organization>(organization_id, command))
            })
            .await?;
        Done::of(outcome)
    }

    /// Takes a member out.
    ///
    /// # Errors
    /// What the organization refuses.
    pub async fn remove_member(
        &self,
        context: &Context,
        by: UserId,
        organization_id: OrganizationId,
        user_id: UserId,
    ) -> Result<Done<()>, CommandError> {
        let command = OrganizationCommand::RemoveMember { by, user_id };
        self.take_out(context, "RemoveMember", organization_id, user_id, command).await
    }

    /// The caller leaves. An owner hands ownership on first.
    ///
    /// # Errors
    /// What the organization refuses.
    pub async fn leave_organization(
        &self,
        context: &Context,
        organization_id: OrganizationId,
        user_id: UserId,
    ) -> Result<Done<()>, CommandError> {
        let command = OrganizationCommand::Leave { user_id };
        self.take_out(context, "LeaveOrganization", organization_id, user_id, command).await
    }

    async fn take_out(
        &self,
        context: &Context,
        name: &'static str,
        organization_id: OrganizationId,
        user_id: UserId,
        command: OrganizationCommand,
    ) -> Result<Done<()>, CommandError> {
        let outcome = self
            .bus
            .transact(context, name, move |work| {
                let command = command.clone();
                Box::pin(async move {
                    work.execute::<Organization>(organization_id, command).await?;
                    work.execute::<User>(user_id, UserCommand::LeaveOrganization { organization_id }).await?;
                    release_keys(work, user_id, organization_id).await
                })
            })
            .await?;
        Done::of(outcome)
    }

    /// Makes another member the owner; the former one is an admin from then on.
    ///
    /// # Errors
    /// What the organization refuses.
    pub async fn transfer_ownership(
        &self,
        context: &Context,
        by: UserId,
        organization_id: OrganizationId,
        to: UserId,
    ) -> Result<Done<()>, CommandError> {
        let outcome = self
            .bus
            .transact(context, "TransferOwnership", move |work| {
                let command = OrganizationCommand::TransferOwnership { by, to };
                Box::pin(work.execute::<Organization>(organization_id, command))
            })
            .await?;
        Done::of(outcome)
    }

    /// What an operator lets an organization have from now on. A smaller tier takes nothing away: what is
    /// there stays, what is new is refused.
    ///
    /// # Errors
    /// [`IdentityRefusal::UnknownTier`], or no such organization.
    pub async fn set_tier(&self, context: &Context, set: SetTier) -> Result<Done<TierName>, CommandError> {
        let SetTier { organization_id, tier, reason, by } = set;
        let known = self.bus.tiers().named(&tier).map(|tier| tier.name.clone());
        let tier = known.map_err(|error| CommandError::refused(IdentityRefusal::UnknownTier(error)))?;
        // It is the organization's own history, whoever acts.
        let context = Context { organization_id: Some(organization_id.uuid()), ..context.clone() };
        let outcome = self
            .bus
            .transact(&context, "SetTier", move |work| {
                let (tier, reason) = (tier.clone(), Some(reason.clone()));
                Box::pin(async move {
                    let command = OrganizationCommand::SetTier { tier: tier.clone(), reason, by };
                    work.execute::<Organization>(organization_id, command).await?;
                    remember(work, &tier);
                    Ok(tier)
                })
            })
            .await?;
        Done::of(outcome)
    }

    /// The tier that holds for an organization: its own, or the default.
    ///
    /// # Errors
    /// If the log can't be read.
    pub async fn tier_of(&self, organization_id: OrganizationId) -> Result<TierName, CommandError> {
        let organization = self.bus.load::<Organization>(organization_id).await?.state;
        Ok(self.bus.tiers().of(organization.tier.as_ref()).name.clone())
    }
}

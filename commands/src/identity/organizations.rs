//! Organizations and their members.

use annals_domain::{
    identity::{
        Organization, OrganizationCommand, OrganizationName, OrganizationSettings, User, UserCommand,
    },
    kernel::{OrganizationId, Role, TimeZone, UserId},
};
use uuid::Uuid;

use super::{Done, Identity, IdentityRefusal, account::Change, done::remember, sign_in::found_organization};
use crate::bus::{CommandError, Context};

#[derive(Clone, Debug)]
pub struct NewOrganization {
    pub name: OrganizationName,
    pub timezone: TimeZone,
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
                    work.execute::<User>(user_id, UserCommand::LeaveOrganization { organization_id }).await
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
}

//! Organizations, who is a member of which, and open invitations.

mod queries;

use annals_domain::{
    identity::{OrganizationEvent, OrganizationSettings},
    kernel::{EmailAddress, Role, UserId},
};
use annals_eventstore::{Filter, MetadataNeeds, UnparsedEvent};
use async_trait::async_trait;
use sqlx::PgConnection;
use uuid::Uuid;

pub use queries::{
    InvitationRow, MemberRow, MembershipRow, OrganizationRow, find, invitations, members, of_user,
};

use super::{ORGANIZATION, USER, USER_DELETED, events, signed};
use crate::{
    Projection, ProjectionError,
    runtime::{decode, stream_id},
};

/// After these an invitation's address is forgotten.
const PURGING: &[&str] = &[
    USER_DELETED,
    "identity.organization.invitation_accepted",
    "identity.organization.invitation_revoked",
    "identity.organization.invitation_expired",
    "identity.organization.closed",
];

#[derive(Clone, Copy, Debug, Default)]
pub struct Organizations;

#[async_trait]
impl Projection for Organizations {
    const NAME: &'static str = "organizations";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["organizations", "members", "invitations"];
    // An invitation's address is null once whom it belongs to is forgotten.
    const CREATE: &'static str = "
        create table organizations (
            id uuid primary key,
            name text not null,
            timezone text not null,
            description text,
            created_at timestamptz not null,
            updated_at timestamptz not null,
            closed_at timestamptz,
            version bigint not null
        );
        create table members (
            organization_id uuid not null,
            user_id uuid not null,
            role text not null,
            joined_at timestamptz not null,
            primary key (organization_id, user_id)
        );
        create table invitations (
            id uuid primary key,
            organization_id uuid not null,
            person text not null,
            email text,
            role text not null,
            invited_by uuid not null,
            invited_at timestamptz not null,
            expires_at timestamptz not null
        )";
    const INDEXES: &'static str = "
        create index on members (user_id);
        create index on invitations (organization_id);
        create index on invitations (person)";

    fn filter(&self) -> Filter {
        events(OrganizationEvent::TYPES.iter().copied().chain([USER_DELETED]))
    }

    fn metadata(&self) -> MetadataNeeds {
        MetadataNeeds::Nothing
    }

    fn purges(&self, event: &UnparsedEvent) -> bool {
        PURGING.contains(&event.event_type.as_str())
    }

    async fn apply(
        &self,
        events: &[UnparsedEvent],
        tables: &mut PgConnection,
    ) -> Result<(), ProjectionError> {
        for event in events {
            match event.stream.aggregate_type.as_ref() {
                ORGANIZATION => apply_organization(event, tables).await?,
                // The only event of users that the filter lets through.
                USER => {
                    sqlx::query("update invitations set email = null where person = $1")
                        .bind(format!("user:{}", stream_id(event)?))
                        .execute(&mut *tables)
                        .await?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

async fn apply_organization(event: &UnparsedEvent, tables: &mut PgConnection) -> Result<(), ProjectionError> {
    let id = stream_id(event)?;
    match decode::<OrganizationEvent>(event)? {
        OrganizationEvent::Created { settings, owner, .. } => {
            create(event, tables, id, &settings).await?;
            join(event, tables, id, owner, Role::Owner).await?;
        }
        OrganizationEvent::SettingsChanged { settings } => {
            sqlx::query("update organizations set name = $2, timezone = $3, description = $4 where id = $1")
                .bind(id)
                .bind(settings.name.as_str())
                .bind(settings.timezone.as_str())
                .bind(settings.description.as_ref().map(|text| text.as_str()))
                .execute(&mut *tables)
                .await?;
        }
        OrganizationEvent::MemberInvited { invitation_id, email, role, invited_by, expires_at, .. } => {
            sqlx::query(
                "insert into invitations (id, organization_id, person, email, role, invited_by, invited_at, \
                 expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(invitation_id.uuid())
            .bind(id)
            .bind(email.subject().as_str())
            .bind(email.get().map(EmailAddress::as_str))
            .bind(role.as_str())
            .bind(invited_by.uuid())
            .bind(event.recorded_at)
            .bind(expires_at)
            .execute(&mut *tables)
            .await?;
        }
        OrganizationEvent::InvitationAccepted { invitation_id, user_id, role } => {
            drop_invitation(tables, invitation_id.uuid()).await?;
            join(event, tables, id, user_id, role).await?;
        }
        OrganizationEvent::InvitationRevoked { invitation_id, .. }
        | OrganizationEvent::InvitationExpired { invitation_id } => {
            drop_invitation(tables, invitation_id.uuid()).await?;
        }
        OrganizationEvent::MemberRoleChanged { user_id, role, .. } => {
            set_role(tables, id, user_id, role).await?;
        }
        OrganizationEvent::MemberRemoved { user_id, .. } | OrganizationEvent::MemberLeft { user_id } => {
            sqlx::query("delete from members where organization_id = $1 and user_id = $2")
                .bind(id)
                .bind(user_id.uuid())
                .execute(&mut *tables)
                .await?;
        }
        OrganizationEvent::OwnershipTransferred { from, to } => {
            set_role(tables, id, from, Role::Admin).await?;
            set_role(tables, id, to, Role::Owner).await?;
        }
        // The read model `usage` has it.
        OrganizationEvent::TierSet { .. } => {}
        OrganizationEvent::Closed => close(event, tables, id).await?,
    }
    sqlx::query("update organizations set version = $2, updated_at = $3 where id = $1")
        .bind(id)
        .bind(signed(event.sequence))
        .bind(event.recorded_at)
        .execute(tables)
        .await?;
    Ok(())
}

async fn create(
    event: &UnparsedEvent,
    tables: &mut PgConnection,
    id: Uuid,
    settings: &OrganizationSettings,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into organizations (id, name, timezone, description, created_at, updated_at, version) \
         values ($1, $2, $3, $4, $5, $5, 1)",
    )
    .bind(id)
    .bind(settings.name.as_str())
    .bind(settings.timezone.as_str())
    .bind(settings.description.as_ref().map(|text| text.as_str()))
    .bind(event.recorded_at)
    .execute(tables)
    .await?;
    Ok(())
}

async fn join(
    event: &UnparsedEvent,
    tables: &mut PgConnection,
    id: Uuid,
    user: UserId,
    role: Role,
) -> Result<(), sqlx::Error> {
    // An acceptance purges the invited address, so it may be applied twice.
    sqlx::query(
        "insert into members (organization_id, user_id, role, joined_at) values ($1, $2, $3, $4) \
         on conflict (organization_id, user_id) do update set role = excluded.role, joined_at = excluded.joined_at",
    )
        .bind(id)
        .bind(user.uuid())
        .bind(role.as_str())
        .bind(event.recorded_at)
        .execute(tables)
        .await?;
    Ok(())
}

async fn set_role(tables: &mut PgConnection, id: Uuid, user: UserId, role: Role) -> Result<(), sqlx::Error> {
    sqlx::query("update members set role = $3 where organization_id = $1 and user_id = $2")
        .bind(id)
        .bind(user.uuid())
        .bind(role.as_str())
        .execute(tables)
        .await?;
    Ok(())
}

async fn drop_invitation(tables: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("delete from invitations where id = $1").bind(id).execute(tables).await?;
    Ok(())
}

async fn close(event: &UnparsedEvent, tables: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("delete from members where organization_id = $1").bind(id).execute(&mut *tables).await?;
    sqlx::query("delete from invitations where organization_id = $1").bind(id).execute(&mut *tables).await?;
    sqlx::query("update organizations set closed_at = $2 where id = $1")
        .bind(id)
        .bind(event.recorded_at)
        .execute(tables)
        .await?;
    Ok(())
}

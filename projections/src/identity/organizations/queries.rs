use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use crate::{ReadError, Reader};

/// An organization's row.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct OrganizationRow {
    pub id: Uuid,
    pub name: String,
    pub timezone: String,
    pub description: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub closed_at: Option<DateTime<Utc>>,
    pub version: i64,
}

/// An organization as one of its members sees it.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct MembershipRow {
    pub id: Uuid,
    pub name: String,
    pub timezone: String,
    pub role: String,
    pub joined_at: DateTime<Utc>,
    pub members: i64,
}

/// A member with their name and address, as [`super::super::Users`] has them.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct MemberRow {
    pub user_id: Uuid,
    pub role: String,
    pub joined_at: DateTime<Utc>,
    pub name: Option<String>,
    pub email: Option<String>,
    pub avatar_url: Option<String>,
}

/// An open invitation.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct InvitationRow {
    pub id: Uuid,
    pub organization_id: Uuid,
    pub email: Option<String>,
    pub role: String,
    pub invited_by: Uuid,
    pub invited_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// One organization, unless it was closed.
///
/// # Errors
/// If the database does not answer.
pub async fn find(reader: &Reader, id: Uuid) -> Result<Option<OrganizationRow>, ReadError> {
    let row = sqlx::query_as("select * from read.organizations_v1 where id = $1 and closed_at is null")
        .bind(id)
        .fetch_optional(reader.pool())
        .await?;
    Ok(row)
}

/// The organizations that a user is a member of (at most a hundred), oldest membership first.
///
/// # Errors
/// If the database does not answer.
pub async fn of_user(reader: &Reader, user: Uuid) -> Result<Vec<MembershipRow>, ReadError> {
    let rows = sqlx::query_as(
        "select o.id, o.name, o.timezone, m.role, m.joined_at, \
         (select count(*) from read.members_v1 c where c.organization_id = o.id) as members \
         from read.members_v1 m join read.organizations_v1 o on o.id = m.organization_id \
         where m.user_id = $1 order by m.joined_at, o.id",
    )
    .bind(user)
    .fetch_all(reader.pool())
    .await?;
    Ok(rows)
}

/// One page of an organization's members by when they joined, and how many there are.
///
/// # Errors
/// If the database does not answer.
pub async fn members(
    reader: &Reader,
    organization: Uuid,
    offset: i64,
    limit: i64,
) -> Result<(Vec<MemberRow>, i64), ReadError> {
    let rows = sqlx::query_as(
        "select m.user_id, m.role, m.joined_at, u.name, u.email, u.avatar_url \
         from read.members_v1 m left join read.users_v1 u on u.id = m.user_id \
         where m.organization_id = $1 order by m.joined_at, m.user_id offset $2 limit $3",
    )
    .bind(organization)
    .bind(offset)
    .bind(limit)
    .fetch_all(reader.pool())
    .await?;
    let total = sqlx::query_scalar("select count(*) from read.members_v1 where organization_id = $1")
        .bind(organization)
        .fetch_one(reader.pool())
        .await?;
    Ok((rows, total))
}

/// An organization's invitations that are open at `now` (at most a hundred), newest first.
///
/// # Errors
/// If the database does not answer.
pub async fn invitations(
    reader: &Reader,
    organization: Uuid,
    now: DateTime<Utc>,
) -> Result<Vec<InvitationRow>, ReadError> {
    let rows = sqlx::query_as(
        "select id, organization_id, email, role, invited_by, invited_at, expires_at \
         from read.invitations_v1 where organization_id = $1 and expires_at > $2 \
         order by invited_at desc, id limit 100",
    )
    .bind(organization)
    .bind(now)
    .fetch_all(reader.pool())
    .await?;
    Ok(rows)
}

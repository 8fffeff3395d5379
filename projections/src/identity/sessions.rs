//! Where a user is signed in.

use annals_domain::identity::{SessionEvent, UserEvent};
use annals_eventstore::{Filter, RecordedEvent};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{SESSION, USER, USER_DELETED, events};
use crate::{
    Projection, ProjectionError, ReadError, Reader,
    runtime::{decode, stream_id},
};

#[derive(Clone, Copy, Debug, Default)]
pub struct Sessions;

#[async_trait]
impl Projection for Sessions {
    const NAME: &'static str = "sessions";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["sessions"];
    // The client's address and program are personal: null once the person is forgotten.
    const CREATE: &'static str = "
        create table sessions (
            id uuid primary key,
            user_id uuid not null,
            organization_id uuid not null,
            ip text,
            user_agent text,
            opened_at timestamptz not null,
            last_used_at timestamptz not null,
            expires_at timestamptz not null,
            revoked_at timestamptz
        )";
    const INDEXES: &'static str = "create index on sessions (user_id) where revoked_at is null";

    fn filter(&self) -> Filter {
        let of_users = ["identity.user.password_changed", "identity.user.sessions_revoked", USER_DELETED];
        events(SessionEvent::TYPES.iter().copied().chain(of_users))
    }

    fn purges(&self, event: &RecordedEvent) -> bool {
        event.event_type == USER_DELETED
    }

    async fn apply(
        &self,
        events: &[RecordedEvent],
        tables: &mut PgConnection,
    ) -> Result<(), ProjectionError> {
        for event in events {
            match event.stream.aggregate_type.as_ref() {
                SESSION => apply_session(event, tables).await?,
                USER => apply_user(event, tables).await?,
                _ => {}
            }
        }
        Ok(())
    }
}

async fn apply_session(event: &RecordedEvent, tables: &mut PgConnection) -> Result<(), ProjectionError> {
    let id = stream_id(event)?;
    let client = event.metadata.client_info();
    let (ip, user_agent) = client.map(|client| (client.ip, client.user_agent)).unwrap_or_default();
    match decode::<SessionEvent>(event)? {
        SessionEvent::Opened { user_id, organization_id, expires_at, .. } => {
            sqlx::query(
                "insert into sessions (id, user_id, organization_id, ip, user_agent, opened_at, last_used_at, \
                 expires_at) values ($1, $2, $3, $4, $5, $6, $6, $7)",
            )
            .bind(id)
            .bind(user_id.uuid())
            .bind(organization_id.uuid())
            .bind(ip)
            .bind(user_agent)
            .bind(event.recorded_at)
            .bind(expires_at)
            .execute(tables)
            .await?;
        }
        SessionEvent::Refreshed { expires_at, .. } => {
            sqlx::query(
                "update sessions set expires_at = $2, last_used_at = $3, ip = $4, user_agent = $5 where id = $1",
            )
            .bind(id)
            .bind(expires_at)
            .bind(event.recorded_at)
            .bind(ip)
            .bind(user_agent)
            .execute(tables)
            .await?;
        }
        SessionEvent::OrganizationSwitched { organization_id } => {
            sqlx::query("update sessions set organization_id = $2 where id = $1")
                .bind(id)
                .bind(organization_id.uuid())
                .execute(tables)
                .await?;
        }
        SessionEvent::Revoked { .. } => {
            sqlx::query("update sessions set revoked_at = $2 where id = $1")
                .bind(id)
                .bind(event.recorded_at)
                .execute(tables)
                .await?;
        }
    }
    Ok(())
}

async fn apply_user(event: &RecordedEvent, tables: &mut PgConnection) -> Result<(), ProjectionError> {
    let user = stream_id(event)?;
    match decode::<UserEvent>(event)? {
        UserEvent::PasswordChanged { kept_session, .. } | UserEvent::SessionsRevoked { kept_session, .. } => {
            sqlx::query(
                "update sessions set revoked_at = $3 \
                 where user_id = $1 and revoked_at is null and id is distinct from $2",
            )
            .bind(user)
            .bind(kept_session.map(|id| id.uuid()))
            .bind(event.recorded_at)
            .execute(tables)
            .await?;
        }
        UserEvent::Deleted => {
            sqlx::query("delete from sessions where user_id = $1").bind(user).execute(tables).await?;
        }
        _ => {}
    }
    Ok(())
}

/// A session's row.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct SessionRow {
    pub id: Uuid,
    pub user_id: Uuid,
    pub organization_id: Uuid,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    pub opened_at: DateTime<Utc>,
    pub last_used_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
}

/// How many sessions are listed at most, the last used first.
pub const LISTED_MAX: i64 = 100;

/// A user's sessions that are alive at `now`.
///
/// # Errors
/// If the database does not answer.
pub async fn alive(reader: &Reader, user: Uuid, now: DateTime<Utc>) -> Result<Vec<SessionRow>, ReadError> {
    let rows = sqlx::query_as(
        "select * from read.sessions_v1 where user_id = $1 and revoked_at is null and expires_at > $2 \
         order by last_used_at desc, id limit $3",
    )
    .bind(user)
    .bind(now)
    .bind(LISTED_MAX)
    .fetch_all(reader.pool())
    .await?;
    Ok(rows)
}

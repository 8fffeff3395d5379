//! A user's API keys, without the keys.

use annals_domain::identity::{ApiKeyEvent, ApiKeyName, Scope};
use annals_eventstore::{Filter, RecordedEvent};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{API_KEY, USER, USER_DELETED, events};
use crate::{
    Projection, ProjectionError, ReadError, Reader,
    runtime::{decode, stream_id},
};

#[derive(Clone, Copy, Debug, Default)]
pub struct ApiKeys;

#[async_trait]
impl Projection for ApiKeys {
    const NAME: &'static str = "api_keys";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["api_keys"];
    const CREATE: &'static str = "
        create table api_keys (
            id uuid primary key,
            user_id uuid not null,
            organization_id uuid not null,
            name text,
            scopes text[] not null,
            is_active boolean not null default true,
            created_at timestamptz not null,
            last_used_at timestamptz,
            revoked_at timestamptz
        )";
    const INDEXES: &'static str = "create index on api_keys (user_id, organization_id)";

    fn filter(&self) -> Filter {
        events(ApiKeyEvent::TYPES.iter().copied().chain([USER_DELETED]))
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
                API_KEY => apply_key(event, tables).await?,
                // The only event of users that the filter lets through.
                USER => {
                    sqlx::query("delete from api_keys where user_id = $1")
                        .bind(stream_id(event)?)
                        .execute(&mut *tables)
                        .await?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

async fn apply_key(event: &RecordedEvent, tables: &mut PgConnection) -> Result<(), ProjectionError> {
    let id = stream_id(event)?;
    match decode::<ApiKeyEvent>(event)? {
        ApiKeyEvent::Created { user_id, organization_id, name, scopes, .. } => {
            sqlx::query(
                "insert into api_keys (id, user_id, organization_id, name, scopes, created_at) \
                 values ($1, $2, $3, $4, $5, $6)",
            )
            .bind(id)
            .bind(user_id.uuid())
            .bind(organization_id.uuid())
            .bind(name.get().map(ApiKeyName::as_str))
            .bind(scopes.iter().map(Scope::as_str).collect::<Vec<_>>())
            .bind(event.recorded_at)
            .execute(tables)
            .await?;
        }
        ApiKeyEvent::Used { at } => {
            sqlx::query("update api_keys set last_used_at = $2 where id = $1")
                .bind(id)
                .bind(at)
                .execute(tables)
                .await?;
        }
        ApiKeyEvent::Revoked => {
            sqlx::query("update api_keys set is_active = false, revoked_at = $2 where id = $1")
                .bind(id)
                .bind(event.recorded_at)
                .execute(tables)
                .await?;
        }
    }
    Ok(())
}

/// An API key's row.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct ApiKeyRow {
    pub id: Uuid,
    pub user_id: Uuid,
    pub organization_id: Uuid,
    pub name: Option<String>,
    pub scopes: Vec<String>,
    pub is_active: bool,
    pub created_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
}

/// How many keys are listed at most: the active ones first, of each the newest first.
pub const LISTED_MAX: i64 = 200;

/// A user's keys in an organization, revoked ones included.
///
/// # Errors
/// If the database does not answer.
pub async fn list(reader: &Reader, user: Uuid, organization: Uuid) -> Result<Vec<ApiKeyRow>, ReadError> {
    let rows = sqlx::query_as(
        "select * from read.api_keys_v1 where user_id = $1 and organization_id = $2 \
         order by is_active desc, created_at desc, id limit $3",
    )
    .bind(user)
    .bind(organization)
    .bind(LISTED_MAX)
    .fetch_all(reader.pool())
    .await?;
    Ok(rows)
}

//! A user's API keys, without the keys.

use annals_domain::identity::ApiKeyEvent;
use annals_eventstore::{Filter, MetadataNeeds, UnparsedEvent};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{API_KEY, USER_DELETED, events};
use crate::{
    Projection, ProjectionError, ReadError, Reader,
    runtime::{CopyRow, Rows, TableRow, decode, give_way, stream_id},
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

    fn metadata(&self) -> MetadataNeeds {
        MetadataNeeds::Nothing
    }

    fn purges(&self, event: &UnparsedEvent) -> bool {
        event.event_type == USER_DELETED
    }

    async fn apply(
        &self,
        events: &[UnparsedEvent],
        tables: &mut PgConnection,
    ) -> Result<(), ProjectionError> {
        // What happens to a user changes rows that are not in the batch: it divides it.
        for run in events.chunk_by(|one, next| is_of_key(one) == is_of_key(next)) {
            if run.first().is_some_and(is_of_key) {
                apply_keys(run, tables).await?;
                continue;
            }
            // The only event of users that the filter lets through is that one is deleted.
            let users = run.iter().map(stream_id).collect::<Result<Vec<_>, _>>()?;
            sqlx::query("delete from api_keys where user_id = any ($1)")
                .bind(users)
                .execute(&mut *tables)
                .await?;
        }
        Ok(())
    }
}

fn is_of_key(event: &UnparsedEvent) -> bool {
    event.stream.aggregate_type == API_KEY
}

async fn apply_keys(events: &[UnparsedEvent], tables: &mut PgConnection) -> Result<(), ProjectionError> {
    let ids = events.iter().map(stream_id).collect::<Result<_, _>>()?;
    let mut keys = Rows::<ApiKeyRow>::load(ids, tables).await?;
    for (nth, event) in events.iter().enumerate() {
        apply_key(&mut keys, event)?;
        give_way(nth).await;
    }
    Ok(keys.store(tables).await?)
}

fn apply_key(keys: &mut Rows<ApiKeyRow>, event: &UnparsedEvent) -> Result<(), ProjectionError> {
    let id = stream_id(event)?;
    match decode::<ApiKeyEvent>(event)? {
        ApiKeyEvent::Created { user_id, organization_id, name, scopes, .. } => keys.put(ApiKeyRow {
            id,
            user_id: user_id.uuid(),
            organization_id: organization_id.uuid(),
            name: name.get().map(|name| name.as_str().to_string()),
            scopes: scopes.iter().map(|scope| scope.as_str().to_string()).collect(),
            is_active: true,
            created_at: event.recorded_at,
            last_used_at: None,
            revoked_at: None,
        }),
        ApiKeyEvent::Used { at } => {
            if let Some(key) = keys.get_mut(id) {
                key.last_used_at = Some(at);
            }
        }
        ApiKeyEvent::Revoked => {
            if let Some(key) = keys.get_mut(id) {
                key.is_active = false;
                key.revoked_at = Some(event.recorded_at);
            }
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

impl TableRow for ApiKeyRow {
    const TABLE: &'static str = "api_keys";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "user_id",
        "organization_id",
        "name",
        "scopes",
        "is_active",
        "created_at",
        "last_used_at",
        "revoked_at",
    ];

    fn id(&self) -> Uuid {
        self.id
    }

    fn fill(&self, row: &mut CopyRow<'_>) -> Result<(), sqlx::Error> {
        row.value(self.id)?;
        row.value(self.user_id)?;
        row.value(self.organization_id)?;
        row.value(self.name.as_deref())?;
        row.value(self.scopes.as_slice())?;
        row.value(self.is_active)?;
        row.value(self.created_at)?;
        row.value(self.last_used_at)?;
        row.value(self.revoked_at)
    }
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

//! The channels of an organization, those that were disconnected too: old posts name them.

use std::collections::BTreeMap;

use annals_domain::{
    kernel::{IntegrationId, OrganizationId},
    publishing::IntegrationEvent,
};
use annals_eventstore::{Filter, MetadataNeeds, UnparsedEvent};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    Projection, ProjectionError,
    runtime::{decode, stream_id},
};

pub struct Channels;

#[async_trait]
impl Projection for Channels {
    const NAME: &'static str = "channels";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["channels"];
    const CREATE: &'static str = "
        CREATE TABLE channels (
            id uuid PRIMARY KEY,
            organization_id uuid NOT NULL,
            platform text NOT NULL,
            status text NOT NULL,
            status_reason text,
            remote_id text NOT NULL,
            name text NOT NULL,
            handle text,
            url text,
            picture text,
            group_name text,
            customer text,
            connected_by uuid NOT NULL,
            connected_at timestamptz NOT NULL,
            version bigint NOT NULL
        )";
    const INDEXES: &'static str = "CREATE INDEX channels_by_organization ON channels (organization_id, name)";

    fn filter(&self) -> Filter {
        Filter { aggregate_types: vec!["publishing.integration".to_string()], ..Filter::default() }
    }

    fn metadata(&self) -> MetadataNeeds {
        MetadataNeeds::Nothing
    }

    async fn apply(
        &self,
        events: &[UnparsedEvent],
        tables: &mut PgConnection,
    ) -> Result<(), ProjectionError> {
        for event in events {
            apply_one(event, tables).await?;
        }
        Ok(())
    }
}

// Channels change rarely, some dozen events in a life: one statement per event is enough.
async fn apply_one(event: &UnparsedEvent, tables: &mut PgConnection) -> Result<(), ProjectionError> {
    let id = stream_id(event)?;
    match decode::<IntegrationEvent>(event)? {
        IntegrationEvent::Connected { organization_id, platform, account, connected_by, at, .. } => {
            sqlx::query(
                "INSERT INTO channels (id, organization_id, platform, status, remote_id, name, handle, url,
                     picture, connected_by, connected_at, version)
                 VALUES ($1, $2, $3, 'connected', $4, $5, $6, $7, $8, $9, $10, 0)",
            )
            .bind(id)
            .bind(organization_id.uuid())
            .bind(platform)
            .bind(account.remote_id)
            .bind(account.name)
            .bind(account.handle)
            .bind(account.url)
            .bind(account.picture)
            .bind(connected_by.uuid())
            .bind(at)
            .execute(&mut *tables)
            .await?;
        }
        IntegrationEvent::Reconnected { account, connected_by, at, .. } => {
            sqlx::query(
                "UPDATE channels SET status = 'connected', status_reason = NULL, name = $2, handle = $3,
                     url = $4, picture = $5, connected_by = $6, connected_at = $7 WHERE id = $1",
            )
            .bind(id)
            .bind(account.name)
            .bind(account.handle)
            .bind(account.url)
            .bind(account.picture)
            .bind(connected_by.uuid())
            .bind(at)
            .execute(&mut *tables)
            .await?;
        }
        IntegrationEvent::CredentialsRefreshed { .. } | IntegrationEvent::LimitsNoted { .. } => {}
        IntegrationEvent::Renamed { name } => {
            sqlx::query("UPDATE channels SET name = $2 WHERE id = $1")
                .bind(id)
                .bind(name.as_str())
                .execute(&mut *tables)
                .await?;
        }
        IntegrationEvent::Grouped { group, customer } => {
            sqlx::query("UPDATE channels SET group_name = $2, customer = $3 WHERE id = $1")
                .bind(id)
                .bind(group.as_ref().map(|label| label.as_str()))
                .bind(customer.as_ref().map(|label| label.as_str()))
                .execute(&mut *tables)
                .await?;
        }
        IntegrationEvent::Enabled {} => set_status(id, "connected", None, tables).await?,
        IntegrationEvent::Disabled {} => set_status(id, "disabled", None, tables).await?,
        IntegrationEvent::AccessLost { reason, .. } => {
            set_status(id, "expired", Some(&reason), tables).await?;
        }
        IntegrationEvent::Disconnected { .. } => set_status(id, "disconnected", None, tables).await?,
    }
    sqlx::query("UPDATE channels SET version = $2 WHERE id = $1")
        .bind(id)
        .bind(event.sequence.cast_signed())
        .execute(tables)
        .await?;
    Ok(())
}

async fn set_status(
    id: Uuid,
    status: &str,
    reason: Option<&str>,
    tables: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE channels SET status = $2, status_reason = $3 WHERE id = $1")
        .bind(id)
        .bind(status)
        .bind(reason)
        .execute(tables)
        .await?;
    Ok(())
}

/// A channel as its organization sees it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Channel {
    pub id: Uuid,
    pub organization_id: Uuid,
    pub platform: String,
    pub status: String,
    /// Why it is expired.
    pub status_reason: Option<String>,
    pub remote_id: String,
    pub name: String,
    pub handle: Option<String>,
    pub url: Option<String>,
    pub picture: Option<String>,
    pub group_name: Option<String>,
    pub customer: Option<String>,
    pub connected_by: Uuid,
    pub connected_at: DateTime<Utc>,
    #[sqlx(try_from = "i64")]
    pub version: u64,
}

/// A customer, as channels name them.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Customer {
    pub name: String,
    #[sqlx(try_from = "i64")]
    pub channels: u64,
}

/// An organization may connect far fewer; the bound keeps an answer small whatever happens.
const LIST_MAX: i64 = 1_000;

/// The channels that are not disconnected, by name.
///
/// # Errors
/// If the database does not answer.
pub async fn list(pool: &PgPool, organization: OrganizationId) -> Result<Vec<Channel>, sqlx::Error> {
    sqlx::query_as(
        "SELECT * FROM read.channels_v1 WHERE organization_id = $1 AND status <> 'disconnected'
         ORDER BY name, id LIMIT $2",
    )
    .bind(organization.uuid())
    .bind(LIST_MAX)
    .fetch_all(pool)
    .await
}

/// # Errors
/// If the database does not answer.
pub async fn get(
    pool: &PgPool,
    organization: OrganizationId,
    id: IntegrationId,
) -> Result<Option<Channel>, sqlx::Error> {
    sqlx::query_as(
        "SELECT * FROM read.channels_v1
         WHERE organization_id = $1 AND id = $2 AND status <> 'disconnected'",
    )
    .bind(organization.uuid())
    .bind(id.uuid())
    .fetch_optional(pool)
    .await
}

/// These channels of an organization by id, disconnected ones too: for what names them.
///
/// # Errors
/// If the database does not answer.
pub async fn named(
    pool: &PgPool,
    organization: OrganizationId,
    ids: &[IntegrationId],
) -> Result<BTreeMap<IntegrationId, Channel>, sqlx::Error> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let channels: Vec<Channel> =
        sqlx::query_as("SELECT * FROM read.channels_v1 WHERE organization_id = $1 AND id = ANY ($2)")
            .bind(organization.uuid())
            .bind(ids)
            .fetch_all(pool)
            .await?;
    Ok(channels.into_iter().map(|channel| (IntegrationId::new(channel.id), channel)).collect())
}

/// Whose channels these are, as they were named.
///
/// # Errors
/// If the database does not answer.
pub async fn customers(pool: &PgPool, organization: OrganizationId) -> Result<Vec<Customer>, sqlx::Error> {
    sqlx::query_as(
        "SELECT customer AS name, count(*) AS channels FROM read.channels_v1
         WHERE organization_id = $1 AND status <> 'disconnected' AND customer IS NOT NULL
         GROUP BY customer ORDER BY customer LIMIT $2",
    )
    .bind(organization.uuid())
    .bind(LIST_MAX)
    .fetch_all(pool)
    .await
}

//! Posts that recur: each series with its rule and state. Its posts are with the posts.

use std::collections::BTreeMap;

use annals_domain::{
    kernel::{OrganizationId, PostId, SeriesId},
    publishing::{SeriesEvent, SeriesStatus, series::Recurrence},
};
use annals_eventstore::{Filter, MetadataNeeds, UnparsedEvent};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use super::posts::Paging;
use crate::{
    Projection, ProjectionError,
    runtime::{decode, stream_id},
};

pub struct Series;

#[async_trait]
impl Projection for Series {
    const NAME: &'static str = "series";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["series"];
    const CREATE: &'static str = "
        CREATE TABLE series (
            id uuid PRIMARY KEY,
            organization_id uuid NOT NULL,
            author_id uuid NOT NULL,
            status text NOT NULL,
            rule text NOT NULL,
            zone text NOT NULL,
            starts_at timestamptz NOT NULL,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            version bigint NOT NULL
        )";
    const INDEXES: &'static str = "CREATE INDEX series_newest ON series (organization_id, created_at)";

    fn filter(&self) -> Filter {
        Filter { aggregate_types: vec!["publishing.series".to_string()], ..Filter::default() }
    }

    fn metadata(&self) -> MetadataNeeds {
        MetadataNeeds::Nothing
    }

    // A series is changed a few times in its life.
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

async fn apply_one(event: &UnparsedEvent, tables: &mut PgConnection) -> Result<(), ProjectionError> {
    let id = stream_id(event)?;
    match decode::<SeriesEvent>(event)? {
        SeriesEvent::Started { organization_id, author_id, recurrence, at, .. } => {
            sqlx::query(
                "INSERT INTO series (id, organization_id, author_id, status, rule, zone, starts_at, created_at,
                     updated_at, version)
                 VALUES ($1, $2, $3, 'active', '', '', $4, $4, $4, 0)",
            )
            .bind(id)
            .bind(organization_id.uuid())
            .bind(author_id.uuid())
            .bind(at)
            .execute(&mut *tables)
            .await?;
            recurs(id, &recurrence, tables).await?;
        }
        SeriesEvent::Changed { recurrence, .. } => recurs(id, &recurrence, tables).await?,
        SeriesEvent::Paused { .. } => set_status(id, SeriesStatus::Paused, tables).await?,
        SeriesEvent::Resumed { .. } => set_status(id, SeriesStatus::Active, tables).await?,
        SeriesEvent::Ended { .. } => set_status(id, SeriesStatus::Ended, tables).await?,
    }
    sqlx::query("UPDATE series SET version = $2, updated_at = $3 WHERE id = $1")
        .bind(id)
        .bind(event.sequence.cast_signed())
        .bind(event.recorded_at)
        .execute(tables)
        .await?;
    Ok(())
}

/// A changed series is active again.
async fn recurs(id: Uuid, recurrence: &Recurrence, tables: &mut PgConnection) -> Result<(), sqlx::Error> {
    let start = recurrence.start();
    sqlx::query("UPDATE series SET status = 'active', rule = $2, zone = $3, starts_at = $4 WHERE id = $1")
        .bind(id)
        .bind(recurrence.rule())
        .bind(start.zone.as_str())
        .bind(start.at)
        .execute(tables)
        .await?;
    Ok(())
}

async fn set_status(id: Uuid, status: SeriesStatus, tables: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE series SET status = $2 WHERE id = $1")
        .bind(id)
        .bind(status.as_str())
        .execute(tables)
        .await?;
    Ok(())
}

/// A series as its organization sees it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct SeriesRow {
    pub id: Uuid,
    pub author_id: Uuid,
    pub status: String,
    /// RFC 5545.
    pub rule: String,
    pub zone: String,
    pub starts_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    #[sqlx(try_from = "i64")]
    pub version: u64,
}

/// An occurrence that is ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ahead {
    pub post: PostId,
    pub at: DateTime<Utc>,
    pub status: String,
}

/// What a series' posts are, archived ones left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Occurrences {
    pub by_status: BTreeMap<String, u64>,
    /// The next that are scheduled, or drafts until the series is resumed; in order.
    pub next: Vec<Ahead>,
}

/// A page of an organization's series, the newest first, and how many there are in all.
///
/// # Errors
/// If the database does not answer.
pub async fn list(
    pool: &PgPool,
    organization: OrganizationId,
    status: Option<SeriesStatus>,
    paging: Paging,
) -> Result<(Vec<SeriesRow>, u64), sqlx::Error> {
    let status = status.map(SeriesStatus::as_str);
    let total: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM read.series_v1 WHERE organization_id = $1 AND ($2::text IS NULL OR status = $2)",
    )
    .bind(organization.uuid())
    .bind(status)
    .fetch_one(pool)
    .await?;
    let (limit, offset) = paging.limit_offset();
    let rows = sqlx::query_as(
        "SELECT id, author_id, status, rule, zone, starts_at, created_at, updated_at, version
         FROM read.series_v1 WHERE organization_id = $1 AND ($2::text IS NULL OR status = $2)
         ORDER BY created_at DESC, id DESC LIMIT $3 OFFSET $4",
    )
    .bind(organization.uuid())
    .bind(status)
    .bind(limit)
    .bind(offset)
    .fetch_all(pool)
    .await?;
    Ok((rows, total.cast_unsigned()))
}

/// # Errors
/// If the database does not answer.
pub async fn get(
    pool: &PgPool,
    organization: OrganizationId,
    id: SeriesId,
) -> Result<Option<SeriesRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, author_id, status, rule, zone, starts_at, created_at, updated_at, version
         FROM read.series_v1 WHERE organization_id = $1 AND id = $2",
    )
    .bind(organization.uuid())
    .bind(id.uuid())
    .fetch_optional(pool)
    .await
}

/// The states of these series.
///
/// # Errors
/// If the database does not answer.
pub async fn states(
    pool: &PgPool,
    organization: OrganizationId,
    ids: &[SeriesId],
) -> Result<BTreeMap<SeriesId, String>, sqlx::Error> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let states: Vec<(Uuid, String)> =
        sqlx::query_as("SELECT id, status FROM read.series_v1 WHERE organization_id = $1 AND id = ANY ($2)")
            .bind(organization.uuid())
            .bind(ids)
            .fetch_all(pool)
            .await?;
    Ok(states.into_iter().map(|(id, status)| (SeriesId::new(id), status)).collect())
}

/// What the posts of these series are, with at most so many of the next ones each.
///
/// # Errors
/// If the database does not answer.
pub async fn occurrences(
    pool: &PgPool,
    organization: OrganizationId,
    ids: &[Uuid],
    now: DateTime<Utc>,
    next_max: i64,
) -> Result<BTreeMap<Uuid, Occurrences>, sqlx::Error> {
    let mut all: BTreeMap<Uuid, Occurrences> = BTreeMap::new();
    let counts: Vec<(Uuid, String, i64)> = sqlx::query_as(
        "SELECT series_id, status, count(*) FROM read.posts_v4
         WHERE organization_id = $1 AND series_id = ANY ($2) AND NOT archived GROUP BY 1, 2",
    )
    .bind(organization.uuid())
    .bind(ids)
    .fetch_all(pool)
    .await?;
    for (series, status, count) in counts {
        all.entry(series).or_default().by_status.insert(status, count.cast_unsigned());
    }
    let next: Vec<(Uuid, Uuid, DateTime<Utc>, String)> = sqlx::query_as(
        "SELECT s.id, p.id, p.scheduled_at, p.status FROM unnest($2::uuid[]) AS s (id)
         CROSS JOIN LATERAL (
             SELECT id, scheduled_at, status FROM read.posts_v4
             WHERE organization_id = $1 AND series_id = s.id AND scheduled_at > $3
               AND status IN ('scheduled', 'draft') AND NOT archived
             ORDER BY scheduled_at LIMIT $4
         ) AS p ORDER BY p.scheduled_at",
    )
    .bind(organization.uuid())
    .bind(ids)
    .bind(now)
    .bind(next_max)
    .fetch_all(pool)
    .await?;
    for (series, post, at, status) in next {
        all.entry(series).or_default().next.push(Ahead { post: PostId::new(post), at, status });
    }
    Ok(all)
}

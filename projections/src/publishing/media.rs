//! The files of an organization's media library.

use std::collections::BTreeMap;

use annals_domain::{
    kernel::{MediaId, OrganizationId},
    publishing::{
        MediaAssetEvent,
        media::{MediaKind, StoredFile, Variant},
    },
};
use annals_eventstore::{Filter, MetadataNeeds, UnparsedEvent};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, PgPool, Postgres, QueryBuilder, types::Json};
use uuid::Uuid;

use super::posts::{Paging, like_literal};
use crate::{
    Projection, ProjectionError,
    runtime::{decode, stream_id},
};

const USER_DELETED: &str = "identity.user.deleted";

pub struct Media;

#[async_trait]
impl Projection for Media {
    const NAME: &'static str = "media";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["media"];
    const CREATE: &'static str = "
        CREATE TABLE media (
            id uuid PRIMARY KEY,
            organization_id uuid NOT NULL,
            uploaded_by uuid NOT NULL,
            name text,
            kind text NOT NULL,
            file jsonb NOT NULL,
            variants jsonb NOT NULL DEFAULT '[]',
            status text NOT NULL DEFAULT 'pending',
            status_reason text,
            used_by uuid[] NOT NULL DEFAULT '{}',
            uploaded_at timestamptz NOT NULL,
            version bigint NOT NULL
        )";
    const INDEXES: &'static str =
        "CREATE INDEX media_by_organization ON media (organization_id, uploaded_at DESC, id);
        CREATE INDEX media_by_person ON media (uploaded_by)";

    fn filter(&self) -> Filter {
        let types = MediaAssetEvent::TYPES.iter().copied().chain([USER_DELETED]);
        Filter { event_types: types.map(str::to_string).collect(), ..Filter::default() }
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
        for event in events {
            apply_one(event, tables).await?;
        }
        Ok(())
    }
}

// A file has a handful of events in its life: one statement per event is enough.
async fn apply_one(event: &UnparsedEvent, tables: &mut PgConnection) -> Result<(), ProjectionError> {
    let id = stream_id(event)?;
    if event.event_type == USER_DELETED {
        sqlx::query("UPDATE media SET name = NULL WHERE uploaded_by = $1").bind(id).execute(tables).await?;
        return Ok(());
    }
    let changed = match decode::<MediaAssetEvent>(event)? {
        MediaAssetEvent::Uploaded { organization_id, uploaded_by, name, file, at, .. } => sqlx::query(
            "INSERT INTO media (id, organization_id, uploaded_by, name, kind, file, uploaded_at, version)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 0)",
        )
        .bind(id)
        .bind(organization_id.uuid())
        .bind(uploaded_by.uuid())
        .bind(name.get().map(|name| name.as_str().to_string()))
        .bind(file.media_type.kind().as_str())
        .bind(Json(file))
        .bind(at),
        MediaAssetEvent::Processed { variants, width, height, duration_ms, .. } => sqlx::query(
            "UPDATE media SET variants = $2, status = 'done', status_reason = NULL,
                 file = file || jsonb_build_object(
                     'width', coalesce(nullif(file->'width', 'null'), to_jsonb($3::bigint)),
                     'height', coalesce(nullif(file->'height', 'null'), to_jsonb($4::bigint)),
                     'duration_ms', coalesce(nullif(file->'duration_ms', 'null'), to_jsonb($5::bigint)))
             WHERE id = $1",
        )
        .bind(id)
        .bind(Json(variants))
        .bind(width.map(i64::from))
        .bind(height.map(i64::from))
        .bind(duration_ms.map(u64::cast_signed)),
        MediaAssetEvent::ProcessingFailed { reason, .. } => {
            sqlx::query("UPDATE media SET status = 'failed', status_reason = $2 WHERE id = $1")
                .bind(id)
                .bind(reason)
        }
        MediaAssetEvent::Attached { post_id, .. } => {
            sqlx::query("UPDATE media SET used_by = array_append(used_by, $2) WHERE id = $1")
                .bind(id)
                .bind(post_id.uuid())
        }
        MediaAssetEvent::Detached { post_id, .. } => {
            sqlx::query("UPDATE media SET used_by = array_remove(used_by, $2) WHERE id = $1")
                .bind(id)
                .bind(post_id.uuid())
        }
        MediaAssetEvent::Deleted { .. } => sqlx::query("DELETE FROM media WHERE id = $1").bind(id),
    };
    changed.execute(&mut *tables).await?;
    sqlx::query("UPDATE media SET version = $2 WHERE id = $1")
        .bind(id)
        .bind(event.sequence.cast_signed())
        .execute(tables)
        .await?;
    Ok(())
}

/// A file as its organization sees it.
#[derive(Clone, Debug, FromRow)]
pub struct MediaFile {
    pub id: Uuid,
    pub uploaded_by: Uuid,
    /// None: who uploaded it was forgotten.
    pub name: Option<String>,
    pub file: Json<StoredFile>,
    pub variants: Json<Vec<Variant>>,
    /// `pending`, `done` or `failed`: whether its variants are made.
    pub status: String,
    pub status_reason: Option<String>,
    /// Posts that are not finished and show it.
    pub used_by: Vec<Uuid>,
    pub uploaded_at: DateTime<Utc>,
    #[sqlx(try_from = "i64")]
    pub version: u64,
}

/// Which files of a library.
#[derive(Clone, Debug, Default)]
pub struct MediaFilter {
    pub kind: Option<MediaKind>,
    /// Anywhere in the name, without regard to case.
    pub name: Option<String>,
}

/// The newest first, and how many there are.
///
/// # Errors
/// If the database does not answer.
pub async fn list(
    pool: &PgPool,
    organization: OrganizationId,
    filter: &MediaFilter,
    paging: Paging,
) -> Result<(Vec<MediaFile>, u64), sqlx::Error> {
    let mut count = QueryBuilder::new("SELECT count(*) FROM read.media_v1");
    push_filter(&mut count, organization, filter);
    let total: i64 = count.build_query_scalar().fetch_one(pool).await?;
    let mut select = QueryBuilder::new("SELECT * FROM read.media_v1");
    push_filter(&mut select, organization, filter);
    let offset = paging.page.saturating_sub(1).saturating_mul(paging.per_page);
    select.push(" ORDER BY uploaded_at DESC, id DESC LIMIT ");
    select.push_bind(i64::try_from(paging.per_page).unwrap_or(i64::MAX));
    select.push(" OFFSET ").push_bind(i64::try_from(offset).unwrap_or(i64::MAX));
    let files = select.build_query_as().fetch_all(pool).await?;
    Ok((files, total.cast_unsigned()))
}

fn push_filter(query: &mut QueryBuilder<'_, Postgres>, organization: OrganizationId, filter: &MediaFilter) {
    query.push(" WHERE organization_id = ").push_bind(organization.uuid());
    if let Some(kind) = filter.kind {
        query.push(" AND kind = ").push_bind(kind.as_str());
    }
    if let Some(name) = &filter.name {
        query.push(" AND name ILIKE ").push_bind(format!("%{}%", like_literal(name)));
    }
}

/// # Errors
/// If the database does not answer.
pub async fn get(
    pool: &PgPool,
    organization: OrganizationId,
    id: MediaId,
) -> Result<Option<MediaFile>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM read.media_v1 WHERE organization_id = $1 AND id = $2")
        .bind(organization.uuid())
        .bind(id.uuid())
        .fetch_optional(pool)
        .await
}

/// What these files of an organization are, by id; those that were deleted are left out.
///
/// # Errors
/// If the database does not answer.
pub async fn files(
    pool: &PgPool,
    organization: OrganizationId,
    ids: &[MediaId],
) -> Result<BTreeMap<MediaId, StoredFile>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows: Vec<(Uuid, Json<StoredFile>)> =
        sqlx::query_as("SELECT id, file FROM read.media_v1 WHERE organization_id = $1 AND id = ANY ($2)")
            .bind(organization.uuid())
            .bind(ids)
            .fetch_all(pool)
            .await?;
    Ok(rows.into_iter().map(|(id, file)| (MediaId::new(id), file.0)).collect())
}

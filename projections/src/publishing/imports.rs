//! Imports: how far each is, and what became of its rows.

use annals_domain::{
    kernel::{ImportId, OrganizationId},
    publishing::{
        ImportEvent,
        import::{ImportStatus, Problem},
    },
};
use annals_eventstore::{Filter, MetadataNeeds, UnparsedEvent};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, PgPool, types::Json};
use uuid::Uuid;

use super::posts::Paging;
use crate::{
    Projection, ProjectionError,
    runtime::{CopyIn, decode, stream_id},
};

pub struct Imports;

#[async_trait]
impl Projection for Imports {
    const NAME: &'static str = "imports";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["imports", "import_rows"];
    const CREATE: &'static str = "
        CREATE TABLE imports (
            id uuid PRIMARY KEY,
            organization_id uuid NOT NULL,
            author_id uuid NOT NULL,
            status text NOT NULL,
            reason text,
            rows integer NOT NULL,
            written integer NOT NULL,
            failed integer NOT NULL,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            version bigint NOT NULL
        );
        CREATE TABLE import_rows (
            import_id uuid NOT NULL,
            number integer NOT NULL,
            post_id uuid,
            problems json,
            PRIMARY KEY (import_id, number)
        )";
    const INDEXES: &'static str = "CREATE INDEX imports_newest ON imports (organization_id, created_at)";

    fn filter(&self) -> Filter {
        // Everything but the rows themselves.
        let event_types = [
            "publishing.import.opened",
            "publishing.import.started",
            "publishing.import.rows_worked",
            "publishing.import.completed",
            "publishing.import.cancelled",
        ];
        Filter { event_types: event_types.map(str::to_string).into(), ..Filter::default() }
    }

    fn metadata(&self) -> MetadataNeeds {
        MetadataNeeds::Nothing
    }

    // One event is some dozen rows, and one statement.
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
    match decode::<ImportEvent>(event)? {
        ImportEvent::Opened { organization_id, author_id, rows, .. } => {
            sqlx::query(
                "INSERT INTO imports (id, organization_id, author_id, status, rows, written, failed, created_at,
                     updated_at, version)
                 VALUES ($1, $2, $3, $4, $5, 0, 0, $6, $6, 0)",
            )
            .bind(id)
            .bind(organization_id.uuid())
            .bind(author_id.uuid())
            .bind(ImportStatus::Receiving.as_str())
            .bind(i32::try_from(rows).unwrap_or(i32::MAX))
            .bind(event.recorded_at)
            .execute(&mut *tables)
            .await?;
        }
        ImportEvent::RowsReceived { .. } => {}
        ImportEvent::Started { .. } => set_status(id, ImportStatus::Running, None, tables).await?,
        ImportEvent::RowsWorked { written, failed, .. } => {
            let count = |rows: usize| i32::try_from(rows).unwrap_or(i32::MAX);
            sqlx::query("UPDATE imports SET written = written + $2, failed = failed + $3 WHERE id = $1")
                .bind(id)
                .bind(count(written.len()))
                .bind(count(failed.len()))
                .execute(&mut *tables)
                .await?;
            let columns = &["import_id", "number", "post_id", "problems"];
            let mut copy = CopyIn::begin(tables, "import_rows", columns).await?;
            for row in written {
                copy.row(|copied| {
                    copied.value(id)?;
                    copied.value(number(row.row))?;
                    copied.value(row.post_id.uuid())?;
                    copied.value(None::<Json<Vec<Problem>>>)
                })
                .await?;
            }
            for row in failed {
                copy.row(|copied| {
                    copied.value(id)?;
                    copied.value(number(row.row))?;
                    copied.value(None::<Uuid>)?;
                    copied.json(&row.problems)
                })
                .await?;
            }
            copy.finish().await?;
        }
        ImportEvent::Completed { .. } => set_status(id, ImportStatus::Completed, None, tables).await?,
        ImportEvent::Cancelled { reason, .. } => {
            set_status(id, ImportStatus::Cancelled, reason, tables).await?;
        }
    }
    sqlx::query("UPDATE imports SET version = $2, updated_at = $3 WHERE id = $1")
        .bind(id)
        .bind(event.sequence.cast_signed())
        .bind(event.recorded_at)
        .execute(tables)
        .await?;
    Ok(())
}

fn number(row: u32) -> i32 {
    i32::try_from(row).unwrap_or(i32::MAX)
}

async fn set_status(
    id: Uuid,
    status: ImportStatus,
    reason: Option<String>,
    tables: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE imports SET status = $2, reason = $3 WHERE id = $1")
        .bind(id)
        .bind(status.as_str())
        .bind(reason)
        .execute(tables)
        .await?;
    Ok(())
}

/// An import as its organization sees it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct ImportRecord {
    pub id: Uuid,
    pub author_id: Uuid,
    pub status: String,
    /// Why it was cancelled, if nobody asked for it.
    pub reason: Option<String>,
    #[sqlx(try_from = "i32")]
    pub rows: u32,
    #[sqlx(try_from = "i32")]
    pub written: u32,
    #[sqlx(try_from = "i32")]
    pub failed: u32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    #[sqlx(try_from = "i64")]
    pub version: u64,
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowRecord {
    pub row: u32,
    pub post_id: Option<Uuid>,
    pub problems: Vec<Problem>,
}

/// Number, post, problems.
type RowColumns = (i32, Option<Uuid>, Option<Json<Vec<Problem>>>);

/// Which rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcomes {
    All,
    Failed,
    Written,
}

/// A page of an organization's imports, the newest first, and how many there are in all.
///
/// # Errors
/// If the database does not answer.
pub async fn list(
    pool: &PgPool,
    organization: OrganizationId,
    paging: Paging,
) -> Result<(Vec<ImportRecord>, u64), sqlx::Error> {
    let total: i64 = sqlx::query_scalar("SELECT count(*) FROM read.imports_v1 WHERE organization_id = $1")
        .bind(organization.uuid())
        .fetch_one(pool)
        .await?;
    let (limit, offset) = paging.limit_offset();
    let found = sqlx::query_as(
        "SELECT id, author_id, status, reason, rows, written, failed, created_at, updated_at, version
         FROM read.imports_v1 WHERE organization_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3",
    )
    .bind(organization.uuid())
    .bind(limit)
    .bind(offset)
    .fetch_all(pool)
    .await?;
    Ok((found, total.cast_unsigned()))
}

/// # Errors
/// If the database does not answer.
pub async fn get(
    pool: &PgPool,
    organization: OrganizationId,
    id: ImportId,
) -> Result<Option<ImportRecord>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, author_id, status, reason, rows, written, failed, created_at, updated_at, version
         FROM read.imports_v1 WHERE organization_id = $1 AND id = $2",
    )
    .bind(organization.uuid())
    .bind(id.uuid())
    .fetch_optional(pool)
    .await
}

/// A page of what became of an import's rows, in order, and how many of these there are.
///
/// # Errors
/// If the database does not answer.
pub async fn rows(
    pool: &PgPool,
    id: ImportId,
    outcomes: Outcomes,
    paging: Paging,
) -> Result<(Vec<RowRecord>, u64), sqlx::Error> {
    let which = match outcomes {
        Outcomes::All => "true",
        Outcomes::Failed => "post_id IS NULL",
        Outcomes::Written => "post_id IS NOT NULL",
    };
    let total: i64 = sqlx::query_scalar(&format!(
        "SELECT count(*) FROM read.import_rows_v1 WHERE import_id = $1 AND {which}"
    ))
    .bind(id.uuid())
    .fetch_one(pool)
    .await?;
    let (limit, offset) = paging.limit_offset();
    let found: Vec<RowColumns> = sqlx::query_as(&format!(
        "SELECT number, post_id, problems FROM read.import_rows_v1 WHERE import_id = $1 AND {which}
         ORDER BY number LIMIT $2 OFFSET $3"
    ))
    .bind(id.uuid())
    .bind(limit)
    .bind(offset)
    .fetch_all(pool)
    .await?;
    let rows = found.into_iter().map(|(row, post_id, problems)| RowRecord {
        row: row.cast_unsigned(),
        post_id,
        problems: problems.map(|Json(problems)| problems).unwrap_or_default(),
    });
    Ok((rows.collect(), total.cast_unsigned()))
}

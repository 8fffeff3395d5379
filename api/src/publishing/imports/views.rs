//! Imports as callers see them.

use annals_domain::{kernel::ImportId, publishing::Import};
use annals_projections::publishing::imports::{ImportRecord, RowRecord};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::examination::RowWarningView;
use crate::http::FieldError;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImportView {
    pub id: Uuid,
    /// `receiving` (send the file again if that was interrupted), `running`, `completed` or `cancelled`.
    pub status: String,
    /// Why it was cancelled, if nobody asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who began it: the author of its posts.
    pub author: Uuid,
    /// Rows of the file.
    pub rows: u32,
    /// Rows that were worked off: `written` and `failed`.
    pub done: u32,
    pub written: u32,
    pub failed: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<DateTime<Utc>>,
    pub version: u64,
    /// Where it was just sent: what there is to know of its rows, at most 1 000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Vec<RowWarningView>>,
}

impl ImportView {
    /// As the write side has it.
    pub(super) fn of_written(id: ImportId, import: &Import, version: u64) -> Self {
        Self {
            id: id.uuid(),
            status: import.status().as_str().to_string(),
            reason: None,
            author: import.author().uuid(),
            rows: import.rows(),
            done: import.done(),
            written: import.written(),
            failed: import.failed(),
            created_at: None,
            updated_at: None,
            version,
            warnings: None,
        }
    }
}

impl From<ImportRecord> for ImportView {
    fn from(import: ImportRecord) -> Self {
        Self {
            id: import.id,
            status: import.status,
            reason: import.reason,
            author: import.author_id,
            rows: import.rows,
            done: import.written + import.failed,
            written: import.written,
            failed: import.failed,
            created_at: Some(import.created_at),
            updated_at: Some(import.updated_at),
            version: import.version,
            warnings: None,
        }
    }
}

/// What became of a row.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RowView {
    /// From 1; the header is none.
    pub row: u32,
    /// The post that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post: Option<Uuid>,
    /// Why none was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ImportDetail {
    #[serde(flatten)]
    pub import: ImportView,
    /// A page of the rows that were worked off, in order.
    pub results: Vec<RowView>,
}

impl ImportDetail {
    pub(super) fn of(import: ImportRecord, rows: Vec<RowRecord>) -> Self {
        let row = |row: RowRecord| RowView {
            row: row.row,
            post: row.post_id,
            errors: row
                .problems
                .into_iter()
                .map(|problem| FieldError { field: problem.field, message: problem.message })
                .collect(),
        };
        Self { import: import.into(), results: rows.into_iter().map(row).collect() }
    }
}

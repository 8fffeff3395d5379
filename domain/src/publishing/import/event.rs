//! What happened to an import.

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FailedRow, ImportRow, WrittenRow};
use crate::kernel::{OrganizationId, UserId};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ImportEvent {
    /// A file with so many rows is coming in.
    Opened {
        organization_id: OrganizationId,
        author_id: UserId,
        rows: u32,
        at: DateTime<Utc>,
    },
    /// The next of its rows, in order.
    RowsReceived {
        rows: Vec<ImportRow>,
    },
    /// All rows are there, and are worked off from now on.
    Started {
        at: DateTime<Utc>,
    },
    /// What became of the next rows: each has a post now, or says why it has none.
    RowsWorked {
        written: Vec<WrittenRow>,
        failed: Vec<FailedRow>,
        at: DateTime<Utc>,
    },
    Completed {
        at: DateTime<Utc>,
    },
    /// The rows that were not worked off yet are left; the posts that were written stay.
    Cancelled {
        /// Why, if nobody asked for it.
        reason: Option<String>,
        at: DateTime<Utc>,
    },
}

impl ImportEvent {
    pub const TYPES: [&str; 6] = [
        "publishing.import.opened",
        "publishing.import.rows_received",
        "publishing.import.started",
        "publishing.import.rows_worked",
        "publishing.import.completed",
        "publishing.import.cancelled",
    ];
}

impl DomainEvent for ImportEvent {
    fn event_type(&self) -> String {
        let index = match self {
            ImportEvent::Opened { .. } => 0,
            ImportEvent::RowsReceived { .. } => 1,
            ImportEvent::Started { .. } => 2,
            ImportEvent::RowsWorked { .. } => 3,
            ImportEvent::Completed { .. } => 4,
            ImportEvent::Cancelled { .. } => 5,
        };
        Self::TYPES[index].to_string()
    }

    fn event_version(&self) -> String {
        "1".to_string()
    }
}

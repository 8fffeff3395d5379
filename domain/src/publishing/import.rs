//! Many posts at once: the rows of a file, each of which becomes a post of its own or says why not.
//!
//! The rows are kept in the import's events, in chunks, and not in its state: a worker reads the chunk that it
//! has come to.

mod command;
mod decide;
mod event;
mod row;
#[cfg(test)]
mod tests;

use cqrs_es::{Aggregate, event_sink::EventSink};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use command::ImportCommand;
pub use event::ImportEvent;
pub use row::{FailedRow, ImportRow, Problem, RowContent, RowOutcome, RowPlan, WrittenRow};

use crate::{
    Refusal, RefusalKind,
    kernel::{ImportId, OrganizationId, PostId, UserId},
};

/// Rows of one import.
pub const ROWS_MAX: u32 = 10_000;
/// Rows of one event.
pub const CHUNK_ROWS_MAX: usize = 100;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportStatus {
    #[default]
    None,
    /// Its rows are coming in.
    Receiving,
    /// They are being worked off.
    Running,
    Completed,
    Cancelled,
}

impl ImportStatus {
    pub const ALL: [ImportStatus; 4] = [Self::Receiving, Self::Running, Self::Completed, Self::Cancelled];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Receiving => "receiving",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    organization: OrganizationId,
    author: UserId,
    status: ImportStatus,
    /// How many rows the file has.
    rows: u32,
    /// The first row of each chunk that came in; chunk `n` is event `n + 2` of the stream.
    chunks: Vec<u32>,
    /// Rows that came in.
    received: u32,
    /// Rows that were worked off.
    done: u32,
    written: u32,
    failed: u32,
}

impl Import {
    pub fn exists(&self) -> bool {
        self.status != ImportStatus::None
    }

    pub fn organization(&self) -> OrganizationId {
        self.organization
    }

    pub fn author(&self) -> UserId {
        self.author
    }

    pub fn status(&self) -> ImportStatus {
        self.status
    }

    pub fn rows(&self) -> u32 {
        self.rows
    }

    pub fn received(&self) -> u32 {
        self.received
    }

    pub fn done(&self) -> u32 {
        self.done
    }

    pub fn written(&self) -> u32 {
        self.written
    }

    pub fn failed(&self) -> u32 {
        self.failed
    }

    /// The number in the stream of the event with the row that is next to be worked off.
    pub fn next_chunk(&self) -> Option<u64> {
        let next = self.done + 1;
        if next > self.received {
            return None;
        }
        let chunk = self.chunks.partition_point(|first| *first <= next).checked_sub(1)?;
        Some(chunk as u64 + 2)
    }

    /// The post that a row becomes: the same however often it is tried.
    pub fn post_of(id: ImportId, row: u32) -> PostId {
        PostId::new(Uuid::new_v5(&id.uuid(), &row.to_be_bytes()))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    #[error("there is no such import")]
    NotFound,
    #[error("the import has {rows} rows, and row {row} is none that comes next")]
    NotNext { rows: u32, row: u32 },
    #[error("an import has 1 to {ROWS_MAX} rows")]
    Size,
    #[error("the import is {}", .0.as_str())]
    Not(ImportStatus),
}

impl Refusal for ImportError {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NotFound => RefusalKind::NotFound,
            Self::Size => RefusalKind::Invalid,
            Self::NotNext { .. } | Self::Not(_) => RefusalKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "NOT_FOUND",
            Self::Size => "VALIDATION_ERROR",
            Self::NotNext { .. } => "IMPORT_ROWS",
            Self::Not(_) => "IMPORT_STATUS",
        }
    }

    fn field(&self) -> Option<&str> {
        matches!(self, Self::Size).then_some("rows")
    }
}

impl Aggregate for Import {
    const TYPE: &'static str = "publishing.import";
    type Command = ImportCommand;
    type Event = ImportEvent;
    type Error = ImportError;
    type Services = ();

    async fn handle(
        &mut self,
        command: ImportCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), ImportError> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: ImportEvent) {
        match event {
            ImportEvent::Opened { organization_id, author_id, rows, .. } => {
                (self.organization, self.author, self.rows) = (organization_id, author_id, rows);
                self.status = ImportStatus::Receiving;
            }
            ImportEvent::RowsReceived { rows } => {
                if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
                    self.chunks.push(first.number);
                    self.received = last.number;
                }
            }
            ImportEvent::Started { .. } => self.status = ImportStatus::Running,
            ImportEvent::RowsWorked { written, failed, .. } => {
                let count = |rows: usize| u32::try_from(rows).unwrap_or(u32::MAX);
                let (written, failed) = (count(written.len()), count(failed.len()));
                self.written += written;
                self.failed += failed;
                self.done += written + failed;
            }
            ImportEvent::Completed { .. } => self.status = ImportStatus::Completed,
            ImportEvent::Cancelled { .. } => self.status = ImportStatus::Cancelled,
        }
    }
}

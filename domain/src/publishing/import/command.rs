//! What can be asked of an import.

use chrono::{DateTime, Utc};

use super::{ImportRow, RowOutcome};
use crate::kernel::{OrganizationId, UserId};

#[derive(Clone, Debug)]
pub enum ImportCommand {
    /// So many rows are coming. Asked again, nothing happens.
    Open { organization: OrganizationId, author: UserId, rows: u32, now: DateTime<Utc> },
    /// The next rows, in order. Those that came in before are passed over.
    Receive { rows: Vec<ImportRow> },
    /// All rows are there: they may be worked off.
    Start { now: DateTime<Utc> },
    /// What became of the next rows, in order. Those that were recorded before are passed over.
    Record { outcomes: Vec<RowOutcome>, now: DateTime<Utc> },
    /// What is not worked off yet is left.
    Cancel { reason: Option<String>, now: DateTime<Utc> },
}

//! How an import decides.

use chrono::{DateTime, Utc};

use super::{Import, ImportCommand, ImportError, ImportEvent, ImportRow, ImportStatus, ROWS_MAX, RowOutcome};

type Decision = Result<Vec<ImportEvent>, ImportError>;

impl Import {
    pub(super) fn decide(&self, command: ImportCommand) -> Decision {
        match command {
            ImportCommand::Open { organization, author, rows, now: at } => {
                if self.exists() {
                    return Ok(Vec::new());
                }
                if !(1..=ROWS_MAX).contains(&rows) {
                    return Err(ImportError::Size);
                }
                let (organization_id, author_id) = (organization, author);
                Ok(vec![ImportEvent::Opened { organization_id, author_id, rows, at }])
            }
            _ if !self.exists() => Err(ImportError::NotFound),
            ImportCommand::Receive { rows } => self.receive(rows),
            ImportCommand::Start { now: at } => match self.status {
                ImportStatus::Receiving if self.received < self.rows => {
                    Err(ImportError::NotNext { rows: self.rows, row: self.received + 1 })
                }
                ImportStatus::Receiving => Ok(vec![ImportEvent::Started { at }]),
                _ => Ok(Vec::new()),
            },
            ImportCommand::Record { outcomes, now } => self.record(outcomes, now),
            ImportCommand::Cancel { reason, now: at } => match self.status {
                ImportStatus::Receiving | ImportStatus::Running => {
                    Ok(vec![ImportEvent::Cancelled { reason, at }])
                }
                ImportStatus::Cancelled => Ok(Vec::new()),
                status => Err(ImportError::Not(status)),
            },
        }
    }

    fn receive(&self, mut rows: Vec<ImportRow>) -> Decision {
        if self.status != ImportStatus::Receiving {
            return Ok(Vec::new());
        }
        rows.retain(|row| row.number > self.received);
        for (next, row) in (self.received + 1..).zip(&rows) {
            if row.number != next || row.number > self.rows {
                return Err(ImportError::NotNext { rows: self.rows, row: row.number });
            }
        }
        Ok(if rows.is_empty() { Vec::new() } else { vec![ImportEvent::RowsReceived { rows }] })
    }

    /// Posts that were written are told also of an import that was cancelled meanwhile.
    fn record(&self, mut outcomes: Vec<RowOutcome>, at: DateTime<Utc>) -> Decision {
        if self.status == ImportStatus::Receiving {
            return Err(ImportError::Not(self.status));
        }
        outcomes.retain(|outcome| outcome.row() > self.done);
        for (next, outcome) in (self.done + 1..).zip(&outcomes) {
            if outcome.row() != next || outcome.row() > self.received {
                return Err(ImportError::NotNext { rows: self.received, row: outcome.row() });
            }
        }
        let Some(last) = outcomes.last().map(RowOutcome::row) else { return Ok(Vec::new()) };
        let (mut written, mut failed) = (Vec::new(), Vec::new());
        for outcome in outcomes {
            match outcome {
                RowOutcome::Written(row) => written.push(row),
                RowOutcome::Failed(row) => failed.push(row),
            }
        }
        let mut events = vec![ImportEvent::RowsWorked { written, failed, at }];
        if last == self.rows && self.status == ImportStatus::Running {
            events.push(ImportEvent::Completed { at });
        }
        Ok(events)
    }
}

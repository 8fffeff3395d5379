//! What is wrong with the rows of a file, and what there is to know of them. Nothing is written.

use std::collections::HashMap;

use annals_commands::publishing::import;
use annals_domain::publishing::import::{ImportRow, RowContent, RowPlan};
use annals_projections::publishing::posts::Own;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    http::{ApiError, Caller},
    publishing::{
        failed,
        input::member,
        posts::commands,
        warnings::{self, WarningView, Written},
    },
    state::AppState,
};

/// Of each, so many are told.
const TOLD_MAX: usize = 1_000;

/// What is wrong with a row.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct RowErrorView {
    /// From 1; the header is none.
    pub row: u32,
    pub field: String,
    pub message: String,
}

/// What there is to know of a row.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RowWarningView {
    /// From 1; the header is none.
    pub row: u32,
    #[serde(flatten)]
    pub warning: WarningView,
    /// Another row of this file that says the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_row: Option<u32>,
}

/// What a dry run found.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReportView {
    pub rows: u32,
    /// Rows that could become posts now.
    pub valid: u32,
    pub invalid: u32,
    /// At most 1 000.
    pub errors: Vec<RowErrorView>,
    /// At most 1 000.
    pub warnings: Vec<RowWarningView>,
}

pub(super) struct Examination<'s> {
    state: &'s AppState,
    caller: &'s Caller,
    invalid: u32,
    errors: Vec<RowErrorView>,
    warnings: Vec<RowWarningView>,
    /// Which row first said this on this channel.
    said: HashMap<(Uuid, i64), u32>,
}

impl<'s> Examination<'s> {
    pub(super) fn new(state: &'s AppState, caller: &'s Caller) -> Self {
        Self { state, caller, invalid: 0, errors: Vec::new(), warnings: Vec::new(), said: HashMap::new() }
    }

    /// Whether these rows could become posts.
    pub(super) async fn check(&mut self, rows: &[ImportRow]) -> Result<(), ApiError> {
        let requests = rows.iter().map(|row| import::request(&row.content)).collect();
        let commands = commands(self.state);
        let checked = commands.check_each(&self.caller.context, member(self.caller), requests).await;
        for (row, problems) in rows.iter().zip(checked.map_err(failed)?) {
            self.invalid += u32::from(!problems.is_empty());
            let room = TOLD_MAX - self.errors.len();
            self.errors.extend(problems.into_iter().take(room).map(|problem| RowErrorView {
                row: row.number,
                field: problem.field,
                message: problem.message,
            }));
        }
        Ok(())
    }

    /// What these rows say that others say, in the calendar or in the file.
    pub(super) async fn compare(&mut self, rows: &[ImportRow]) -> Result<(), ApiError> {
        let posts: Vec<(u32, Written<'_>)> = rows
            .iter()
            .filter_map(|row| match &row.content {
                RowContent::Post { composition, plan, .. } => {
                    let at = match plan {
                        RowPlan::Draft { schedule } => schedule.as_ref().map(|schedule| schedule.at),
                        RowPlan::Schedule { schedule } => Some(schedule.at),
                    };
                    Some((row.number, Written { composition, at, own: Own::default() }))
                }
                RowContent::Unusable { .. } => None,
            })
            .collect();
        let written: Vec<&Written<'_>> = posts.iter().map(|(_, written)| written).collect();
        let found = warnings::of_each(self.state, self.caller, &written, Own::default()).await?;
        let now = self.state.bus.now();
        for ((row, written), found) in posts.iter().zip(found) {
            for warning in found {
                self.tell(RowWarningView { row: *row, warning, other_row: None });
            }
            for (nth, placement) in written.placements(now).into_iter().enumerate() {
                let channel = placement.channel.uuid();
                let first = *self.said.entry((channel, placement.likeness)).or_insert(*row);
                if first != *row {
                    let warning = WarningView::of_the_same_file(nth, channel);
                    self.tell(RowWarningView { row: *row, warning, other_row: Some(first) });
                }
            }
        }
        Ok(())
    }

    fn tell(&mut self, warning: RowWarningView) {
        if self.warnings.len() < TOLD_MAX {
            self.warnings.push(warning);
        }
    }

    pub(super) fn warnings(self) -> Vec<RowWarningView> {
        self.warnings
    }

    pub(super) fn report(self, rows: u32) -> ReportView {
        let (errors, warnings) = (self.errors, self.warnings);
        ReportView { rows, valid: rows - self.invalid, invalid: self.invalid, errors, warnings }
    }
}

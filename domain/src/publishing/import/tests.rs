use chrono::{DateTime, Utc};
use cqrs_es::test::{AggregateResultValidator, TestFramework};

use super::*;

fn now() -> DateTime<Utc> {
    "2026-05-01T09:00:00Z".parse().unwrap()
}

fn rows(numbers: std::ops::RangeInclusive<u32>) -> Vec<ImportRow> {
    let content = RowContent::Unusable { problems: Vec::new() };
    numbers.map(|number| ImportRow { number, content: content.clone() }).collect()
}

fn written(row: u32) -> WrittenRow {
    WrittenRow { row, post_id: Import::post_of(ImportId::default(), row) }
}

fn failed(row: u32) -> FailedRow {
    let problem = Problem { field: "content".to_string(), message: "must not be empty".to_string() };
    FailedRow { row, problems: vec![problem] }
}

fn opened(rows: u32) -> ImportEvent {
    let (organization_id, author_id) = (OrganizationId::default(), UserId::default());
    ImportEvent::Opened { organization_id, author_id, rows, at: now() }
}

fn received(numbers: std::ops::RangeInclusive<u32>) -> ImportEvent {
    ImportEvent::RowsReceived { rows: rows(numbers) }
}

/// Of three rows in two chunks.
fn started() -> Vec<ImportEvent> {
    vec![opened(3), received(1..=2), received(3..=3), ImportEvent::Started { at: now() }]
}

fn when(given: &[ImportEvent], command: ImportCommand) -> AggregateResultValidator<Import> {
    TestFramework::<Import>::with(()).given(given.to_vec()).when(command)
}

fn open(rows: u32) -> ImportCommand {
    let (organization, author) = (OrganizationId::default(), UserId::default());
    ImportCommand::Open { organization, author, rows, now: now() }
}

fn receive(numbers: std::ops::RangeInclusive<u32>) -> ImportCommand {
    ImportCommand::Receive { rows: rows(numbers) }
}

fn record(outcomes: &[RowOutcome]) -> ImportCommand {
    ImportCommand::Record { outcomes: outcomes.to_vec(), now: now() }
}

#[test]
fn a_file_is_opened_once_whoever_sends_it_again() {
    when(&[], open(3)).then_expect_events(vec![opened(3)]);
    when(&[opened(3)], open(3)).then_expect_events(Vec::new());
    when(&[], open(0)).then_expect_error(ImportError::Size);
    when(&[], open(ROWS_MAX + 1)).then_expect_error(ImportError::Size);
    when(&[], receive(1..=1)).then_expect_error(ImportError::NotFound);
}

#[test]
fn rows_come_in_in_order_and_each_once() {
    when(&[opened(3)], receive(1..=2)).then_expect_events(vec![received(1..=2)]);
    let half = [opened(3), received(1..=2)];
    when(&half, receive(1..=2)).then_expect_events(Vec::new());
    when(&half, receive(2..=3)).then_expect_events(vec![received(3..=3)]);
    when(&half, receive(4..=4)).then_expect_error(ImportError::NotNext { rows: 3, row: 4 });
    when(&half, receive(3..=4)).then_expect_error(ImportError::NotNext { rows: 3, row: 4 });
    when(&half, ImportCommand::Start { now: now() })
        .then_expect_error(ImportError::NotNext { rows: 3, row: 3 });
    when(&started(), receive(3..=3)).then_expect_events(Vec::new());
    when(&started(), ImportCommand::Start { now: now() }).then_expect_events(Vec::new());
}

#[test]
fn outcomes_are_recorded_in_order_and_each_once_until_all_are() {
    let (first, second) = (RowOutcome::Written(written(1)), RowOutcome::Failed(failed(2)));
    let last = RowOutcome::Written(written(3));
    let worked = |written: Vec<WrittenRow>, failed| ImportEvent::RowsWorked { written, failed, at: now() };
    when(&started(), record(&[first.clone(), second.clone()]))
        .then_expect_events(vec![worked(vec![written(1)], vec![failed(2)])]);
    let mut half = started();
    half.push(worked(vec![written(1)], vec![failed(2)]));
    when(&half, record(&[first.clone(), second.clone()])).then_expect_events(Vec::new());
    when(&half, record(&[second, last.clone()]))
        .then_expect_events(vec![worked(vec![written(3)], Vec::new()), ImportEvent::Completed { at: now() }]);
    when(&started(), record(&[last])).then_expect_error(ImportError::NotNext { rows: 3, row: 3 });
    when(&[opened(3), received(1..=3)], record(&[first]))
        .then_expect_error(ImportError::Not(ImportStatus::Receiving));
}

#[test]
fn a_cancelled_one_is_over_and_still_tells_what_was_written() {
    let cancel = || ImportCommand::Cancel { reason: None, now: now() };
    let cancelled = ImportEvent::Cancelled { reason: None, at: now() };
    when(&started(), cancel()).then_expect_events(vec![cancelled.clone()]);
    let mut over = started();
    over.push(cancelled);
    when(&over, cancel()).then_expect_events(Vec::new());
    let all = [1, 2, 3].map(|row| RowOutcome::Written(written(row)));
    let worked =
        ImportEvent::RowsWorked { written: [1, 2, 3].map(written).into(), failed: Vec::new(), at: now() };
    when(&over, record(&all)).then_expect_events(vec![worked.clone()]);
    let mut done = started();
    done.extend([worked, ImportEvent::Completed { at: now() }]);
    when(&done, cancel()).then_expect_error(ImportError::Not(ImportStatus::Completed));
}

#[test]
fn the_chunk_of_the_next_row_is_known() {
    let mut import = Import::default();
    for event in started() {
        import.apply(event);
    }
    assert_eq!(import.next_chunk(), Some(2));
    for (row, chunk) in [(1, Some(2)), (2, Some(3)), (3, None)] {
        import.apply(ImportEvent::RowsWorked { written: vec![written(row)], failed: Vec::new(), at: now() });
        assert_eq!(import.next_chunk(), chunk, "after row {row}");
    }
    assert_eq!((import.done(), import.written(), import.failed()), (3, 3, 0));
}

//! Where the next page of an operator's list begins, as text, and how big it may be.

use annals_projections::runtime::ParkedKey;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::views::{ParkedKeyView, TimerView};
use crate::http::FieldError;

const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 200;

/// How many rows a page has.
pub(super) fn limit(given: Option<u32>) -> Result<u32, FieldError> {
    match given.unwrap_or(LIMIT) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        _ => Err(FieldError::new("limit", format!("must be between 1 and {LIMIT_MAX}"))),
    }
}

/// Cuts the row that was read beyond the page, and says where the next page begins if there is one.
pub(crate) fn page<T>(
    mut rows: Vec<T>,
    limit: u32,
    cursor: impl Fn(&T) -> String,
) -> (Vec<T>, Option<String>) {
    let limit = limit as usize;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| has_more).map(cursor);
    (rows, next)
}

fn not_ours() -> FieldError {
    FieldError::new("cursor", "must be a nextCursor of this list")
}

pub(crate) fn of_timer(timer: &TimerView) -> String {
    format!("{}.{}", timer.due_at.timestamp_micros(), timer.id)
}

pub(crate) fn timer(text: &str) -> Result<(DateTime<Utc>, Uuid), FieldError> {
    let parse = || {
        let (micros, id) = text.split_once('.')?;
        Some((DateTime::from_timestamp_micros(micros.parse().ok()?)?, id.parse().ok()?))
    };
    parse().ok_or_else(not_ours)
}

pub(super) fn of_parked(key: &ParkedKeyView) -> String {
    format!("{}.{}.{}.{}", key.position, key.version, key.generation, key.key)
}

/// The key that the page before ended with, as far as the list's order needs it.
pub(super) fn parked(text: &str) -> Result<ParkedKey, FieldError> {
    let parse = || {
        let mut parts = text.splitn(4, '.');
        Some(ParkedKey {
            position: parts.next()?.parse().ok()?,
            version: parts.next()?.parse().ok()?,
            generation: parts.next()?.parse().ok()?,
            key: parts.next()?.to_string(),
            event_type: String::new(),
            error: String::new(),
            parked_at: DateTime::UNIX_EPOCH,
            events: 0,
        })
    };
    parse().ok_or_else(not_ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_where_the_next_one_begins_only_if_there_is_one() {
        let cursor = |number: &u32| number.to_string();
        assert_eq!(page(vec![1, 2, 3], 2, cursor), (vec![1, 2], Some("2".to_string())));
        assert_eq!(page(vec![1, 2], 2, cursor), (vec![1, 2], None));
        assert_eq!(page(vec![], 2, cursor), (vec![], None));
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let key = parked("41.3.2.publishing.post/7").expect("is a cursor");
        assert_eq!(
            (key.position, key.version, key.generation, key.key.as_str()),
            (41, 3, 2, "publishing.post/7")
        );
        assert_eq!(of_parked(&key.into()), "41.3.2.publishing.post/7");
        let id = Uuid::from_u128(7);
        let (due_at, same) = timer(&format!("1800000000000001.{id}")).expect("is a cursor");
        assert_eq!((due_at.timestamp_micros(), same), (1_800_000_000_000_001, id));
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in ["", ".", "x.y", "1", "9999999999999999999.0198", "1.2.3", "1.2.-3.key"] {
            assert!(timer(text).is_err(), "{text}");
            assert!(parked(text).is_err(), "{text}");
        }
    }
}

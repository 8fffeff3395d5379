//! Which failures blame an event, and what may be told of them.

use std::{error::Error, panic::AssertUnwindSafe};

use annals_eventstore::UnparsedEvent;
use futures::FutureExt;
use sqlx::PgConnection;

use super::{ProjectionError, model::Model};

/// A reason is kept for the admin: it need not be longer than this.
const WHY_CHARS_MAX: usize = 500;

#[derive(Debug)]
pub(super) enum Failure {
    /// The same events would fail again; why, without values of the event.
    Event(String),
    /// Worth trying again.
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// Runs a projector so that whatever it does is a [`Failure`]: a panic too.
pub(super) async fn guarded(
    model: &dyn Model,
    events: &[UnparsedEvent],
    tables: &mut PgConnection,
) -> Result<(), Failure> {
    match AssertUnwindSafe(model.apply(events, tables)).catch_unwind().await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(ProjectionError::Database(error))) if blames_event(&error) => {
            Err(Failure::Event(describe(&error)))
        }
        Ok(Err(ProjectionError::Database(error))) => Err(Failure::Database(error)),
        Ok(Err(ProjectionError::Event { source, .. })) => Err(Failure::Event(describe(source.as_ref()))),
        Ok(Err(error @ ProjectionError::Malformed { .. })) => Err(Failure::Event(describe(&error))),
        Err(_) => Err(Failure::Event("the projector panicked: see the log".to_string())),
    }
}

/// Errors that come from the values of an event and would come again. Everything else (connections,
/// deadlocks, missing tables, a full disk) is the database's or the code's, and parking would only
/// spread it over every key.
fn blames_event(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Encode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => true,
        // 21: a statement met one row twice. 22: a value does not fit. 23: a constraint does not hold.
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| ["21", "22", "23"].iter().any(|class| code.starts_with(class)))
        }
        _ => false,
    }
}

/// An error and its causes in one line. What stands in double quotes is left out: decoders and
/// Postgres put values of the event there, and those may be personal.
pub(super) fn describe(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        match error.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error) {
            // Names of constraints and codes are ours; messages may quote values.
            Some(database) => {
                let code = database.code().unwrap_or_default();
                text.push_str(&without_quoted(database.message()));
                text.push_str(&format!(" (SQLSTATE {code}"));
                if let Some(constraint) = database.constraint() {
                    text.push_str(&format!(", constraint {constraint}"));
                }
                text.push(')');
                break;
            }
            None => text.push_str(&without_quoted(&error.to_string())),
        }
        next = error.source();
    }
    text.chars().take(WHY_CHARS_MAX).collect()
}

fn without_quoted(message: &str) -> String {
    let mut kept = String::with_capacity(message.len());
    let mut quoted = false;
    let mut escaped = false;
    for c in message.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => {
                if !quoted {
                    kept.push_str("\"…");
                }
                quoted = !quoted;
                if !quoted {
                    kept.push('"');
                }
            }
            _ if quoted => {}
            _ => kept.push(c),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_the_field_and_not_the_value() {
        #[derive(Debug, serde::Deserialize)]
        struct Wanted {
            #[expect(dead_code, reason = "only decoded")]
            age: u32,
        }
        let wrong = serde_json::json!({"age": "ada \"the first\" lovelace"});
        let error = serde_json::from_value::<Wanted>(wrong).expect_err("the type is wrong");
        assert_eq!(describe(&error), "invalid type: string \"…\", expected u32");
        let missing = serde_json::from_value::<Wanted>(serde_json::json!({})).expect_err("it is missing");
        assert_eq!(describe(&missing), "missing field `age`");
    }

    #[test]
    fn a_reason_is_bounded() {
        let long = std::io::Error::other("x".repeat(10_000));
        assert_eq!(describe(&long).chars().count(), WHY_CHARS_MAX);
    }
}

//! What a listener is told, and how it is written for each protocol.

use std::sync::Arc;

use annals_eventstore::RecordedEvent;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::hub::Shown;

/// That something happened, without what: for members who may not read history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Notice {
    pub(super) position: u64,
    #[serde(rename = "type")]
    pub(super) event_type: String,
    pub(super) aggregate_type: String,
    pub(super) aggregate_id: String,
    /// Of the aggregate, with this event.
    pub(super) version: u64,
    pub(super) at: DateTime<Utc>,
}

impl Notice {
    pub(super) fn of(event: &RecordedEvent) -> Self {
        Self {
            position: event.position,
            event_type: event.event_type.clone(),
            aggregate_type: event.stream.aggregate_type.to_string(),
            aggregate_id: event.stream.aggregate_id.clone(),
            version: event.sequence,
            at: event.recorded_at,
        }
    }
}

/// Why a stream is ended though the listener may go on with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Reason {
    /// It did not keep up.
    Slow,
    /// The node stops, or the log can't be read for now.
    Unavailable,
}

/// One thing told.
#[derive(Clone, Debug)]
pub(super) enum Word {
    Event {
        shown: Arc<Shown>,
        is_full: bool,
    },
    /// Nothing happened that is for this listener; everything up to the position was looked at.
    Heartbeat {
        position: u64,
    },
    /// The last word: go on after this position.
    Resume {
        after: u64,
        reason: Reason,
    },
    /// The last word: the session, the membership or the right has ended.
    End {
        code: &'static str,
        message: String,
    },
}

/// A word as a WebSocket message.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum Message<'w> {
    Event { event: &'w RawValue },
    Heartbeat { position: u64 },
    Resume { after: u64, reason: Reason },
    End { code: &'w str, message: &'w str },
}

#[derive(Serialize)]
struct ResumeData {
    after: u64,
    reason: Reason,
}

#[derive(Serialize)]
struct EndData<'w> {
    code: &'w str,
    message: &'w str,
}

impl Word {
    /// As an event of `text/event-stream`. The id is where to go on.
    pub(super) fn as_event(&self) -> String {
        match self {
            Self::Event { shown, is_full } => {
                let data = data(shown, *is_full);
                // Whoever is cut off between two parts of one event gets both again.
                match shown.is_whole {
                    true => format!("id: {}\ndata: {data}\n\n", shown.event.position),
                    false => format!("data: {data}\n\n"),
                }
            }
            Self::Heartbeat { position } => format!("id: {position}\n: heartbeat\n\n"),
            Self::Resume { after, reason } => {
                let data = json(&ResumeData { after: *after, reason: *reason });
                format!("id: {after}\nevent: resume\nretry: 1000\ndata: {data}\n\n")
            }
            Self::End { code, message } => {
                format!("event: end\ndata: {}\n\n", json(&EndData { code, message }))
            }
        }
    }

    /// As the text of a WebSocket message.
    pub(super) fn as_message(&self) -> String {
        json(&match self {
            Self::Event { shown, is_full } => Message::Event { event: data(shown, *is_full) },
            Self::Heartbeat { position } => Message::Heartbeat { position: *position },
            Self::Resume { after, reason } => Message::Resume { after: *after, reason: *reason },
            Self::End { code, message } => Message::End { code, message },
        })
    }
}

fn data(shown: &Shown, is_full: bool) -> &RawValue {
    if is_full { shown.full() } else { shown.notice() }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("a message has text keys only")
}

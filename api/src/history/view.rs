//! An event as it is shown: decoded, what is sealed erased.

use std::sync::Arc;

use annals_eventstore::{ActorKind, RecordedEvent, Source};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// One event. Sealed values read as `{"$personal": {"subject", "value": null}}` and
/// `{"$secret": {"owner", "value": null}}`.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventView {
    pub position: u64,
    /// 0, unless an event of an old version reads as several of today: they share the position.
    pub part: u32,
    pub event_id: Uuid,
    /// `publishing.post`.
    pub aggregate_type: String,
    pub aggregate_id: String,
    /// Its number in its stream, from 1.
    pub sequence: u64,
    #[serde(rename = "type")]
    pub event_type: String,
    pub version: String,
    pub at: DateTime<Utc>,
    pub actor: Doer,
    /// `WEB`, `API`, `MCP` or `WORKER`.
    #[schema(value_type = String)]
    pub source: Source,
    /// The command that it came of.
    pub command: String,
    /// All that came of one request shares it.
    pub correlation_id: Uuid,
    /// The event that caused the command, if one did.
    pub causation_id: Option<Uuid>,
    /// For which organization it was done.
    pub organization_id: Option<Uuid>,
    pub request_id: Option<String>,
    /// W3C Trace Context.
    pub trace_parent: Option<String>,
    /// Where the command came from: a personal value.
    #[schema(value_type = Option<Object>)]
    pub client: Option<Value>,
    #[schema(value_type = Object)]
    pub data: Value,
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Doer {
    /// `user`, `api_key`, `process`, `operator` or `anonymous`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: ActorKind,
    /// A user's or key's id, or a process' name.
    pub id: Option<String>,
}

impl From<RecordedEvent> for EventView {
    fn from(event: RecordedEvent) -> Self {
        let RecordedEvent { metadata, mut payload, .. } = event;
        if let Some(fields) = payload.as_object_mut() {
            // The envelope says it.
            fields.remove("type");
        }
        Self {
            position: event.position,
            part: event.part,
            event_id: event.event_id,
            aggregate_type: event.stream.aggregate_type.into_owned(),
            aggregate_id: event.stream.aggregate_id,
            sequence: event.sequence,
            event_type: event.event_type,
            version: event.event_version,
            at: event.recorded_at,
            actor: Doer { kind: metadata.actor.kind, id: metadata.actor.id },
            source: metadata.source,
            command: metadata.command.into_owned(),
            correlation_id: metadata.correlation_id,
            causation_id: metadata.causation_id,
            organization_id: metadata.organization_id,
            request_id: metadata.request_id,
            trace_parent: metadata.trace_parent,
            client: metadata.client.map(Arc::unwrap_or_clone),
            data: payload,
        }
    }
}

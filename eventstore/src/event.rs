//! What is in the log: streams, recorded events and their metadata.

use std::{borrow::Cow, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One aggregate's history: its type (`identity.user`) and id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    pub aggregate_type: Cow<'static, str>,
    pub aggregate_id: String,
}

impl StreamId {
    pub fn new(aggregate_type: impl Into<Cow<'static, str>>, aggregate_id: impl ToString) -> Self {
        Self { aggregate_type: aggregate_type.into(), aggregate_id: aggregate_id.to_string() }
    }

    /// The stream of an aggregate of type `A`.
    pub fn of<A: cqrs_es::Aggregate>(aggregate_id: impl ToString) -> Self {
        Self::new(A::TYPE, aggregate_id)
    }
}

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.aggregate_type, self.aggregate_id)
    }
}

/// Through which door a command came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Source {
    Web,
    Api,
    Mcp,
    Worker,
}

impl Source {
    /// As it stands in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Web => "WEB",
            Self::Api => "API",
            Self::Mcp => "MCP",
            Self::Worker => "WORKER",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    User,
    ApiKey,
    /// A process manager or a timer; `id` is its name.
    Process,
    /// The installation's own command line.
    Operator,
    Anonymous,
}

impl ActorKind {
    /// As it stands in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::ApiKey => "api_key",
            Self::Process => "process",
            Self::Operator => "operator",
            Self::Anonymous => "anonymous",
        }
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    #[serde(rename = "type")]
    pub kind: ActorKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// Where a command came from. Personal data: sealed under `subject`'s key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientInfo {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// What every event says about how it came to be.
///
/// `client` has the form of a personal value (`{"$personal":{"subject","value"}}`)
/// and is sealed like one; use [`Metadata::with_client`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    pub correlation_id: Uuid,
    /// The event that caused the command, if an event did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
    /// The command's name, such as `SchedulePost`.
    pub command: Cow<'static, str>,
    pub actor: Actor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<Uuid>,
    pub source: Source,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// W3C Trace Context `traceparent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_parent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Arc<serde_json::Value>>,
}

impl Metadata {
    /// Adds where the command came from, sealed under `subject` (such as `user:0198…`).
    #[must_use]
    pub fn with_client(mut self, subject: &str, client: &ClientInfo) -> Self {
        self.client = Some(Arc::new(serde_json::json!({"$personal": {"subject": subject, "value": client}})));
        self
    }

    /// Where the command came from, unless it is erased or was not opened.
    pub fn client_info(&self) -> Option<ClientInfo> {
        let value = self.client.as_ref()?.get("$personal")?.get("value")?;
        serde_json::from_value(value.clone()).ok()
    }
}

/// A row of the log, as stored: `payload` and `metadata` are the bytes of the row, sealed values sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    pub position: u64,
    pub event_id: Uuid,
    pub stream: StreamId,
    /// The event's number in its stream, from 1.
    pub sequence: u64,
    pub event_type: String,
    pub event_version: String,
    pub payload: String,
    pub metadata: String,
    pub recorded_at: DateTime<Utc>,
}

impl StoredEvent {
    /// The organization that its metadata names.
    pub fn organization_id(&self) -> Option<Uuid> {
        #[derive(Deserialize)]
        struct Named {
            #[serde(default)]
            organization_id: Option<Uuid>,
        }
        serde_json::from_str::<Named>(&self.metadata).ok()?.organization_id
    }
}

/// An event for a reader: opened as far as the reader may, upcast to the newest version.
///
/// A stored event that is upcast to several keeps its position for each of
/// them; `part` tells them apart (0, 1, …).
#[derive(Clone, Debug)]
pub struct RecordedEvent {
    pub position: u64,
    pub part: u32,
    pub event_id: Uuid,
    pub stream: StreamId,
    pub sequence: u64,
    pub event_type: String,
    pub event_version: String,
    pub payload: serde_json::Value,
    pub metadata: Metadata,
    pub recorded_at: DateTime<Utc>,
}

impl RecordedEvent {
    /// The payload as a type of the domain.
    ///
    /// # Errors
    /// If the JSON is not one of `E`'s forms.
    pub fn decode<E: serde::de::DeserializeOwned>(&self) -> Result<E, serde_json::Error> {
        E::deserialize(&self.payload)
    }
}

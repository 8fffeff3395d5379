//! Which command, by whom, caused which events, and what those caused.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use annals_eventstore::{EventStore, Opening, RecordedEvent, Source};
use annals_projections::history::causation;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{scope::Scope, view::Doer};
use crate::http::ApiError;

/// Events of one tree; what is beyond is left out, and said.
const EVENTS_MAX: usize = 1_000;
/// How often what was found is followed to what it caused: no chain of processes is that long.
const STEPS_MAX: usize = 32;

/// The commands of one or several requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tree {
    /// Those that no event within caused, the oldest first.
    pub commands: Vec<CommandNode>,
    /// Whether there is more than is shown.
    pub truncated: bool,
}

/// A command that did something.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommandNode {
    pub command: String,
    pub actor: Doer,
    /// `WEB`, `API`, `MCP` or `WORKER`.
    #[schema(value_type = String)]
    pub source: Source,
    pub at: DateTime<Utc>,
    pub correlation_id: Uuid,
    /// The event that caused it, if one did; it may be one that you may not see.
    pub causation_id: Option<Uuid>,
    pub request_id: Option<String>,
    /// What it did, in one append.
    pub events: Vec<EventNode>,
}

/// An event and the commands that it caused.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventNode {
    pub position: u64,
    pub event_id: Uuid,
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub sequence: u64,
    #[serde(rename = "type")]
    pub event_type: String,
    #[schema(no_recursion)]
    pub caused: Vec<CommandNode>,
}

/// The tree that these events stand in, cut to what the scope sees.
///
/// # Errors
/// If the log or the read model can't be read.
pub async fn tree(
    store: &EventStore,
    pool: &PgPool,
    scope: Scope,
    events: &[RecordedEvent],
) -> Result<Tree, ApiError> {
    let mut found: BTreeMap<u64, RecordedEvent> = BTreeMap::new();
    let mut truncated = false;
    let mut new: Vec<RecordedEvent> = events.iter().filter(|event| event.part == 0).cloned().collect();
    let mut correlations = HashSet::new();
    for _ in 0..STEPS_MAX {
        let ids: Vec<Uuid> = new.iter().map(|event| event.event_id).collect();
        let causes: Vec<Uuid> = new.iter().filter_map(|event| event.metadata.causation_id).collect();
        let requests: Vec<Uuid> = new
            .iter()
            .map(|event| event.metadata.correlation_id)
            .filter(|correlation| correlations.insert(*correlation))
            .collect();
        found.extend(new.into_iter().map(|event| (event.position, event)));
        let room = EVENTS_MAX.saturating_sub(found.len());
        let mut positions: BTreeSet<u64> = BTreeSet::new();
        // One more than there is room for tells that there is more.
        positions.extend(failed(causation::correlated(pool, &requests, EVENTS_MAX + 1).await)?);
        positions.extend(failed(causation::caused(pool, &ids, EVENTS_MAX + 1).await)?);
        let mut stored = store.read_ids(&causes).await?;
        positions.retain(|position| !found.contains_key(position));
        stored.retain(|event| !found.contains_key(&event.position) && !positions.contains(&event.position));
        let wanted: Vec<u64> = positions.iter().copied().take(room).collect();
        truncated |= wanted.len() < positions.len();
        stored.extend(store.read_positions(&wanted).await?);
        new = store.open_events(&stored, Opening::Nothing).await?;
        new.retain(|event| event.part == 0);
        if new.is_empty() || truncated {
            break;
        }
    }
    found.extend(new.into_iter().map(|event| (event.position, event)));
    let seen: Vec<RecordedEvent> = found.into_values().filter(|event| scope.sees(event)).collect();
    Ok(Tree { commands: grow(&seen), truncated })
}

fn failed<T>(asked: Result<T, sqlx::Error>) -> Result<T, ApiError> {
    asked.map_err(|error| annals_projections::ReadError::Database(error).into())
}

/// Puts events, in order of position, under the commands that they came of, and those under the
/// events that caused them.
pub fn grow(events: &[RecordedEvent]) -> Vec<CommandNode> {
    let ids: HashSet<Uuid> = events.iter().map(|event| event.event_id).collect();
    let mut roots = Vec::new();
    let mut caused: BTreeMap<Uuid, Vec<&[RecordedEvent]>> = BTreeMap::new();
    for append in events.chunk_by(is_one_append) {
        match append[0].metadata.causation_id.filter(|cause| ids.contains(cause)) {
            Some(cause) => caused.entry(cause).or_default().push(append),
            None => roots.push(append),
        }
    }
    roots.into_iter().map(|append| node(append, &mut caused)).collect()
}

/// Positions in a row that one command wrote: they share everything that metadata says.
fn is_one_append(one: &RecordedEvent, next: &RecordedEvent) -> bool {
    next.position == one.position + 1 && next.recorded_at == one.recorded_at && next.metadata == one.metadata
}

fn node(append: &[RecordedEvent], caused: &mut BTreeMap<Uuid, Vec<&[RecordedEvent]>>) -> CommandNode {
    let (first, metadata) = (&append[0], &append[0].metadata);
    CommandNode {
        command: metadata.command.to_string(),
        actor: Doer { kind: metadata.actor.kind, id: metadata.actor.id.clone() },
        source: metadata.source,
        at: first.recorded_at,
        correlation_id: metadata.correlation_id,
        causation_id: metadata.causation_id,
        request_id: metadata.request_id.clone(),
        events: append
            .iter()
            .map(|event| EventNode {
                position: event.position,
                event_id: event.event_id,
                aggregate_type: event.stream.aggregate_type.to_string(),
                aggregate_id: event.stream.aggregate_id.clone(),
                sequence: event.sequence,
                event_type: event.event_type.clone(),
                // Taken out, so that a circle, which no log of ours has, would end too.
                caused: caused
                    .remove(&event.event_id)
                    .unwrap_or_default()
                    .into_iter()
                    .map(|append| node(append, caused))
                    .collect(),
            })
            .collect(),
    }
}

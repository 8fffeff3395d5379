//! `GET /posts/{id}/history`: every event of a post, read from the log itself.

use actix_web::web;
use annals_domain::{kernel::PostId, publishing::Post};
use annals_eventstore::{ActorKind, Opening, RecordedEvent, Source, StreamId};
use annals_projections::{identity::Users, publishing::people};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::activity::ActorView;
use crate::{
    http::{Answer, ApiError, ApiResult, Caller, Query, answer::Success},
    state::AppState,
};

const LIMIT: u32 = 100;
const LIMIT_MAX: u32 = 200;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// `meta.nextCursor` of the page before.
    cursor: Option<u64>,
    /// At most 200; 100 if it is left out.
    limit: Option<u32>,
}

/// One event, as it is in the log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PostEventView {
    pub position: u64,
    /// Its number in the post's history, from 1.
    pub sequence: u64,
    pub event_id: Uuid,
    #[serde(rename = "type")]
    pub event_type: String,
    pub version: String,
    pub at: DateTime<Utc>,
    pub actor: ActorView,
    /// `WEB`, `API`, `MCP` or `WORKER`.
    #[schema(value_type = String)]
    pub source: Source,
    /// The command that it came of.
    pub command: String,
    /// The event that caused that command, if one did.
    pub causation_id: Option<Uuid>,
    pub correlation_id: Uuid,
    #[schema(value_type = Object)]
    pub data: Value,
}

/// Everything that happened to a post, the oldest first.
#[utoipa::path(
    get, path = "/posts/{id}/history", tag = "posts", params(("id" = Uuid, Path), HistoryQuery),
    responses((status = 200, description = "Its events", body = Success<Vec<PostEventView>>)),
)]
pub(super) async fn history(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<PostId>,
    Query(query): Query<HistoryQuery>,
) -> ApiResult {
    let limit = query.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(ApiError::field("limit", format!("must be between 1 and {LIMIT_MAX}")));
    }
    let (lines, next) = events(&state, &caller, *id, query.cursor.unwrap_or(0), limit).await?;
    Answer::ok(lines).next_cursor(next).respond()
}

/// At most `limit` events of a post of the caller's organization, after a number in its history, and
/// where the next page begins.
pub(crate) async fn events(
    state: &AppState,
    caller: &Caller,
    id: PostId,
    after: u64,
    limit: u32,
) -> Result<(Vec<PostEventView>, Option<String>), ApiError> {
    let post = state.bus.load::<Post>(id).await?.state;
    if !post.exists() || post.organization() != caller.organization_id {
        return Err(ApiError::not_found("post"));
    }
    let store = state.bus.store();
    let stream = StreamId::of::<Post>(id);
    let stored = store.read_stream(&stream, after, limit as usize + 1).await?;
    let has_more = stored.len() > limit as usize;
    let mut events = Vec::new();
    for stored in stored.iter().take(limit as usize) {
        events.extend(store.open_event(stored, Opening::Nothing).await?);
    }
    let next = events.last().filter(|_| has_more).map(|event| event.sequence.to_string());
    let reader = state.reader_for::<Users>(caller).await?;
    let users: Vec<Uuid> = events.iter().filter_map(user_of).collect();
    let names = people::names(reader.pool(), &users).await?;
    Ok((events.into_iter().map(|event| view(event, &names)).collect(), next))
}

fn user_of(event: &RecordedEvent) -> Option<Uuid> {
    let actor = &event.metadata.actor;
    actor.id.as_ref().filter(|_| actor.kind == ActorKind::User)?.parse().ok()
}

fn view(event: RecordedEvent, names: &BTreeMap<Uuid, String>) -> PostEventView {
    let name = user_of(&event).and_then(|id| names.get(&id).cloned());
    let RecordedEvent { position, sequence, event_id, event_type, event_version, metadata, .. } = event;
    let mut data = event.payload;
    if let Some(fields) = data.as_object_mut() {
        // The envelope says it.
        fields.remove("type");
    }
    PostEventView {
        position,
        sequence,
        event_id,
        event_type,
        version: event_version,
        at: event.recorded_at,
        actor: ActorView { kind: actor_word(metadata.actor.kind).to_string(), id: metadata.actor.id, name },
        source: metadata.source,
        command: metadata.command.into_owned(),
        causation_id: metadata.causation_id,
        correlation_id: metadata.correlation_id,
        data,
    }
}

fn actor_word(kind: ActorKind) -> &'static str {
    match kind {
        ActorKind::User => "user",
        ActorKind::ApiKey => "api_key",
        ActorKind::Process => "process",
        ActorKind::Operator => "operator",
        ActorKind::Anonymous => "anonymous",
    }
}

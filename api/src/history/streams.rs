//! `GET /streams/{type}/{id}`, its state at a moment, and the difference between two.

use std::time::Duration;

use actix_web::web;
use annals_eventstore::{EventStore, HistoryQuery, Opening, RecordedEvent, StreamId};
use annals_projections::history::Causation;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    aggregates,
    causation::{self, Tree},
    difference::{self, Change},
    moment::Moment,
    scope::Scope,
    view::EventView,
};
use crate::{
    http::{Answer, ApiError, ApiResult, Caller, Query, answer::Success},
    state::AppState,
};

const LIMIT: usize = 100;
const LIMIT_MAX: usize = 200;
/// No stream of ours has a name that is longer, type or id.
const NAME_BYTES_MAX: usize = 200;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct StreamQuery {
    /// `meta.nextCursor` of the page before.
    cursor: Option<u64>,
    /// At most 200; 100 if it is left out.
    limit: Option<usize>,
}

/// A part of an aggregate's history.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamView {
    pub aggregate_type: String,
    pub aggregate_id: String,
    /// The oldest first.
    pub events: Vec<EventView>,
    /// The commands that they came of, what else those did, and what that caused.
    pub causation: Tree,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct StateQuery {
    /// A position or a time; now if it is left out.
    at: Option<String>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct DifferenceQuery {
    /// A position or a time; before everything if it is left out.
    from: Option<String>,
    /// A position or a time; now if it is left out.
    to: Option<String>,
}

/// An aggregate as it stood at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateView {
    pub aggregate_type: String,
    pub aggregate_id: String,
    /// How many events it had; 0 if it was not there yet.
    pub version: u64,
    /// Of its last event then.
    pub position: Option<u64>,
    /// When that was recorded.
    pub at: Option<DateTime<Utc>>,
    /// Sealed values are erased, whoever asks; null if it was not there yet.
    #[schema(value_type = Option<Object>)]
    pub state: Value,
}

/// What changed of an aggregate between two moments.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DifferenceView {
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub from: Standing,
    pub to: Standing,
    /// A sealed value that was changed shows in the history, not here: both are erased.
    pub changes: Vec<Change>,
}

/// How far an aggregate's history was.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Standing {
    /// How many events it had.
    pub version: u64,
    /// Of the last one.
    pub position: Option<u64>,
    pub at: Option<DateTime<Utc>>,
}

impl From<&StateView> for Standing {
    fn from(state: &StateView) -> Self {
        Self { version: state.version, position: state.position, at: state.at }
    }
}

/// A stream's events from a position on that the scope sees, and where to go on.
///
/// # Errors
/// 404 if it has none of them; 503 if the log can't be read.
pub async fn events(
    store: &EventStore,
    scope: Scope,
    stream: &StreamId,
    from: Option<u64>,
    limit: usize,
) -> Result<(Vec<RecordedEvent>, Option<u64>), ApiError> {
    let query = HistoryQuery {
        from: from.unwrap_or(1),
        aggregate_type: Some(stream.aggregate_type.to_string()),
        aggregate_id: Some(stream.aggregate_id.clone()),
        organization: scope.organization(),
        ..HistoryQuery::default()
    };
    // The stream's own index finds them: no time is too short.
    let page = store.history(&query, limit, Duration::ZERO).await?;
    if page.events.is_empty() && from.is_none() {
        return Err(ApiError::not_found("stream"));
    }
    Ok((store.open_events(&page.events, Opening::Nothing).await?, page.next))
}

/// An aggregate with the events up to a position.
///
/// # Errors
/// 404 if there is no such stream, or one with events up to then that may not be seen; 503 if the log
/// can't be read.
pub async fn state_at(
    store: &EventStore,
    scope: Scope,
    stream: &StreamId,
    position: u64,
) -> Result<StateView, ApiError> {
    let folding = aggregates::fold(store, scope, stream, position);
    let folded = folding.ok_or_else(|| ApiError::not_found("stream"))?.await?;
    if !folded.is_within {
        return Err(ApiError::not_found("stream"));
    }
    if folded.last.is_none() {
        // Not there yet is an answer only to those who may know that it will be.
        let first = store.read_stream(stream, 0, 1).await?;
        let first = store.open_events(&first, Opening::Nothing).await?;
        if !first.first().is_some_and(|event| scope.sees(event)) {
            return Err(ApiError::not_found("stream"));
        }
    }
    Ok(StateView {
        aggregate_type: stream.aggregate_type.to_string(),
        aggregate_id: stream.aggregate_id.clone(),
        version: folded.last.as_ref().map_or(0, |last| last.sequence),
        position: folded.last.as_ref().map(|last| last.position),
        at: folded.last.as_ref().map(|last| last.at),
        state: if folded.last.is_some() { folded.state } else { Value::Null },
    })
}

/// What changed of an aggregate from one position to another.
///
/// # Errors
/// As [`state_at`].
pub async fn difference(
    store: &EventStore,
    scope: Scope,
    stream: &StreamId,
    from: u64,
    to: u64,
) -> Result<DifferenceView, ApiError> {
    let old = state_at(store, scope, stream, from).await?;
    let new = state_at(store, scope, stream, to).await?;
    Ok(DifferenceView {
        from: Standing::from(&old),
        to: Standing::from(&new),
        changes: difference::between(&old.state, &new.state),
        aggregate_type: new.aggregate_type,
        aggregate_id: new.aggregate_id,
    })
}

fn stream_of(path: (String, String)) -> Result<StreamId, ApiError> {
    let (aggregate_type, aggregate_id) = path;
    if aggregate_type.len() > NAME_BYTES_MAX || aggregate_id.len() > NAME_BYTES_MAX {
        return Err(ApiError::not_found("stream"));
    }
    Ok(StreamId::new(aggregate_type, aggregate_id))
}

/// An aggregate's history, decoded, and the commands behind it.
#[utoipa::path(
    get, path = "/streams/{type}/{id}", tag = "history",
    params(("type" = String, Path, example = "publishing.post"), ("id" = String, Path), StreamQuery),
    responses((status = 200, description = "A page of its history", body = Success<StreamView>)),
)]
pub(super) async fn show(
    state: web::Data<AppState>,
    caller: Caller,
    path: web::Path<(String, String)>,
    Query(query): Query<StreamQuery>,
) -> ApiResult {
    let scope = Scope::of(&caller)?;
    let stream = stream_of(path.into_inner())?;
    let limit = query.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(ApiError::field("limit", format!("must be between 1 and {LIMIT_MAX}")));
    }
    if query.cursor.is_some_and(|cursor| i64::try_from(cursor).is_err()) {
        return Err(ApiError::field("cursor", "must be a nextCursor of this list"));
    }
    let store = state.bus.store();
    let (events, next) = events(store, scope, &stream, query.cursor, limit).await?;
    let reader = state.reader_for::<Causation>(&caller).await?;
    let causation = causation::tree(store, reader.pool(), scope, &events).await?;
    let view = StreamView {
        aggregate_type: stream.aggregate_type.into_owned(),
        aggregate_id: stream.aggregate_id,
        events: events.into_iter().map(EventView::from).collect(),
        causation,
    };
    Answer::ok(view).next_cursor(next.map(|next| next.to_string())).respond()
}

/// An aggregate as it stood at a position or time. Sealed values are erased.
#[utoipa::path(
    get, path = "/streams/{type}/{id}/state", tag = "history",
    params(("type" = String, Path, example = "publishing.post"), ("id" = String, Path), StateQuery),
    responses((status = 200, description = "Its state then", body = Success<StateView>)),
)]
pub(super) async fn state(
    state: web::Data<AppState>,
    caller: Caller,
    path: web::Path<(String, String)>,
    Query(query): Query<StateQuery>,
) -> ApiResult {
    let scope = Scope::of(&caller)?;
    let stream = stream_of(path.into_inner())?;
    let at = Moment::parse("at", query.at.as_deref()).map_err(|error| ApiError::validation(vec![error]))?;
    let store = state.bus.store();
    let position = until(store, at, u64::MAX).await?;
    Answer::ok(state_at(store, scope, &stream, position).await?).respond()
}

/// What changed of an aggregate between two positions or times.
#[utoipa::path(
    get, path = "/streams/{type}/{id}/difference", tag = "history",
    params(("type" = String, Path, example = "publishing.post"), ("id" = String, Path), DifferenceQuery),
    responses((status = 200, description = "The changes", body = Success<DifferenceView>)),
)]
pub(super) async fn changes(
    state: web::Data<AppState>,
    caller: Caller,
    path: web::Path<(String, String)>,
    Query(query): Query<DifferenceQuery>,
) -> ApiResult {
    let scope = Scope::of(&caller)?;
    let stream = stream_of(path.into_inner())?;
    let from = Moment::parse("from", query.from.as_deref());
    let to = Moment::parse("to", query.to.as_deref());
    let (from, to) = match (from, to) {
        (Ok(from), Ok(to)) => (from, to),
        (from, to) => {
            return Err(ApiError::validation([from.err(), to.err()].into_iter().flatten().collect()));
        }
    };
    let store = state.bus.store();
    let (from, to) = (until(store, from, 0).await?, until(store, to, u64::MAX).await?);
    if from > to {
        return Err(ApiError::field("to", "must not be before from"));
    }
    Answer::ok(difference(store, scope, &stream, from, to).await?).respond()
}

async fn until(store: &EventStore, moment: Option<Moment>, otherwise: u64) -> Result<u64, ApiError> {
    match moment {
        Some(moment) => Ok(moment.until(store).await?),
        None => Ok(otherwise),
    }
}

//! `GET /events` and `GET /events/{position}`.

use std::time::Duration;

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderMap},
    web,
};
use annals_eventstore::{EventStore, HistoryQuery, Opening, RecordedEvent, StoreError};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    causation::{self, Tree},
    lines,
    query::EventsQuery,
    scope::Scope,
    view::EventView,
};
use crate::{
    http::{Answer, ApiError, ApiResult, Caller, Query, answer::Success},
    state::AppState,
};

/// How long one page is searched for.
const SEARCHED_FOR: Duration = Duration::from_secs(2);

/// What was found of the past.
#[derive(Debug)]
pub struct EventsPage {
    pub events: Vec<EventView>,
    /// Where the search goes on (`cursor`); also of a page with little in it.
    pub next: Option<u64>,
}

/// A page of the past, searched for two seconds at most.
///
/// # Errors
/// If the log can't be read.
pub async fn page(
    store: &EventStore,
    query: &HistoryQuery,
    limit: usize,
    within: Duration,
) -> Result<EventsPage, StoreError> {
    let page = store.history(query, limit, within).await?;
    let events = store.open_events(&page.events, Opening::Nothing).await?;
    Ok(EventsPage { events: events.into_iter().map(EventView::from).collect(), next: page.next })
}

/// The event at a position, if it is within the scope; several if one of an old version reads as such.
///
/// # Errors
/// 404 if there is none, or none that may be seen; 503 if the log can't be read.
pub async fn at(store: &EventStore, scope: Scope, position: u64) -> Result<Vec<RecordedEvent>, ApiError> {
    let stored = store.read_positions(&[position]).await?;
    let events = store.open_events(&stored, Opening::Nothing).await?;
    if events.is_empty() || !events.iter().all(|event| scope.sees(event)) {
        return Err(ApiError::not_found("event"));
    }
    Ok(events)
}

/// What happened: of your organization, or, for the operator, of the installation.
///
/// A search that would take long ends early with what it found, which may be nothing, and
/// `meta.nextCursor` says where it goes on. With `Accept: application/x-ndjson` the answer is one
/// line of JSON per event, all of them, as they are read.
#[utoipa::path(
    get, path = "/events", tag = "history", params(EventsQuery),
    responses((status = 200, description = "A page of events", content(
        (Success<Vec<EventView>> = "application/json"),
        (EventView = "application/x-ndjson"),
    ))),
)]
pub(super) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    request: HttpRequest,
    Query(query): Query<EventsQuery>,
) -> ApiResult {
    let asked = query.check(Scope::of(&caller)?)?;
    let store = state.bus.store();
    if wants_lines(request.headers()) {
        let query = asked.locate(store, &state.reader).await?;
        return Ok(lines::respond(&state, caller, query, asked.limit));
    }
    let limit = asked.page_limit()?;
    let query = asked.locate(store, &state.reader).await?;
    let EventsPage { events, next } = page(store, &query, limit, SEARCHED_FOR).await?;
    Answer::ok(events).next_cursor(next.map(|next| next.to_string())).respond()
}

fn wants_lines(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == lines::MEDIA_TYPE))
}

/// One event and what it belongs to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventDetail {
    /// More than one if an event of an old version reads as several of today.
    events: Vec<EventView>,
    /// Its request's commands, what they did, and what that caused.
    causation: Tree,
}

/// One event, with the commands and events that it came of and that came of it.
#[utoipa::path(
    get, path = "/events/{position}", tag = "history", params(("position" = u64, Path)),
    responses((status = 200, description = "The event", body = Success<EventDetail>)),
)]
pub(super) async fn show(state: web::Data<AppState>, caller: Caller, position: web::Path<u64>) -> ApiResult {
    let scope = Scope::of(&caller)?;
    let events = at(state.bus.store(), scope, *position).await?;
    let reader = state.reader_for::<annals_projections::history::Causation>(&caller).await?;
    let causation = causation::tree(state.bus.store(), reader.pool(), scope, &events).await?;
    let events = events.into_iter().map(EventView::from).collect();
    Answer::ok(EventDetail { events, causation }).respond()
}

//! One aggregate through time: its history, its state at any of its events, what that event changed.

use actix_web::{HttpRequest, web};
use annals_eventstore::{EventStore, StreamId};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::{
    events::{self, stream_address},
    frame::Frame,
    parts::{empty, json, number, scrolling},
};
use crate::{
    history::{
        EventView, Scope,
        difference::Change,
        streams::{self, DifferenceView, StateView},
    },
    http::{ApiError, ApiResult, Caller, Query, pages::PageSession},
    state::AppState,
};

/// Events of the history that are listed; the slider reaches all of them.
const SHOWN_MAX: usize = 200;
/// No stream of ours has a name that is longer.
const NAME_BYTES_MAX: usize = 200;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamQuery {
    /// The event after which the state is shown, by its number in the history; the last if it is left out.
    version: Option<u64>,
    /// What that state is compared with; the one before if it is left out.
    since: Option<u64>,
}

/// Which two states are looked at.
struct Looked {
    last: u64,
    version: u64,
    since: u64,
    state: StateView,
    difference: DifferenceView,
}

pub(super) async fn page(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    Query(query): Query<StreamQuery>,
) -> ApiResult {
    let frame = Frame::open(&state, &caller, &session, &request).await?;
    let (aggregate_type, aggregate_id) = path.into_inner();
    if aggregate_type.len() > NAME_BYTES_MAX || aggregate_id.len() > NAME_BYTES_MAX {
        return Err(ApiError::not_found("stream"));
    }
    let stream = StreamId::new(aggregate_type, aggregate_id);
    let (scope, store) = (Scope::of(&caller)?, state.bus.store());
    let (history, more) = streams::events(store, scope, &stream, None, SHOWN_MAX).await?;
    let looked = look(store, scope, &stream, &query).await?;
    let history: Vec<EventView> = history.into_iter().map(EventView::from).collect();
    let content = html! {
        div.heading {
            div {
                h1 { (stream.aggregate_type) }
                p.quiet { code { (stream.aggregate_id) } }
            }
        }
        section.card {
            h2 { "Through time" }
            (slider(&frame, &stream, &looked))
        }
        div.pair {
            section #state .card {
                h2 { "As it stood after event " (number(looked.version)) }
                @match &looked.state.state {
                    Value::Null => (empty("It was not there yet", "Move the slider to one of its events.")),
                    state => (json(state)),
                }
            }
            section #changes .card {
                h2 { "What changed since event " (number(looked.since)) }
                (changes(&looked.difference.changes))
            }
        }
        section.card {
            h2 { "History" }
            (events::table(&frame, &history))
            @if more.is_some() { p.quiet { "These are its first " (SHOWN_MAX) " events." } }
        }
    };
    Ok(frame.page(&format!("{} through time", stream.aggregate_type), content))
}

async fn look(
    store: &EventStore,
    scope: Scope,
    stream: &StreamId,
    query: &StreamQuery,
) -> Result<Looked, ApiError> {
    let now = streams::state_at(store, scope, stream, store.head().await?).await?;
    let last = now.version;
    let version = query.version.unwrap_or(last).min(last);
    let since = query.since.unwrap_or(version.saturating_sub(1)).min(version);
    let (to, from) = (position(store, stream, version).await?, position(store, stream, since).await?);
    Ok(Looked {
        last,
        version,
        since,
        state: streams::state_at(store, scope, stream, to).await?,
        difference: streams::difference(store, scope, stream, from, to).await?,
    })
}

/// Of an event by its number in the stream; 0 for none.
async fn position(store: &EventStore, stream: &StreamId, version: u64) -> Result<u64, ApiError> {
    let Some(before) = version.checked_sub(1) else { return Ok(0) };
    let found = store.read_stream(stream, before, 1).await?;
    Ok(found.first().map_or(0, |event| event.position))
}

fn slider(frame: &Frame, stream: &StreamId, looked: &Looked) -> Markup {
    let (last, version) = (looked.last, looked.version);
    let address = stream_address(&stream.aggregate_type, &stream.aggregate_id);
    html! {
        form.slider method="get" action=(address) data-submit {
            label for="version" {
                "After event " output #version-shown for="version" { (version) } " of " (last)
            }
            input #version type="range" name="version" min="0" max=(last) value=(version) data-shows="version-shown";
            button type="submit" { "Show" }
        }
        p.quiet {
            @match looked.state.at {
                Some(at) => { "Recorded " (frame.time(at)) },
                None => "Before its first event",
            }
            @if let Some(position) = looked.state.position {
                ", at position " a href=(events::address(position)) { (number(position)) }
            }
            "."
        }
        nav.ways aria-label="Step through time" {
            @if version > 0 { a.button href={ (address) "?version=" (version - 1) } { "← Event before" } }
            @if version < last { a.button href={ (address) "?version=" (version + 1) } { "Event after →" } }
            @if version > 0 { a.button href={ (address) "?version=" (version) "&since=0" } { "All that changed until then" } }
        }
    }
}

fn changes(changes: &[Change]) -> Markup {
    if changes.is_empty() {
        return empty(
            "Nothing that can be shown changed",
            "A sealed value that was changed shows in the history only.",
        );
    }
    html! {
        (scrolling("Changes", &html! {
            table.groups {
                thead { tr { th scope="col" { "Before" } th scope="col" { "After" } } }
                @for change in changes {
                    tbody {
                        tr { th scope="rowgroup" colspan="2" { (path(&change.path)) } }
                        tr {
                            td { (side(change.old.as_ref(), "was not there")) }
                            td { (side(change.new.as_ref(), "is gone")) }
                        }
                    }
                }
            }
        }))
    }
}

fn side(value: Option<&Value>, absent: &str) -> Markup {
    html! {
        @match value {
            Some(value) => (json(value)),
            None => span.quiet { (absent) },
        }
    }
}

/// A JSON Pointer that may be broken before its slashes.
fn path(pointer: &str) -> Markup {
    html! {
        code {
            @if pointer.is_empty() { "/" }
            @for part in pointer.split('/').skip(1) { wbr; "/" (part) }
        }
    }
}

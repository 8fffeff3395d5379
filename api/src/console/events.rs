//! The log itself: searched, and one event with what it came of and what came of it.

use std::time::Duration;

use actix_web::{HttpRequest, http::StatusCode, web};
use annals_projections::history::Causation;
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    frame::Frame,
    parts::{empty, json, number, query_pair, scrolling},
    people::problem,
    proof, timeline,
};
use crate::{
    history::{
        Doer, EventView, Scope,
        causation::{self, CommandNode, EventNode},
        events::{self, EventsPage},
        query::EventsQuery,
    },
    http::{ApiError, ApiResult, Caller, Query, pages::PageSession},
    state::AppState,
};

const EVENTS: &str = "/console/events";
const SHOWN_MAX: usize = 50;
const SEARCHED_FOR: Duration = Duration::from_secs(2);

/// The search, as its form sends it: what is empty was not asked.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    #[serde(rename = "type", default)]
    event_type: String,
    #[serde(default)]
    aggregate_id: String,
    #[serde(default)]
    actor: String,
    #[serde(default)]
    correlation: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    /// Where the page before ended.
    cursor: Option<u64>,
}

impl Search {
    fn fields(&self) -> [(&'static str, &'static str, &str); 6] {
        [
            ("type", "Type, or its beginning", &self.event_type),
            ("aggregate_id", "About (an id)", &self.aggregate_id),
            ("actor", "Done by (an id or process)", &self.actor),
            ("correlation", "Request (correlation id)", &self.correlation),
            ("from", "From (position or time)", &self.from),
            ("to", "To (position or time)", &self.to),
        ]
    }

    fn query(&self) -> Result<EventsQuery, ApiError> {
        let given = |text: &str| Some(text.trim().to_string()).filter(|text| !text.is_empty());
        let correlation = given(&self.correlation).map(|text| text.parse()).transpose();
        Ok(EventsQuery {
            from: given(&self.from),
            to: given(&self.to),
            event_type: given(&self.event_type),
            aggregate_id: given(&self.aggregate_id),
            actor: given(&self.actor),
            correlation: correlation.map_err(|_| ApiError::field("correlation", "must be an id"))?,
            order: Some("newest".to_string()),
            cursor: self.cursor,
            ..EventsQuery::default()
        })
    }

    /// The next page of the same search.
    fn further(&self, cursor: u64) -> String {
        let given = self.fields().into_iter().filter(|(_, _, text)| !text.is_empty());
        let pairs: Vec<String> = given
            .map(|(name, _, text)| query_pair(name, text))
            .chain([query_pair("cursor", &cursor.to_string())])
            .collect();
        format!("{EVENTS}?{}", pairs.join("&"))
    }
}

pub(super) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
    Query(search): Query<Search>,
) -> ApiResult {
    let frame = Frame::open(&state, &caller, &session, &request).await?;
    let scope = Scope::of(&caller)?;
    let found = find(&state, scope, &search).await;
    let (status, found) = match found {
        Ok(page) => (StatusCode::OK, results(&frame, &search, &page)),
        Err(error) if error.status == StatusCode::BAD_REQUEST => (error.status, problem(&error)),
        Err(error) => return Err(error),
    };
    let content = html! {
        div.heading {
            h1 { "Events" }
            p.quiet {
                @match scope {
                    Scope::Everything => "Everything that happened on this installation, the newest first.",
                    Scope::Organization(_) => "Everything that happened in the organization, the newest first.",
                }
            }
        }
        section.card { (search_form(&search)) }
        section.card { (found) }
    };
    Ok(frame.page_with(status, "Events", content))
}

async fn find(state: &AppState, scope: Scope, search: &Search) -> Result<EventsPage, ApiError> {
    let store = state.bus.store();
    let query = search.query()?.check(scope)?.locate(store, &state.reader).await?;
    Ok(events::page(store, &query, SHOWN_MAX, SEARCHED_FOR).await?)
}

pub(super) async fn show(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
    position: web::Path<u64>,
) -> ApiResult {
    let frame = Frame::open(&state, &caller, &session, &request).await?;
    let (scope, store) = (Scope::of(&caller)?, state.bus.store());
    let found = events::at(store, scope, *position).await?;
    let reader = state.reader_for::<Causation>(&caller).await?;
    let tree = causation::tree(store, reader.pool(), scope, &found).await?;
    let proof = match caller.may("audit", "read") {
        true => Some(proof::section(&frame, &state, &caller, *position).await?),
        false => None,
    };
    let views: Vec<EventView> = found.into_iter().map(EventView::from).collect();
    let title = format!("Event {}", number(*position));
    let content = html! {
        div.heading {
            h1 { (title) }
            nav.ways aria-label="Events beside it" {
                @if *position > 1 { a.button href=(address(*position - 1)) { "← Before" } }
                a.button href=(address(*position + 1)) { "After →" }
            }
        }
        @for event in &views {
            div.pair {
                section.card { h2 { (timeline::what(&event.event_type)) } (facts(&frame, event)) }
                section.card { h2 { "What it says" } (json(&event.data)) }
            }
        }
        section.card {
            h2 { "What it came of, and what came of it" }
            (commands(&frame, &tree.commands, *position))
            @if tree.truncated { p.quiet { "There is more than is shown." } }
        }
        @if let Some(proof) = proof { (proof) }
    };
    Ok(frame.page(&title, content))
}

pub(super) fn address(position: u64) -> String {
    format!("{EVENTS}/{position}")
}

/// An aggregate's history.
pub(super) fn stream_address(aggregate_type: &str, aggregate_id: &str) -> String {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("/console/streams/{}/{}", encoded(aggregate_type), encoded(aggregate_id))
}

fn search_form(search: &Search) -> Markup {
    html! {
        form.search method="get" action=(EVENTS) {
            @for (name, label, value) in search.fields() {
                div {
                    label for={ "search-" (name) } { (label) }
                    input id={ "search-" (name) } name=(name) value=(value) autocomplete="off";
                }
            }
            button.primary type="submit" { "Search" }
        }
    }
}

fn results(frame: &Frame, search: &Search, page: &EventsPage) -> Markup {
    html! {
        @if page.events.is_empty() && page.next.is_none() {
            (empty("No event is like that", "Leave a field empty to search for anything; a type may be a beginning, such as publishing.post."))
        } @else if page.events.is_empty() {
            (empty("Nothing was found so far", "The search took its two seconds; go on to look further back."))
        } @else {
            (table(frame, &page.events))
        }
        @if let Some(next) = page.next { p { a.button href=(search.further(next)) { "Earlier →" } } }
    }
}

pub(super) fn table(frame: &Frame, events: &[EventView]) -> Markup {
    html! {
        (scrolling("Events", &html! {
            table {
                thead {
                    tr {
                        th.number scope="col" { "Position" }
                        th scope="col" { "When" }
                        th scope="col" { "What" }
                        th scope="col" { "About" }
                        th scope="col" { "Done by" }
                    }
                }
                tbody {
                    @for event in events {
                        tr {
                            td.number { a href=(address(event.position)) { (number(event.position)) } }
                            td { (frame.time(event.at)) }
                            td { (timeline::what(&event.event_type)) span.quiet { (event.event_type) } }
                            td {
                                a href=(stream_address(&event.aggregate_type, &event.aggregate_id)) { (event.aggregate_type) }
                                span.quiet { code { (event.aggregate_id) } }
                            }
                            td { (doer(&event.actor)) }
                        }
                    }
                }
            }
        }))
    }
}

/// Who did it, by what is not personal.
fn doer(actor: &Doer) -> Markup {
    let kind = serde_json::to_value(actor.kind).ok();
    let kind = kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or_default().replace('_', " ");
    html! { (kind) @if let Some(id) = &actor.id { " " span.quiet { code { (id) } } } }
}

fn facts(frame: &Frame, event: &EventView) -> Markup {
    html! {
        dl.facts {
            dt { "Type" } dd { code { (event.event_type) } " " span.quiet { "version " (event.version) } }
            dt { "Recorded" } dd { (frame.time(event.at)) }
            dt { "About" }
            dd {
                a href=(stream_address(&event.aggregate_type, &event.aggregate_id)) { (event.aggregate_type) }
                " " code { (event.aggregate_id) } ", event " (event.sequence) " of its history"
            }
            dt { "Command" } dd { (event.command) }
            dt { "Done by" } dd { (doer(&event.actor)) }
            dt { "Request" }
            dd {
                a href={ (EVENTS) "?" (query_pair("correlation", &event.correlation_id.to_string())) } {
                    "all that came of it"
                }
            }
            @if let Some(organization) = event.organization_id { dt { "Organization" } dd { code { (organization) } } }
            dt { "Id" } dd { code { (event.event_id) } }
        }
    }
}

fn commands(frame: &Frame, nodes: &[CommandNode], here: u64) -> Markup {
    html! {
        ul.tree {
            @for node in nodes {
                li {
                    span.command { (node.command) }
                    " " span.quiet { (doer(&node.actor)) " " (frame.time(node.at)) }
                    ul { @for event in &node.events { (event_node(frame, event, here)) } }
                }
            }
        }
    }
}

fn event_node(frame: &Frame, event: &EventNode, here: u64) -> Markup {
    html! {
        li {
            a href=(address(event.position)) aria-current=[(event.position == here).then_some("true")] {
                (number(event.position)) " " (timeline::what(&event.event_type))
            }
            @if !event.caused.is_empty() { (commands(frame, &event.caused, here)) }
        }
    }
}

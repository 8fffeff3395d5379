//! Events as lines of JSON (NDJSON), read while they are sent: memory does not grow with the log.

use std::time::Duration;

use actix_web::{HttpResponse, http::header, web::Bytes};
use annals_eventstore::{EventStore, HistoryQuery, Order, StoreError};
use futures::{Stream, stream};

use super::{events, scope::Scope, view::EventView};
use crate::{
    http::{ApiError, Caller},
    state::AppState,
};

pub const MEDIA_TYPE: &str = "application/x-ndjson";

/// Events that are held at once.
const PAGE_EVENTS: usize = 500;
/// How long one page is searched for, before it is looked whether the reader may still read.
const SEARCHED_FOR: Duration = Duration::from_secs(2);

/// One event, one line.
///
/// # Errors
/// Never in practice: a view has text keys only.
pub fn line(event: &EventView) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    Ok(line)
}

/// A reading under way.
struct Reading {
    state: AppState,
    caller: Caller,
    /// `None` when everything was read.
    query: Option<HistoryQuery>,
    left: usize,
}

/// The answer whose body is read while it is sent. If the reading fails, or the caller may no longer read,
/// the connection is cut: an answer that ends as it should is whole.
pub(super) fn respond(
    state: &AppState,
    caller: Caller,
    query: HistoryQuery,
    limit: Option<usize>,
) -> HttpResponse {
    let left = limit.unwrap_or(usize::MAX);
    let reading = Reading { state: state.clone(), caller, query: Some(query), left };
    HttpResponse::Ok()
        .content_type(MEDIA_TYPE)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(chunks(reading))
}

fn chunks(reading: Reading) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    stream::try_unfold(reading, |mut reading| async move {
        let chunk = reading.chunk().await.map_err(|error| {
            tracing::warn!(%error, cause = error.cause.as_deref(), "events were not read to their end");
            std::io::Error::other(error.to_string())
        })?;
        Ok(chunk.map(|chunk| (chunk, reading)))
    })
}

impl Reading {
    async fn chunk(&mut self) -> Result<Option<Bytes>, ApiError> {
        // A page that found nothing is no chunk: an empty one would end the body.
        while let Some(query) = self.query.take() {
            self.still_may().await?;
            let (lines, next) = next_lines(self.state.bus.store(), query, &mut self.left).await?;
            self.query = next;
            if !lines.is_empty() {
                return Ok(Some(Bytes::from(lines)));
            }
        }
        Ok(None)
    }

    /// A long reading ends with the session or the membership that it began with.
    async fn still_may(&self) -> Result<(), ApiError> {
        let now = self.caller.still(&self.state.edge).await?;
        Scope::of(&now).map(drop)
    }
}

/// The lines of the next page, and the query of what is after it.
///
/// # Errors
/// If the log can't be read.
async fn next_lines(
    store: &EventStore,
    mut query: HistoryQuery,
    left: &mut usize,
) -> Result<(Vec<u8>, Option<HistoryQuery>), StoreError> {
    let page = events::page(store, &query, PAGE_EVENTS.min(*left), SEARCHED_FOR).await?;
    *left -= page.events.len().min(*left);
    let mut lines = Vec::new();
    for event in &page.events {
        let damaged = |error: serde_json::Error| StoreError::Damaged {
            position: event.position,
            why: error.to_string(),
        };
        lines.extend(line(event).map_err(damaged)?);
    }
    let next = page.next.filter(|_| *left > 0).map(|next| {
        match query.order {
            Order::OldestFirst => query.from = next,
            Order::NewestFirst => query.to = next,
        }
        query
    });
    Ok((lines, next))
}

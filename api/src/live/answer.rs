//! `GET /live`: as Server-Sent Events, or, if the client asks to upgrade, as WebSocket.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{self, Bytes},
};
use actix_ws::{CloseCode, CloseReason, Message, MessageStream, Session};
use futures::{StreamExt, stream};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    listener::{self, Wanted, Words},
    word::Word,
};
use crate::{
    history::EventView,
    http::{ApiError, ApiResult, Caller, FieldError, Query, config::HttpConfig},
    state::AppState,
};

/// Characters of a filter.
const FILTER_CHARS_MAX: usize = 200;
/// A listener has nothing to say that is longer.
const FRAME_BYTES_MAX: usize = 4 * 1024;

/// What to listen for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct LiveQuery {
    /// Go on after this position; from now on if it is left out. `Last-Event-ID` counts before it.
    after: Option<u64>,
    /// An event type or its beginning: `publishing.post.scheduled`, `publishing.post`, `identity`.
    #[serde(rename = "type")]
    #[param(rename = "type")]
    event_type: Option<String>,
    /// `publishing.post`.
    aggregate_type: Option<String>,
    aggregate_id: Option<String>,
    /// Of `POST /live/tickets`, instead of `Authorization`.
    #[expect(dead_code, reason = "it was taken before the handler runs")]
    ticket: Option<String>,
}

impl LiveQuery {
    fn wanted(&self) -> Result<Wanted, ApiError> {
        let fields = [
            ("type", &self.event_type),
            ("aggregateType", &self.aggregate_type),
            ("aggregateId", &self.aggregate_id),
        ];
        let faults = fields.into_iter().filter_map(|(field, text)| {
            let length = text.as_ref()?.chars().count();
            let is_fine = (1..=FILTER_CHARS_MAX).contains(&length);
            (!is_fine)
                .then(|| FieldError::new(field, format!("must have 1 to {FILTER_CHARS_MAX} characters")))
        });
        let faults: Vec<FieldError> = faults.collect();
        if !faults.is_empty() {
            return Err(ApiError::validation(faults));
        }
        Ok(Wanted {
            event_type: self.event_type.clone(),
            aggregate_type: self.aggregate_type.clone(),
            aggregate_id: self.aggregate_id.clone(),
        })
    }
}

/// What happens, as it happens: of your organization, or, for the operator, of the installation.
///
/// Whoever may read history gets each event whole (sealed values erased); other members get that it
/// happened: `{position, type, aggregateType, aggregateId, version, at}`. With `Upgrade: websocket` it is a WebSocket.
#[utoipa::path(
    get, path = "/live", tag = "live",
    params(LiveQuery, ("Last-Event-ID" = Option<u64>, Header, description = "Go on after this position")),
    responses(
        (status = 200, description = "A stream without end", body = EventView, content_type = "text/event-stream"),
        (status = 101, description = "A WebSocket"),
    ),
)]
pub(super) async fn listen(
    state: web::Data<AppState>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
    Query(query): Query<LiveQuery>,
) -> ApiResult {
    let is_socket = request
        .headers()
        .get(header::UPGRADE)
        .is_some_and(|to| to.to_str().is_ok_and(|to| to.trim().eq_ignore_ascii_case("websocket")));
    if is_socket {
        check_origin(&request, &state.config)?;
    }
    let wanted = query.wanted()?;
    let after = last_event_id(&request)?.or(query.after);
    let words = listener::listen(&state, caller, wanted, after).await?;
    if is_socket { socket(&request, payload, words) } else { Ok(events(words)) }
}

/// The same at `/console/live`, for pages, whose credential is their cookie.
pub(crate) async fn listen_from_page(
    state: web::Data<AppState>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
    query: Query<LiveQuery>,
) -> ApiResult {
    listen(state, caller, request, payload, query).await
}

/// A browser tells which page opens a socket, and lets any page do so: only ours may.
fn check_origin(request: &HttpRequest, config: &HttpConfig) -> Result<(), ApiError> {
    let Some(origin) = request.headers().get(header::ORIGIN) else { return Ok(()) };
    if origin.to_str().is_ok_and(|origin| config.allows_origin(origin)) {
        return Ok(());
    }
    Err(ApiError::new(StatusCode::FORBIDDEN, "CSRF", "this origin is not one of those configured"))
}

fn last_event_id(request: &HttpRequest) -> Result<Option<u64>, ApiError> {
    let Some(value) = request.headers().get("last-event-id") else { return Ok(None) };
    let position = value.to_str().ok().and_then(|text| text.parse().ok());
    position.map(Some).ok_or_else(|| ApiError::field("Last-Event-ID", "must be a position"))
}

fn events(words: Words) -> HttpResponse {
    let body = stream::unfold(words, |mut words| async {
        let word = words.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(word.as_event())), words))
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Compressed or held back by a proxy, it would come in lumps.
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(body)
}

fn socket(request: &HttpRequest, payload: web::Payload, words: Words) -> ApiResult {
    let (response, session, messages) = actix_ws::handle(request, payload)
        .map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", error.to_string()))?;
    actix_web::rt::spawn(converse(session, messages.max_frame_size(FRAME_BYTES_MAX), words));
    Ok(response)
}

async fn converse(mut session: Session, mut messages: MessageStream, mut words: Words) {
    let reason = loop {
        tokio::select! {
            word = words.next() => {
                let Some(word) = word else { break None };
                if session.text(word.as_message()).await.is_err() {
                    return;
                }
                match word {
                    Word::End { code, .. } => break Some((CloseCode::Policy, code)),
                    Word::Resume { .. } => break Some((CloseCode::Again, "resume")),
                    Word::Event { .. } | Word::Heartbeat { .. } => {}
                }
            }
            message = messages.next() => match message {
                Some(Ok(Message::Ping(bytes))) => {
                    if session.pong(&bytes).await.is_err() {
                        return;
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => break None,
                // There is nothing to say to us.
                Some(Ok(_)) => {}
            },
        }
    };
    let reason = reason.map(|(code, words)| CloseReason { code, description: Some(words.to_string()) });
    if let Err(error) = session.close(reason).await {
        tracing::debug!(%error, "the other side was faster to close");
    }
}

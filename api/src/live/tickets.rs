//! `POST /live/tickets`: for browsers, whose `EventSource` and `WebSocket` can send no header.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    http::{
        Answer, ApiError, ApiResult, Caller,
        answer::Success,
        tokens::{TICKET_LIFETIME_S, TicketClaims},
    },
    state::AppState,
};

/// A ticket for one stream.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TicketView {
    /// For `GET /live?ticket=…`, once.
    ticket: String,
    /// In seconds.
    expires_in: i64,
}

/// A ticket that opens one stream, within half a minute, for this session. Unlike a token it may
/// stand in an address: whoever reads it there later has nothing.
#[utoipa::path(post, path = "/live/tickets", tag = "live",
    responses((status = 201, description = "A ticket", body = Success<TicketView>)))]
pub(super) async fn issue(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    let session =
        caller.session_id().ok_or_else(|| ApiError::forbidden("an API key listens with its own header"))?;
    let claims = TicketClaims {
        ticket: Uuid::now_v7(),
        sid: session,
        user_id: caller.user_id,
        org_id: caller.organization_id,
        exp: state.clock.now().timestamp() + TICKET_LIFETIME_S,
    };
    let ticket = state.tokens.issue_ticket(&claims).map_err(|error| ApiError::internal(&error))?;
    Answer::created(TicketView { ticket, expires_in: TICKET_LIFETIME_S }).respond()
}

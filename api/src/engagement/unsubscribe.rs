//! `/notifications/unsubscribe/{token}`: no more mail of a kind, in one click of a mail program (RFC 8058).
//!
//! The token stands in the path, because a mail program can send nothing else. It opens nothing: whoever has
//! it can switch one kind of mail off, for one person in one organization, who can switch it on again.

use actix_web::{HttpResponse, http::header, web};
use annals_commands::engagement::Notifications as Commands;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    http::{Anonymous, Answer, ApiError, ApiResult, answer::Success},
    identity::faults::presented_token,
    state::AppState,
};

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UnsubscribedView {
    /// The kind that is not mailed any more.
    kind: String,
}

/// No more mail of the kind that this token's mail was of.
#[utoipa::path(
    post, path = "/notifications/unsubscribe/{token}", tag = "notifications",
    params(("token" = String, Path, description = "Of a mail's `List-Unsubscribe`")),
    responses((status = 200, description = "It is not mailed any more", body = Success<UnsubscribedView>)),
)]
pub(super) async fn one_click(
    state: web::Data<AppState>,
    caller: Anonymous,
    token: web::Path<String>,
) -> ApiResult {
    let token = presented_token(&token).map_err(|_| ApiError::not_found("mail"))?;
    let commands = Commands::new(state.bus.clone());
    let outcome = commands.unsubscribe(&caller.context, &token).await?;
    let kind = outcome.value.map(|kind| kind.to_string()).unwrap_or_default();
    Answer::ok(UnsubscribedView { kind }).position(outcome.receipt.position).respond()
}

/// For a person whose mail program opens the address: on to the page that asks first.
#[utoipa::path(
    get, path = "/notifications/unsubscribe/{token}", tag = "notifications",
    params(("token" = String, Path, description = "Of a mail's `List-Unsubscribe`")),
    responses((status = 303, description = "On to the console")),
)]
pub(super) async fn by_hand(state: web::Data<AppState>, _: Anonymous, token: web::Path<String>) -> ApiResult {
    let token = presented_token(&token).map_err(|_| ApiError::not_found("mail"))?;
    let page = annals_commands::identity::links::unsubscribe(&state.config.public_url, &token);
    Ok(HttpResponse::SeeOther()
        .insert_header((header::LOCATION, page.as_str()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish())
}

//! The next free posting time of a channel.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::posts::moment;
use crate::{
    http::{ApiError, ApiResult, Caller},
    publishing::slots::{self, SlotQuery},
    state::AppState,
};

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Slot {
    date: String,
}

/// The next posting time at which the channel has nothing due.
#[utoipa::path(
    get, path = "/public/v1/find-slot/{id}", tag = "postiz", params(("id" = Uuid, Path)),
    responses((status = 200, description = "When it is", body = Slot)),
)]
pub(super) async fn find(state: web::Data<AppState>, caller: Caller, id: web::Path<String>) -> ApiResult {
    let channel = id.parse::<Uuid>().map_err(|_| ApiError::not_found("channel"))?;
    let found = slots::find(&state, &caller, &SlotQuery::of_channel(channel)).await?;
    Ok(HttpResponse::Ok().json(Slot { date: moment(found.date) }))
}

//! `admin/projections/{name}/parked`: what a read model could not apply.

use actix_web::web;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    cursors,
    views::{ParkedEventView, ParkedKeyView},
};
use crate::{
    http::{Answer, ApiError, ApiResult, Caller, Query, answer::Success},
    state::AppState,
};

/// Events of one key that are shown at once.
const EVENTS_SHOWN_MAX: u32 = 100;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct ParkedQuery {
    /// `meta.nextCursor` of the page before.
    cursor: Option<String>,
    /// At most 200; 50 if it is left out.
    limit: Option<u32>,
}

/// The keys that a read model could not apply, by the position of the event that failed.
#[utoipa::path(get, path = "/admin/projections/{name}/parked", tag = "admin",
    params(("name" = String, Path), ParkedQuery),
    responses((status = 200, description = "A page of keys", body = Success<Vec<ParkedKeyView>>)))]
pub(super) async fn list(
    state: web::Data<AppState>,
    _caller: Caller,
    name: web::Path<String>,
    Query(query): Query<ParkedQuery>,
) -> ApiResult {
    let refused = |error| ApiError::validation(vec![error]);
    let limit = cursors::limit(query.limit).map_err(refused)?;
    let after = query.cursor.as_deref().map(cursors::parked).transpose().map_err(refused)?;
    let keys = state.operations.parked(&name, after.as_ref(), limit + 1).await?;
    let (keys, next) = cursors::page(keys, limit, cursors::of_parked);
    Answer::ok(keys).next_cursor(next).respond()
}

/// The first events that wait on one key, the failed one with its error; sealed values are erased.
/// A slash in the key is written `%2F`.
#[utoipa::path(get, path = "/admin/projections/{name}/parked/{key}", tag = "admin",
    params(("name" = String, Path), ("key" = String, Path)),
    responses((status = 200, description = "At most 100, oldest first", body = Success<Vec<ParkedEventView>>)))]
pub(super) async fn show(
    state: web::Data<AppState>,
    _caller: Caller,
    path: web::Path<(String, String)>,
) -> ApiResult {
    let (name, key) = path.into_inner();
    Answer::ok(state.operations.parked_events(&name, &key, EVENTS_SHOWN_MAX).await?).respond()
}

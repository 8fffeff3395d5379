//! `admin/projections/{name}/parked`: what a read model could not apply.

use actix_web::web;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    cursors,
    input::{ReasonBody, ReplayBody},
    views::{ParkedEventView, ParkedKeyView, ReplayedView, SkippedView},
};
use crate::{
    http::{Answer, ApiError, ApiResult, Body, Caller, Query, answer::Success},
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

/// Applies what is parked, in order, after a fix: one key, or all of them.
#[utoipa::path(post, path = "/admin/projections/{name}/parked/replay", tag = "admin",
    params(("name" = String, Path)), request_body = ReplayBody,
    responses((status = 200, description = "What was applied, and what failed again", body = Success<ReplayedView>)))]
pub(super) async fn replay(
    state: web::Data<AppState>,
    caller: Caller,
    name: web::Path<String>,
    Body(body): Body<ReplayBody>,
) -> ApiResult {
    let (reason, key) = body.parse()?;
    let acted = state.operations.replay_parked(&caller.context, &name, key.as_deref(), reason).await?;
    Answer::ok(acted.value).position(acted.position).respond()
}

/// Leaves out what is parked on one key: the read model will not show it until it is built again. A
/// slash in the key is written `%2F`.
#[utoipa::path(post, path = "/admin/projections/{name}/parked/{key}/skip", tag = "admin",
    params(("name" = String, Path), ("key" = String, Path)), request_body = ReasonBody,
    responses((status = 200, description = "What was left out", body = Success<SkippedView>)))]
pub(super) async fn skip(
    state: web::Data<AppState>,
    caller: Caller,
    path: web::Path<(String, String)>,
    Body(body): Body<ReasonBody>,
) -> ApiResult {
    let (name, key) = path.into_inner();
    let acted = state.operations.skip_parked(&caller.context, &name, &key, body.parse()?).await?;
    Answer::ok(acted.value).position(acted.position).respond()
}

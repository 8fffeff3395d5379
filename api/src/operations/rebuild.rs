//! `admin/projections/{name}/rebuild`: building a read model again, and guiding the build.

use actix_web::web;

use super::{
    Guide,
    actions::Acted,
    input::{ReasonBody, RebuildBody, ThrottleBody},
    views::ProjectionView,
};
use crate::{
    http::{Answer, ApiError, ApiResult, Body, Caller, answer::Success},
    state::AppState,
};

fn answer(acted: Acted<ProjectionView>) -> ApiResult {
    Answer::ok(acted.value).position(acted.position).respond()
}

async fn guide(
    state: &AppState,
    caller: &Caller,
    name: &str,
    guide: Guide,
    body: &ReasonBody,
) -> Result<Acted<ProjectionView>, ApiError> {
    state.operations.guide(&caller.context, name, guide, body.parse()?).await
}

/// Builds a read model again beside the live one; readers notice nothing, and it takes over by itself.
#[utoipa::path(post, path = "/admin/projections/{name}/rebuild", tag = "admin", params(("name" = String, Path)),
    request_body = RebuildBody,
    responses((status = 201, description = "It is under way", body = Success<ProjectionView>)))]
pub(super) async fn request(
    state: web::Data<AppState>,
    caller: Caller,
    name: web::Path<String>,
    Body(body): Body<RebuildBody>,
) -> ApiResult {
    let (reason, pace) = body.parse()?;
    let acted = state.operations.rebuild(&caller.context, &name, pace, reason).await?;
    Answer::created(acted.value).position(acted.position).respond()
}

/// Bounds how fast a rebuild reads the log, or lifts the bound.
#[utoipa::path(patch, path = "/admin/projections/{name}/rebuild", tag = "admin", params(("name" = String, Path)),
    request_body = ThrottleBody,
    responses((status = 200, description = "The bound holds", body = Success<ProjectionView>)))]
pub(super) async fn throttle(
    state: web::Data<AppState>,
    caller: Caller,
    name: web::Path<String>,
    Body(body): Body<ThrottleBody>,
) -> ApiResult {
    let (reason, pace) = body.parse()?;
    let throttle = Guide::Throttle(pace);
    answer(state.operations.guide(&caller.context, &name, throttle, reason).await?)
}

/// Holds a rebuild where it is; fine if it is paused already.
#[utoipa::path(post, path = "/admin/projections/{name}/rebuild/pause", tag = "admin",
    params(("name" = String, Path)), request_body = ReasonBody,
    responses((status = 200, description = "It is paused", body = Success<ProjectionView>)))]
pub(super) async fn pause(
    state: web::Data<AppState>,
    caller: Caller,
    name: web::Path<String>,
    Body(body): Body<ReasonBody>,
) -> ApiResult {
    answer(guide(&state, &caller, &name, Guide::Pause, &body).await?)
}

/// Lets a paused rebuild go on; fine if it runs.
#[utoipa::path(post, path = "/admin/projections/{name}/rebuild/resume", tag = "admin",
    params(("name" = String, Path)), request_body = ReasonBody,
    responses((status = 200, description = "It goes on", body = Success<ProjectionView>)))]
pub(super) async fn resume(
    state: web::Data<AppState>,
    caller: Caller,
    name: web::Path<String>,
    Body(body): Body<ReasonBody>,
) -> ApiResult {
    answer(guide(&state, &caller, &name, Guide::Resume, &body).await?)
}

/// Gives a rebuild up and drops what it has built; the live read model is not touched.
#[utoipa::path(post, path = "/admin/projections/{name}/rebuild/cancel", tag = "admin",
    params(("name" = String, Path)), request_body = ReasonBody,
    responses((status = 200, description = "It is given up", body = Success<ProjectionView>)))]
pub(super) async fn cancel(
    state: web::Data<AppState>,
    caller: Caller,
    name: web::Path<String>,
    Body(body): Body<ReasonBody>,
) -> ApiResult {
    answer(guide(&state, &caller, &name, Guide::Cancel, &body).await?)
}

/// Lets a rebuild take over although it has parked keys, which it otherwise does not.
#[utoipa::path(post, path = "/admin/projections/{name}/rebuild/accept", tag = "admin",
    params(("name" = String, Path)), request_body = ReasonBody,
    responses((status = 200, description = "It takes over when it has caught up", body = Success<ProjectionView>)))]
pub(super) async fn accept(
    state: web::Data<AppState>,
    caller: Caller,
    name: web::Path<String>,
    Body(body): Body<ReasonBody>,
) -> ApiResult {
    answer(guide(&state, &caller, &name, Guide::AcceptParked, &body).await?)
}

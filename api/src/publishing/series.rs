//! `/posts/series`: posts that recur, changed, paused and ended as one.

pub(crate) mod reading;

use actix_web::web;
use annals_commands::{
    bus::{CommandError, Outcome},
    publishing::series::SeriesRequest,
};
use annals_domain::{
    kernel::SeriesId,
    publishing::{Post, Series},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    failed,
    input::{PostBody, member},
    posts::commands,
};
use crate::{
    http::{Answer, ApiError, ApiResult, Body, Caller, answer::Success},
    state::AppState,
};

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SeriesView {
    pub id: Uuid,
    /// `active`, `paused` or `ended`.
    pub status: &'static str,
    /// RFC 5545.
    pub recurrence: Option<String>,
    pub timezone: Option<String>,
    /// Its occurrences by the rule of now, in order.
    pub posts: Vec<SeriesPostView>,
    pub version: u64,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SeriesPostView {
    pub id: Uuid,
    pub scheduled_at: Option<DateTime<Utc>>,
    /// As a post's.
    pub status: String,
}

/// Changes a series from now on: posts that are not due yet give way to new ones, as the body says.
#[utoipa::path(
    put, path = "/posts/series/{id}", tag = "posts", request_body = PostBody, params(("id" = Uuid, Path)),
    responses((status = 200, description = "The series", body = Success<SeriesView>)),
)]
pub(super) async fn change(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<SeriesId>,
    Body(body): Body<PostBody>,
) -> ApiResult {
    let Some(rule) = body.recurrence.clone() else {
        return Err(ApiError::field("recurrence", "is required"));
    };
    let request = SeriesRequest { post: body.request(&state, &caller).await?, rule };
    let outcome = commands(&state).change_series(&caller.context, member(&caller), *id, request).await;
    answer(&state, *id, outcome).await
}

/// Pauses a series: posts that are not due yet become drafts.
#[utoipa::path(
    post, path = "/posts/series/{id}/pause", tag = "posts", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The series", body = Success<SeriesView>)),
)]
pub(super) async fn pause(state: web::Data<AppState>, caller: Caller, id: web::Path<SeriesId>) -> ApiResult {
    let outcome = commands(&state).pause_series(&caller.context, member(&caller), *id).await;
    answer(&state, *id, outcome).await
}

/// Resumes a series: posts that are still ahead are scheduled again; those that were missed stay drafts.
#[utoipa::path(
    post, path = "/posts/series/{id}/resume", tag = "posts", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The series", body = Success<SeriesView>)),
)]
pub(super) async fn resume(state: web::Data<AppState>, caller: Caller, id: web::Path<SeriesId>) -> ApiResult {
    let outcome = commands(&state).resume_series(&caller.context, member(&caller), *id).await;
    answer(&state, *id, outcome).await
}

/// Ends a series: posts that are not due yet are cancelled.
#[utoipa::path(
    delete, path = "/posts/series/{id}", tag = "posts", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The series", body = Success<SeriesView>)),
)]
pub(super) async fn end(state: web::Data<AppState>, caller: Caller, id: web::Path<SeriesId>) -> ApiResult {
    let outcome = commands(&state).end_series(&caller.context, member(&caller), *id).await;
    answer(&state, *id, outcome).await
}

/// The series as the write side has it now.
async fn answer(state: &AppState, id: SeriesId, outcome: Result<Outcome<()>, CommandError>) -> ApiResult {
    let position = outcome.map_err(failed)?.receipt.position;
    let loaded = state.bus.load::<Series>(id).await?;
    let series = &loaded.state;
    let mut posts = Vec::with_capacity(series.posts().len());
    for post in series.posts() {
        let state = state.bus.load::<Post>(*post).await?.state;
        let scheduled_at = state.schedule().map(|schedule| schedule.at);
        posts.push(SeriesPostView {
            id: post.uuid(),
            scheduled_at,
            status: state.status().as_str().to_string(),
        });
    }
    let view = SeriesView {
        id: id.uuid(),
        status: series.status().as_str(),
        recurrence: series.recurrence().map(|recurrence| recurrence.rule().to_string()),
        timezone: series.recurrence().map(|recurrence| recurrence.start().zone.as_str().to_string()),
        posts,
        version: loaded.version,
    };
    Answer::ok(view).position(position).version(loaded.version).respond()
}

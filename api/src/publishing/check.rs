//! `POST /posts/check`: what a post's author would be told, and nothing written.

use actix_web::{http::StatusCode, web};
use annals_commands::publishing::series::SeriesRequest;
use annals_domain::{
    kernel::PostId,
    publishing::{
        Post,
        post::{Composition, Due, Plan},
    },
};
use annals_projections::publishing::posts::Own;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    failed,
    input::{PostBody, member},
    posts::commands,
    warnings::{self, WarningView, Written},
};
use crate::{
    http::{Answer, ApiError, ApiResult, Body, Caller, FieldError, Query, answer::Success},
    state::AppState,
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct CheckQuery {
    /// The post that would be changed so; a new one if it is left out.
    post: Option<Uuid>,
}

/// What would be said of a post.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CheckView {
    /// What it would be refused for; empty: it could be written now.
    pub problems: Vec<FieldError>,
    pub warnings: Vec<WarningView>,
}

/// Says what is wrong with a post and what there is to know of it, and writes nothing.
#[utoipa::path(
    post, path = "/posts/check", tag = "posts", params(CheckQuery), request_body = PostBody,
    responses((status = 200, description = "What was found", body = Success<CheckView>)),
)]
pub(super) async fn check(
    state: web::Data<AppState>,
    caller: Caller,
    Query(query): Query<CheckQuery>,
    Body(body): Body<PostBody>,
) -> ApiResult {
    let checked = checked(&state, &caller, query.post.map(PostId::new), body).await;
    let view = match checked {
        // What a command would answer with 400 is what was asked for.
        Err(error) if error.status == StatusCode::BAD_REQUEST && !error.errors.is_empty() => {
            CheckView { problems: error.errors, warnings: Vec::new() }
        }
        checked => checked?,
    };
    Answer::ok(view).respond()
}

async fn checked(
    state: &AppState,
    caller: &Caller,
    post: Option<PostId>,
    body: PostBody,
) -> Result<CheckView, ApiError> {
    let rule = body.recurrence.clone();
    let request = body.request(state, caller).await?;
    if let Some(rule) = rule {
        SeriesRequest { post: request.clone(), rule }.recurrence().map_err(failed)?;
    }
    let (commands, member) = (commands(state), member(caller));
    let at = match &request.plan {
        Plan::Draft(schedule) => schedule.as_ref().map(|schedule| schedule.at),
        Plan::Publish(Due::At(schedule)) => Some(schedule.at),
        Plan::Publish(Due::Now(_)) => Some(state.bus.now()),
    };
    let composition = Composition::parse(&request.draft);
    let problems = match post {
        Some(id) => commands.check_revision(&caller.context, member, id, request).await,
        None => {
            let checked = commands.check_each(&caller.context, member, vec![Ok(request)]).await;
            checked.map(|mut checked| checked.pop().unwrap_or_default())
        }
    };
    let problems = problems.map_err(failed)?;
    let problems = problems.into_iter().map(|fault| FieldError::new(fault.field, fault.message)).collect();
    let series = match post {
        Some(id) => {
            state.bus.load::<Post>(id).await?.state.occurrence().map(|occurrence| occurrence.series_id)
        }
        None => None,
    };
    let warnings = match &composition {
        Ok(composition) => {
            let written = Written { composition, at, own: Own { post, series } };
            warnings::of(state, caller, &written).await?
        }
        Err(_) => Vec::new(),
    };
    Ok(CheckView { problems, warnings })
}

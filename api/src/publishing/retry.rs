//! `POST /posts/{id}/retry`.

use actix_web::web;
use annals_commands::publishing::retry::{Doubling, RetryRequest};
use annals_domain::kernel::{IntegrationId, PostId};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    failed,
    input::member,
    posts::{commands, written},
    views::PostView,
};
use crate::{
    http::{Answer, ApiResult, Caller, MaybeBody, answer::Success},
    state::AppState,
};

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct RetryBody {
    /// Only on this channel; all that failed or are unknown if it is left out.
    pub channel: Option<Uuid>,
    /// Publish although the platform can't tell whether the post is there already.
    pub confirm_may_double: bool,
}

/// Publishes again what failed, and what the platform says is not there.
#[utoipa::path(
    post, path = "/posts/{id}/retry", tag = "posts", request_body = Option<RetryBody>,
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "The post", body = Success<PostView>)),
)]
pub(super) async fn retry(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<PostId>,
    MaybeBody(body): MaybeBody<RetryBody>,
) -> ApiResult {
    let body = body.unwrap_or_default();
    let request = RetryRequest {
        channel: body.channel.map(IntegrationId::new),
        doubling: if body.confirm_may_double { Doubling::MayHappen } else { Doubling::Never },
    };
    let outcome =
        commands(&state).retry(&caller.context, member(&caller), *id, request).await.map_err(failed)?;
    written(&state, &caller, *id, Answer::ok, outcome.receipt.position).await
}

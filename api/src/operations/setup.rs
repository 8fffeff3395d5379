//! `admin/setup`: the first operator of an installation that others can reach.

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    http::{Answer, ApiError, ApiResult, Body, Caller, answer::Success},
    state::AppState,
};

/// Characters of what may be entered; the code itself has 14.
const CODE_CHARS_MAX: usize = 64;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SetupBody {
    /// What the server printed at its start.
    #[schema(example = "7Q2M-0XKD-9TFA")]
    code: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SetupView {
    is_operator: bool,
}

/// Makes you the operator if you know the code that the server prints until somebody is. It opens
/// nothing any more once there was an operator.
#[utoipa::path(post, path = "/admin/setup", tag = "admin", request_body = SetupBody,
    responses((status = 200, description = "You are the operator", body = Success<SetupView>)))]
pub(super) async fn redeem(
    state: web::Data<AppState>,
    caller: Caller,
    Body(body): Body<SetupBody>,
) -> ApiResult {
    if body.code.chars().count() > CODE_CHARS_MAX {
        return Err(ApiError::field("code", format!("must have at most {CODE_CHARS_MAX} characters")));
    }
    let done = state.identity.redeem_setup_code(&caller.context, caller.user_id, &body.code).await?;
    Answer::ok(SetupView { is_operator: true }).position(done.position).respond()
}

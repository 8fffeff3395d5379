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
    let position = enter(&state, &caller, &body.code).await?;
    Answer::ok(SetupView { is_operator: true }).position(position).respond()
}

/// Makes the caller the operator, if this is the code. Answers with the position.
pub(crate) async fn enter(state: &AppState, caller: &Caller, code: &str) -> Result<u64, ApiError> {
    if code.chars().count() > CODE_CHARS_MAX {
        return Err(ApiError::field("code", format!("must have at most {CODE_CHARS_MAX} characters")));
    }
    Ok(state.identity.redeem_setup_code(&caller.context, caller.user_id, code).await?.position)
}

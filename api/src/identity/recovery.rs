//! `auth/forgot-password`, `auth/reset-password`, `auth/verify-email`, `auth/resend-verification`.

use std::time::Duration;

use actix_web::web;
use annals_commands::bus::Context;
use annals_domain::kernel::EmailAddress;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    faults::{Faults, presented_password, presented_token},
    views::{IdView, done},
};
use crate::{
    http::{Anonymous, Answer, ApiError, ApiResult, Body, Caller, answer::Success},
    state::AppState,
};

/// Longer than recording a request takes, so that the time of the answer does not tell whether
/// there was something to record.
const ANSWERS_AFTER: Duration = Duration::from_millis(300);

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ForgotBody {
    #[schema(example = "ada@example.org")]
    email: String,
}

/// The same whether or not there is such an account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AskedView {
    message: &'static str,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ResetBody {
    /// From the mail.
    token: String,
    /// The new one: 8 to 128 characters.
    password: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct VerifyBody {
    /// From the mail.
    token: String,
}

/// What is said to whoever asks, account or not.
pub(crate) const ASKED: &str =
    "if there is an account with this address, a link to set a new password is on its way to it";

/// Mails a link to set a new password. The answer, and the time it takes, are the same whether or not
/// there is such an account; an earlier link does not count any more.
#[utoipa::path(post, path = "/auth/forgot-password", tag = "auth", request_body = ForgotBody,
    responses((status = 200, description = "Asked; no word on whether there is such an account", body = Success<AskedView>)))]
pub(crate) async fn forgot_password(
    state: web::Data<AppState>,
    caller: Anonymous,
    Body(body): Body<ForgotBody>,
) -> ApiResult {
    let mut faults = Faults::default();
    let Some(email) = faults.check("email", EmailAddress::parse(&body.email)) else {
        return Err(faults.refused());
    };
    ask(&state, &caller.context, email).await?;
    // Without a position: there would be one only for an account.
    Answer::ok(AskedView { message: ASKED }).respond()
}

/// Asks for a link, and takes as long whether or not there is an account.
///
/// # Errors
/// 503 if the log can't be reached.
pub(crate) async fn ask(state: &AppState, context: &Context, email: EmailAddress) -> Result<(), ApiError> {
    let asked = state.identity.request_password_reset(context, email);
    let (asked, ()) = tokio::join!(asked, tokio::time::sleep(ANSWERS_AFTER));
    Ok(asked?)
}

/// Sets a new password with the token that was mailed. Every session of the account ends.
#[utoipa::path(post, path = "/auth/reset-password", tag = "auth", request_body = ResetBody,
    responses((status = 200, description = "Changed: sign in with it", body = Success<IdView>)))]
pub(crate) async fn reset_password(
    state: web::Data<AppState>,
    caller: Anonymous,
    Body(body): Body<ResetBody>,
) -> ApiResult {
    let mut faults = Faults::default();
    let token = faults.check("token", presented_token(&body.token));
    let password = faults.check("password", presented_password(&body.password));
    let (Some(token), Some(password)) = (token, password) else {
        return Err(faults.refused());
    };
    let reset = state.identity.reset_password(&caller.context, token, password).await?;
    done(IdView { id: reset.value.uuid() }, reset.position, 0)
}

/// Verifies your mail address with the token that was mailed to it. Needs no sign-in: the link may be
/// followed on another device.
#[utoipa::path(post, path = "/auth/verify-email", tag = "auth", request_body = VerifyBody,
    responses((status = 200, description = "Verified", body = Success<IdView>)))]
pub(crate) async fn verify_email(
    state: web::Data<AppState>,
    caller: Anonymous,
    Body(body): Body<VerifyBody>,
) -> ApiResult {
    let mut faults = Faults::default();
    let Some(token) = faults.check("token", presented_token(&body.token)) else {
        return Err(faults.refused());
    };
    let verified = state.identity.verify_email(&caller.context, token).await?;
    state.own_writes.record(verified.value, verified.position);
    done(IdView { id: verified.value.uuid() }, verified.position, 0)
}

/// Mails you another link to verify your address; the earlier one does not count any more.
#[utoipa::path(post, path = "/auth/resend-verification", tag = "auth",
    responses(
        (status = 200, description = "A link is on its way", body = Success<IdView>),
        (status = 409, description = "Verified already, or asked for less than a minute ago",
            body = crate::http::answer::Failure),
    ))]
pub(crate) async fn resend_verification(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    let asked = state.identity.request_verification(&caller.context, caller.user_id).await?;
    done(IdView { id: caller.user_id.uuid() }, asked.position, 0)
}

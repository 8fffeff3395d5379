//! `auth/register`, `auth/login`, `auth/refresh`, `auth/logout`, `auth/me`.

use actix_web::{HttpRequest, http::StatusCode, web};
use annals_commands::identity::{LogIn, RefreshToken, Register};
use annals_domain::{
    identity::{OrganizationName, Password, PersonName},
    kernel::EmailAddress,
};
use annals_projections::identity::{Users, users};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    faults::{Faults, presented_password, presented_token},
    views::{
        IdView, OrganizationBrief, REFRESH_COOKIE, SignedInView, UserView, brief, clear_refresh_cookie, done,
        signed_in,
    },
};
use crate::{
    http::{Anonymous, Answer, ApiError, ApiResult, Body, Caller, MaybeBody, answer::Success, csrf},
    state::AppState,
};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct RegisterBody {
    #[schema(example = "ada@example.org")]
    email: String,
    /// 8 to 128 characters.
    #[schema(example = "correct horse battery staple")]
    password: String,
    #[schema(example = "Ada")]
    name: String,
    /// What your organization is called; `My organization` if left out.
    organization: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct LoginBody {
    email: String,
    password: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct RefreshBody {
    /// Left out: the cookie `annals_refresh` counts, with the header `X-Requested-With`.
    refresh_token: Option<String>,
}

/// A new account with an organization of its own, signed in.
#[utoipa::path(post, path = "/auth/register", tag = "auth", request_body = RegisterBody,
    responses((status = 201, description = "Registered and signed in", body = Success<SignedInView>)))]
pub(crate) async fn register(
    state: web::Data<AppState>,
    caller: Anonymous,
    Body(body): Body<RegisterBody>,
) -> ApiResult {
    let mut faults = Faults::default();
    let email = faults.check("email", EmailAddress::parse(&body.email));
    let name = faults.check("name", PersonName::parse(&body.name));
    let organization =
        faults.check_optional("organization", body.organization.as_deref(), OrganizationName::parse);
    let password = match &email {
        Some(email) => faults.check("password", Password::parse(&body.password, email)),
        // The rules need the address: without one, only what holds for any password is said.
        None => faults.check("password", presented_password(&body.password)).and(None),
    };
    let (Some(email), Some(name), Some(password)) = (email, name, password) else {
        return Err(faults.refused());
    };
    faults.done()?;
    let command = Register { email, password, name, organization };
    let done = state.identity.register(&caller.context, command).await?;
    signed_in(&state, StatusCode::CREATED, done).await
}

/// A session for whoever knows the password.
#[utoipa::path(post, path = "/auth/login", tag = "auth", request_body = LoginBody,
    responses(
        (status = 200, description = "Signed in", body = Success<SignedInView>),
        (status = 401, description = "The mail address or the password is wrong", body = crate::http::answer::Failure),
    ))]
pub(crate) async fn log_in(
    state: web::Data<AppState>,
    caller: Anonymous,
    Body(body): Body<LoginBody>,
) -> ApiResult {
    let mut faults = Faults::default();
    let email = faults.check("email", EmailAddress::parse(&body.email));
    let password = faults.check("password", presented_password(&body.password));
    let (Some(email), Some(password)) = (email, password) else {
        return Err(faults.refused());
    };
    let done = state.identity.log_in(&caller.context, LogIn { email, password }).await?;
    signed_in(&state, StatusCode::OK, done).await
}

/// New tokens for a refresh token, which is then spent. A spent one ends its session.
#[utoipa::path(post, path = "/auth/refresh", tag = "auth", request_body = RefreshBody,
    responses(
        (status = 200, description = "New tokens", body = Success<SignedInView>),
        (status = 401, description = "The session has ended", body = crate::http::answer::Failure),
    ))]
pub(crate) async fn refresh(
    state: web::Data<AppState>,
    caller: Anonymous,
    request: HttpRequest,
    MaybeBody(body): MaybeBody<RefreshBody>,
) -> ApiResult {
    let token = match body.and_then(|body| body.refresh_token) {
        Some(token) => token,
        None => {
            let missing = || ApiError::field("refreshToken", "is required: in the body or as the cookie");
            let cookie = request.cookie(REFRESH_COOKIE).ok_or_else(missing)?;
            csrf::check(&request, &state.config)?;
            cookie.value().to_string()
        }
    };
    let mut faults = Faults::default();
    let Some(token) = faults.check("refreshToken", presented_token(&token)) else {
        return Err(faults.refused());
    };
    let done = state.identity.refresh(&caller.context, RefreshToken(token)).await?;
    signed_in(&state, StatusCode::OK, done).await
}

/// Ends the session in use.
#[utoipa::path(post, path = "/auth/logout", tag = "auth",
    responses((status = 200, description = "Signed out", body = Success<IdView>)))]
pub(crate) async fn log_out(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    let session = caller.session_id().ok_or_else(|| ApiError::forbidden("an API key has no session"))?;
    let out = state.identity.log_out(&caller.context, session).await?;
    let mut response = done(IdView { id: session.uuid() }, out.position, 0)?;
    clear_refresh_cookie(&state, &mut response)?;
    Ok(response)
}

/// Who calls, and where.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MeView {
    user: UserView,
    /// Null if the caller is no longer a member of the organization that their token names.
    organization: Option<OrganizationBrief>,
    session_id: Option<Uuid>,
}

/// Who calls.
#[utoipa::path(get, path = "/auth/me", tag = "auth",
    responses((status = 200, description = "The caller", body = Success<MeView>)))]
pub(crate) async fn me(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    let reader = state.reader_for::<Users>(&caller).await?;
    let row = users::find(reader, caller.user_id.uuid()).await?;
    let row = row.ok_or_else(|| ApiError::not_found("user"))?;
    let organization = match caller.is_member {
        true => Some(brief(&state, caller.organization_id, caller.user_id).await?),
        false => None,
    };
    let session_id = caller.session_id().map(|id| id.uuid());
    Answer::ok(MeView { user: UserView::read(row, state.clock.now()), organization, session_id }).respond()
}

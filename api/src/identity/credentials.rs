//! `auth/sessions`, `auth/change-password`, `auth/change-email`, `auth/confirm-email-change`.

use actix_web::web;
use annals_commands::identity::PasswordChange;
use annals_domain::{
    identity::{Password, User},
    kernel::{EmailAddress, SessionId},
};
use annals_projections::identity::{
    Sessions,
    sessions::{self, SessionRow},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    faults::{Faults, presented_password, presented_token},
    views::{IdView, UserView, done},
};
use crate::{
    http::{Anonymous, Answer, ApiError, ApiResult, Body, Caller, answer::Success},
    state::AppState,
};

/// Where somebody is signed in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionView {
    id: Uuid,
    /// Whether it is the one that asks.
    current: bool,
    organization_id: Uuid,
    ip: Option<String>,
    user_agent: Option<String>,
    created_at: DateTime<Utc>,
    /// When it was last refreshed.
    last_used_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl SessionView {
    fn of(row: SessionRow, current: Option<SessionId>) -> Self {
        Self {
            id: row.id,
            current: current.is_some_and(|current| current.uuid() == row.id),
            organization_id: row.organization_id,
            ip: row.ip,
            user_agent: row.user_agent,
            created_at: row.opened_at,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct PasswordBody {
    current_password: String,
    /// 8 to 128 characters.
    new_password: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct EmailBody {
    /// The new address: a link to confirm it is mailed there.
    email: String,
    password: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct TokenBody {
    pub(super) token: String,
}

/// The sessions that are alive (at most 100), the last used first.
#[utoipa::path(get, path = "/auth/sessions", tag = "auth",
    responses((status = 200, description = "Where you are signed in", body = Success<Vec<SessionView>>)))]
pub(crate) async fn sessions(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    let reader = state.reader_for::<Sessions>(&caller).await?;
    let rows = sessions::alive(reader, caller.user_id.uuid(), state.clock.now()).await?;
    let current = caller.session_id();
    Answer::ok(rows.into_iter().map(|row| SessionView::of(row, current)).collect::<Vec<_>>()).respond()
}

/// Ends one of your sessions.
#[utoipa::path(delete, path = "/auth/sessions/{id}", tag = "auth", params(("id" = Uuid, Path)),
    responses((status = 200, description = "It has ended", body = Success<IdView>)))]
pub(crate) async fn revoke(
    state: web::Data<AppState>,
    caller: Caller,
    session: web::Path<SessionId>,
) -> ApiResult {
    let session = session.into_inner();
    let revoked = state.identity.revoke_session(&caller.context, caller.user_id, session).await?;
    done(IdView { id: session.uuid() }, revoked.position, 0)
}

/// Ends all your sessions but this one.
#[utoipa::path(delete, path = "/auth/sessions", tag = "auth",
    responses((status = 200, description = "The others have ended; `id` is the one that stays", body = Success<IdView>)))]
pub(crate) async fn revoke_others(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    let keep = caller.session_id().ok_or_else(|| ApiError::forbidden("an API key has no session"))?;
    let revoked = state.identity.revoke_other_sessions(&caller.context, caller.user_id, Some(keep)).await?;
    done(IdView { id: keep.uuid() }, revoked.position, 0)
}

/// A new password; ends your other sessions.
#[utoipa::path(post, path = "/auth/change-password", tag = "auth", request_body = PasswordBody,
    responses((status = 200, description = "Changed", body = Success<IdView>)))]
pub(crate) async fn change_password(
    state: web::Data<AppState>,
    caller: Caller,
    Body(body): Body<PasswordBody>,
) -> ApiResult {
    let user = state.bus.load::<User>(caller.user_id).await?.state;
    let email = user.email().ok_or_else(|| ApiError::not_found("user"))?;
    let mut faults = Faults::default();
    let current = faults.check("currentPassword", presented_password(&body.current_password));
    let new = faults.check("newPassword", Password::parse(&body.new_password, email));
    let (Some(current), Some(new)) = (current, new) else {
        return Err(faults.refused());
    };
    let command = PasswordChange { current, new, keep_session: caller.session_id() };
    let changed = state.identity.change_password(&caller.context, caller.user_id, command).await?;
    done(IdView { id: caller.user_id.uuid() }, changed.position, 0)
}

/// Asks for another mail address; it counts once its link was followed.
#[utoipa::path(post, path = "/auth/change-email", tag = "auth", request_body = EmailBody,
    responses((status = 200, description = "A link was mailed to the new address", body = Success<UserView>)))]
pub(crate) async fn change_email(
    state: web::Data<AppState>,
    caller: Caller,
    Body(body): Body<EmailBody>,
) -> ApiResult {
    let mut faults = Faults::default();
    let email = faults.check("email", EmailAddress::parse(&body.email));
    let password = faults.check("password", presented_password(&body.password));
    let (Some(email), Some(password)) = (email, password) else {
        return Err(faults.refused());
    };
    let asked = state.identity.request_email_change(&caller.context, caller.user_id, email, password).await?;
    let user = state.bus.load::<User>(caller.user_id).await?.state;
    done(UserView::of(caller.user_id, &user, state.clock.now()), asked.position, asked.version)
}

/// Confirms a new mail address with the token that was mailed to it. Needs no sign-in: the link may
/// be followed on another device.
#[utoipa::path(post, path = "/auth/confirm-email-change", tag = "auth", request_body = TokenBody,
    responses((status = 200, description = "The address counts", body = Success<IdView>)))]
pub(crate) async fn confirm_email_change(
    state: web::Data<AppState>,
    caller: Anonymous,
    Body(body): Body<TokenBody>,
) -> ApiResult {
    let mut faults = Faults::default();
    let Some(token) = faults.check("token", presented_token(&body.token)) else {
        return Err(faults.refused());
    };
    let confirmed = state.identity.confirm_email_change(&caller.context, token).await?;
    state.own_writes.record(confirmed.value, confirmed.position);
    done(IdView { id: confirmed.value.uuid() }, confirmed.position, 0)
}

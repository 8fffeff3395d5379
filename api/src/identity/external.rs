//! `auth/providers`, `users/identities`: which providers there are, and which lead to whose account.

pub(crate) mod begin;
pub(crate) mod callback;
pub(crate) mod returning;

use actix_web::web;
use annals_commands::{bus::CommandError, identity::external::Purpose};
use annals_domain::kernel::ExternalIdentityId;
use annals_projections::identity::{
    ExternalIdentities,
    external_identities::{self, ExternalIdentityRow},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::views::{IdView, done};
use crate::{
    http::{Anonymous, Answer, ApiError, ApiResult, Body, Caller, answer::Success},
    state::AppState,
};
use begin::BegunView;

/// A provider that people can sign in with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderView {
    #[schema(example = "google")]
    name: String,
    #[schema(example = "Google")]
    label: String,
    /// To be opened in a browser; `?returnTo=` says where it ends.
    #[schema(example = "/api/v1/auth/google")]
    path: String,
}

/// An account at a provider that leads to yours.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IdentityView {
    id: Uuid,
    #[schema(example = "google")]
    provider: String,
    #[schema(example = "https://accounts.google.com")]
    issuer: String,
    /// As it was when it was linked.
    email: Option<String>,
    linked_at: DateTime<Utc>,
}

impl From<ExternalIdentityRow> for IdentityView {
    fn from(row: ExternalIdentityRow) -> Self {
        let ExternalIdentityRow { id, provider, issuer, email, linked_at, .. } = row;
        Self { id, provider, issuer, email, linked_at }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct LinkBody {
    #[schema(example = "google")]
    provider: String,
    /// As of `auth/google`.
    return_to: Option<String>,
}

/// The providers that people can sign in with, besides a password.
#[utoipa::path(get, path = "/auth/providers", tag = "auth",
    responses((status = 200, description = "Those configured", body = Success<Vec<ProviderView>>)))]
pub(crate) async fn providers(state: web::Data<AppState>, _: Anonymous) -> ApiResult {
    let views = state.config.sign_in.iter().map(|offer| ProviderView {
        name: offer.name.clone(),
        label: offer.label.clone(),
        path: begin::path(&offer.name),
    });
    Answer::ok(views.collect::<Vec<_>>()).respond()
}

/// The accounts at providers that lead to yours (at most 20), the oldest first.
#[utoipa::path(get, path = "/users/identities", tag = "users",
    responses((status = 200, description = "Your ways in", body = Success<Vec<IdentityView>>)))]
pub(crate) async fn identities(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    let reader = state.reader_for::<ExternalIdentities>(&caller).await?;
    let rows = external_identities::of_user(reader, caller.user_id.uuid()).await?;
    Answer::ok(rows.into_iter().map(IdentityView::from).collect::<Vec<_>>()).respond()
}

/// Begins to link an account at a provider: open `url` in the browser that made this call, which keeps the
/// cookie that it sets. Nothing is linked before the person is back.
#[utoipa::path(post, path = "/users/identities", tag = "users", request_body = LinkBody,
    responses((status = 200, description = "Where to go", body = Success<BegunView>)))]
pub(crate) async fn link(
    state: web::Data<AppState>,
    caller: Caller,
    Body(body): Body<LinkBody>,
) -> ApiResult {
    let return_to = returning::parse(&state.config, body.return_to.as_deref())?;
    let purpose = linking(&caller)?;
    begin::for_program(&state, &body.provider, purpose, return_to).await.map_err(|error| {
        if error.code == "PROVIDER_NOT_FOUND" {
            ApiError::field("provider", "is none of auth/providers")
        } else {
            error
        }
    })
}

/// What a signed-in person goes to a provider for.
pub(crate) fn linking(caller: &Caller) -> Result<Purpose, ApiError> {
    let session_id = caller.session_id().ok_or_else(|| ApiError::forbidden("an API key has no session"))?;
    Ok(Purpose::Link { user_id: caller.user_id, session_id })
}

/// An account at a provider does not lead to yours any more. The only way in can't be taken away.
#[utoipa::path(delete, path = "/users/identities/{id}", tag = "users", params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "Unlinked", body = Success<IdView>),
        (status = 409, description = "It is the only way in: set a password first", body = crate::http::answer::Failure),
    ))]
pub(crate) async fn unlink(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<ExternalIdentityId>,
) -> ApiResult {
    let unlinked = state.identity.unlink_external_identity(&caller.context, caller.user_id, *id).await?;
    done(IdView { id: id.uuid() }, unlinked.position, unlinked.version)
}

/// A command's refusal; a provider that is away is 503, all else as everywhere.
pub(crate) fn failed(error: CommandError) -> ApiError {
    match &error {
        CommandError::Refused(refusal) if refusal.code() == "PROVIDER_UNAVAILABLE" => {
            ApiError { code: "PROVIDER_UNAVAILABLE", ..ApiError::unavailable(refusal.to_string(), 30) }
        }
        _ => error.into(),
    }
}

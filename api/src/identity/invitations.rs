//! `agencies/{id}/invite`, `agencies/{id}/invitations`, `agencies/invitations/accept`.

use actix_web::web;
use annals_commands::identity::{Invite, Invited, links};
use annals_domain::kernel::{EmailAddress, InvitationId, OrganizationId, Role};
use annals_projections::identity::{
    Organizations,
    organizations::{self, InvitationRow},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    credentials::TokenBody,
    faults::{Faults, presented_token},
    views::{IdView, OrganizationBrief, brief, done},
};
use crate::{
    http::{Answer, ApiResult, Body, Caller, answer::Success},
    state::AppState,
};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct InviteBody {
    #[schema(example = "babbage@example.org")]
    email: String,
    /// `viewer`, `auditor`, `user` or `admin`, and not above your own.
    #[schema(example = "user")]
    role: String,
}

/// A new invitation. While no mail server is set up, hand `acceptUrl` on yourself.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InvitedView {
    id: Uuid,
    email: String,
    role: &'static str,
    expires_at: DateTime<Utc>,
    /// For `agencies/invitations/accept`; works once, for this address.
    token: String,
    accept_url: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InvitationView {
    id: Uuid,
    email: Option<String>,
    role: String,
    invited_by: Uuid,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl From<InvitationRow> for InvitationView {
    fn from(row: InvitationRow) -> Self {
        Self {
            id: row.id,
            email: row.email,
            role: row.role,
            invited_by: row.invited_by,
            created_at: row.invited_at,
            expires_at: row.expires_at,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AcceptedView {
    organization: OrganizationBrief,
}

/// Invites an address, for seven days.
#[utoipa::path(post, path = "/agencies/{id}/invite", tag = "agencies", params(("id" = Uuid, Path)),
    request_body = InviteBody,
    responses((status = 201, description = "Invited", body = Success<InvitedView>)))]
pub(crate) async fn invite(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<OrganizationId>,
    Body(body): Body<InviteBody>,
) -> ApiResult {
    let mut faults = Faults::default();
    let email = faults.check("email", EmailAddress::parse(&body.email));
    let role = faults.check("role", body.role.parse::<Role>());
    let (Some(email), Some(role)) = (email, role) else {
        return Err(faults.refused());
    };
    let command = Invite { organization_id: *id, by: caller.user_id, email: email.clone(), role };
    let invited = state.identity.invite(&caller.context, command).await?;
    let Invited { invitation_id, token, expires_at } = invited.value;
    let view = InvitedView {
        id: invitation_id.uuid(),
        email: email.as_str().to_string(),
        role: role.as_str(),
        expires_at,
        accept_url: links::invitation(&state.config.public_url, &token).to_string(),
        token,
    };
    Answer::created(view).position(invited.position).respond()
}

/// The invitations that are open.
#[utoipa::path(get, path = "/agencies/{id}/invitations", tag = "agencies", params(("id" = Uuid, Path)),
    responses((status = 200, description = "At most 100, newest first", body = Success<Vec<InvitationView>>)))]
pub(crate) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<OrganizationId>,
) -> ApiResult {
    let reader = state.reader_for::<Organizations>(&caller).await?;
    let rows = organizations::invitations(reader, id.uuid(), state.clock.now()).await?;
    Answer::ok(rows.into_iter().map(InvitationView::from).collect::<Vec<_>>()).respond()
}

/// Takes an open invitation back.
#[utoipa::path(delete, path = "/agencies/{id}/invitations/{invitationId}", tag = "agencies",
    params(("id" = Uuid, Path), ("invitationId" = Uuid, Path)),
    responses((status = 200, description = "It can't be accepted any more", body = Success<IdView>)))]
pub(crate) async fn revoke(
    state: web::Data<AppState>,
    caller: Caller,
    path: web::Path<(OrganizationId, InvitationId)>,
) -> ApiResult {
    let (organization, invitation) = path.into_inner();
    let revoked =
        state.identity.revoke_invitation(&caller.context, caller.user_id, organization, invitation).await?;
    done(IdView { id: invitation.uuid() }, revoked.position, 0)
}

/// Accepts an invitation to the address you are signed in with. Switch to the organization for tokens.
#[utoipa::path(post, path = "/agencies/invitations/accept", tag = "agencies", request_body = TokenBody,
    responses((status = 200, description = "You are a member", body = Success<AcceptedView>)))]
pub(crate) async fn accept(
    state: web::Data<AppState>,
    caller: Caller,
    Body(body): Body<TokenBody>,
) -> ApiResult {
    let mut faults = Faults::default();
    let Some(token) = faults.check("token", presented_token(&body.token)) else {
        return Err(faults.refused());
    };
    let accepted = state.identity.accept_invitation(&caller.context, caller.user_id, token).await?;
    let organization = brief(&state, accepted.value.organization_id, caller.user_id).await?;
    done(AcceptedView { organization }, accepted.position, 0)
}

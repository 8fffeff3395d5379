//! `agencies`: organizations, their settings, and the caller's own place in them.

use actix_web::{http::StatusCode, web};
use annals_commands::{bus::CommandError, identity::NewOrganization};
use annals_domain::{
    identity::{Organization, OrganizationDescription, OrganizationName, OrganizationSettings},
    kernel::{OrganizationId, TimeZone, UserId},
};
use annals_projections::identity::{
    Organizations,
    organizations::{self, MembershipRow},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    faults::Faults,
    views::{IdView, SignedInView, done, signed_in},
};
use crate::{
    http::{Answer, ApiError, ApiResult, Body, Caller, answer::Success},
    state::AppState,
};

/// An organization of the caller.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MembershipView {
    id: Uuid,
    name: String,
    /// The caller's.
    #[schema(example = "admin")]
    role: String,
    timezone: String,
    member_count: i64,
    joined_at: DateTime<Utc>,
    /// Whether the caller's token is for it.
    current: bool,
}

impl MembershipView {
    fn of(row: MembershipRow, current: OrganizationId) -> Self {
        Self {
            current: row.id == current.uuid(),
            id: row.id,
            name: row.name,
            role: row.role,
            timezone: row.timezone,
            member_count: row.members,
            joined_at: row.joined_at,
        }
    }
}

/// An organization and what its admins set.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrganizationView {
    id: Uuid,
    name: String,
    timezone: String,
    description: Option<String>,
    /// The caller's.
    #[schema(example = "owner")]
    role: &'static str,
}

impl OrganizationView {
    fn of(id: OrganizationId, settings: &OrganizationSettings, role: &'static str) -> Self {
        Self {
            id: id.uuid(),
            name: settings.name.as_str().to_string(),
            timezone: settings.timezone.as_str().to_string(),
            description: settings.description.as_ref().map(|text| text.as_str().to_string()),
            role,
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct OrganizationBody {
    #[schema(example = "Analytical Engines")]
    name: String,
    /// UTC if left out.
    #[schema(example = "Europe/London")]
    timezone: Option<String>,
}

/// All of the settings: what is left out gets its default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct OrganizationSettingsBody {
    name: String,
    timezone: Option<String>,
    description: Option<String>,
}

/// Parts of the settings: what is left out stays, a `null` description goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct OrganizationSettingsPatch {
    name: Option<String>,
    timezone: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    description: Option<Option<String>>,
}

/// Tells `null` from left out.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct TransferBody {
    /// A member, who becomes the owner.
    #[schema(value_type = Uuid)]
    user_id: UserId,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TransferView {
    id: Uuid,
    owner_id: Uuid,
}

/// The organizations that you are a member of (at most 100).
#[utoipa::path(get, path = "/agencies", tag = "agencies",
    responses((status = 200, description = "Your organizations", body = Success<Vec<MembershipView>>)))]
pub(crate) async fn list(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    let reader = state.reader_for::<Organizations>(&caller).await?;
    let rows = organizations::of_user(reader, caller.user_id.uuid()).await?;
    // A key belongs to one organization: the others are none of its business.
    let rows = rows
        .into_iter()
        .filter(|row| caller.session_id().is_some() || row.id == caller.organization_id.uuid());
    Answer::ok(rows.map(|row| MembershipView::of(row, caller.organization_id)).collect::<Vec<_>>()).respond()
}

/// A new organization that you own. Switch to it for tokens.
#[utoipa::path(post, path = "/agencies", tag = "agencies", request_body = OrganizationBody,
    responses((status = 201, description = "Created", body = Success<OrganizationView>)))]
pub(crate) async fn create(
    state: web::Data<AppState>,
    caller: Caller,
    Body(body): Body<OrganizationBody>,
) -> ApiResult {
    let mut faults = Faults::default();
    let name = faults.check("name", OrganizationName::parse(&body.name));
    let timezone = faults.check_optional("timezone", body.timezone.as_deref(), TimeZone::parse);
    let Some(name) = name else { return Err(faults.refused()) };
    faults.done()?;
    let new = NewOrganization { name, timezone: timezone.unwrap_or_default() };
    let created = state.identity.create_organization(&caller.context, caller.user_id, new).await?;
    let view = view(&state, &caller, created.value).await?;
    Answer::created(view).position(created.position).respond()
}

/// An organization's settings.
#[utoipa::path(get, path = "/agencies/{id}/settings", tag = "agencies", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The settings", body = Success<OrganizationView>)))]
pub(crate) async fn settings(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<OrganizationId>,
) -> ApiResult {
    let reader = state.reader_for::<Organizations>(&caller).await?;
    let row = organizations::find(reader, id.uuid()).await?;
    let row = row.ok_or_else(|| ApiError::not_found("organization"))?;
    let version = u64::try_from(row.version).unwrap_or_default();
    let view = OrganizationView {
        id: row.id,
        name: row.name,
        timezone: row.timezone,
        description: row.description,
        role: caller.role.as_str(),
    };
    Answer::ok(view).version(version).respond()
}

/// Replaces an organization's settings.
#[utoipa::path(put, path = "/agencies/{id}/settings", tag = "agencies", params(("id" = Uuid, Path)),
    request_body = OrganizationSettingsBody,
    responses((status = 200, description = "Changed", body = Success<OrganizationView>)))]
pub(crate) async fn put_settings(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<OrganizationId>,
    Body(body): Body<OrganizationSettingsBody>,
) -> ApiResult {
    let mut faults = Faults::default();
    let name = faults.check("name", OrganizationName::parse(&body.name));
    let timezone = faults.check_optional("timezone", body.timezone.as_deref(), TimeZone::parse);
    let description =
        faults.check_optional("description", body.description.as_deref(), OrganizationDescription::parse);
    let Some(name) = name else { return Err(faults.refused()) };
    faults.done()?;
    let settings = OrganizationSettings { name, timezone: timezone.unwrap_or_default(), description };
    change(&state, &caller, *id, move |_| Ok(settings.clone())).await
}

/// Changes parts of an organization's settings.
#[utoipa::path(patch, path = "/agencies/{id}/settings", tag = "agencies", params(("id" = Uuid, Path)),
    request_body = OrganizationSettingsPatch,
    responses((status = 200, description = "Changed", body = Success<OrganizationView>)))]
pub(crate) async fn patch_settings(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<OrganizationId>,
    Body(body): Body<OrganizationSettingsPatch>,
) -> ApiResult {
    let mut faults = Faults::default();
    let name = faults.check_optional("name", body.name.as_deref(), OrganizationName::parse);
    let timezone = faults.check_optional("timezone", body.timezone.as_deref(), TimeZone::parse);
    let description = body
        .description
        .map(|text| faults.check_optional("description", text.as_deref(), OrganizationDescription::parse));
    faults.done()?;
    let patch = move |before: OrganizationSettings| {
        Ok(OrganizationSettings {
            name: name.clone().unwrap_or(before.name),
            timezone: timezone.clone().unwrap_or(before.timezone),
            description: description.clone().unwrap_or(before.description),
        })
    };
    change(&state, &caller, *id, patch).await
}

async fn change(
    state: &AppState,
    caller: &Caller,
    id: OrganizationId,
    change: impl Fn(OrganizationSettings) -> Result<OrganizationSettings, CommandError>
    + Clone
    + Send
    + Sync
    + 'static,
) -> ApiResult {
    let changed = state.identity.change_organization(&caller.context, caller.user_id, id, change).await?;
    done(view(state, caller, id).await?, changed.position, changed.version)
}

async fn view(state: &AppState, caller: &Caller, id: OrganizationId) -> Result<OrganizationView, ApiError> {
    let organization = state.bus.load::<Organization>(id).await?.state;
    let role = organization.role_of(caller.user_id).ok_or_else(|| ApiError::not_found("organization"))?;
    Ok(OrganizationView::of(id, &organization.settings, role.as_str()))
}

/// Leaves an organization. Its owner transfers it first.
#[utoipa::path(post, path = "/agencies/{id}/leave", tag = "agencies", params(("id" = Uuid, Path)),
    responses((status = 200, description = "You are no longer a member", body = Success<IdView>)))]
pub(crate) async fn leave(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<OrganizationId>,
) -> ApiResult {
    let left = state.identity.leave_organization(&caller.context, *id, caller.user_id).await?;
    done(IdView { id: id.uuid() }, left.position, 0)
}

/// Makes another member the owner; you are an admin from then on.
#[utoipa::path(post, path = "/agencies/{id}/transfer", tag = "agencies", params(("id" = Uuid, Path)),
    request_body = TransferBody,
    responses((status = 200, description = "Transferred", body = Success<TransferView>)))]
pub(crate) async fn transfer(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<OrganizationId>,
    Body(body): Body<TransferBody>,
) -> ApiResult {
    let to = body.user_id;
    let transferred = state.identity.transfer_ownership(&caller.context, caller.user_id, *id, to).await?;
    let view = TransferView { id: id.uuid(), owner_id: to.uuid() };
    done(view, transferred.position, transferred.version)
}

/// New tokens for another organization of yours; the refresh token in use is spent.
#[utoipa::path(post, path = "/agencies/{id}/switch", tag = "agencies", params(("id" = Uuid, Path)),
    responses((status = 200, description = "New tokens", body = Success<SignedInView>)))]
pub(crate) async fn switch(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<OrganizationId>,
) -> ApiResult {
    let session = caller.session_id().ok_or_else(|| ApiError::forbidden("an API key has no session"))?;
    let switched = state.identity.switch_organization(&caller.context, session, *id).await?;
    signed_in(&state, StatusCode::OK, switched).await
}

//! `agencies/{id}/members`.

use actix_web::web;
use annals_domain::kernel::{OrganizationId, Role, UserId};
use annals_projections::identity::{
    Organizations, Users,
    organizations::{self, MemberRow},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    faults::Faults,
    views::{IdView, done},
};
use crate::{
    http::{Answer, ApiError, ApiResult, Body, Caller, Page, Query, answer::Success},
    state::AppState,
};

const PER_PAGE_MAX: u64 = 100;
/// An organization has at most 10 000 members; further pages are empty.
const PAGE_MAX: u64 = 10_000;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MemberView {
    user_id: Uuid,
    name: Option<String>,
    email: Option<String>,
    avatar_url: Option<String>,
    role: String,
    joined_at: DateTime<Utc>,
}

impl From<MemberRow> for MemberView {
    fn from(row: MemberRow) -> Self {
        Self {
            user_id: row.user_id,
            name: row.name,
            email: row.email,
            avatar_url: row.avatar_url,
            role: row.role,
            joined_at: row.joined_at,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// From 1.
    page: Option<u64>,
    /// At most 100; 50 if left out.
    per_page: Option<u64>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct RoleBody {
    /// `viewer`, `auditor`, `user` or `admin`, and not above your own.
    #[schema(example = "user")]
    role: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoleView {
    user_id: Uuid,
    role: &'static str,
}

/// An organization's members, by when they joined.
#[utoipa::path(get, path = "/agencies/{id}/members", tag = "agencies", params(("id" = Uuid, Path), Paging),
    responses((status = 200, description = "A page of members", body = Success<Vec<MemberView>>)))]
pub(crate) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<OrganizationId>,
    Query(paging): Query<Paging>,
) -> ApiResult {
    let (page, per_page) = (paging.page.unwrap_or(1), paging.per_page.unwrap_or(50));
    let mut faults = Faults::default();
    let bounded = |number: u64, max: u64| match number {
        0 => Err("must be at least 1".to_string()),
        number if number > max => Err(format!("must be at most {max}")),
        _ => Ok(()),
    };
    faults.check("page", bounded(page, PAGE_MAX));
    faults.check("perPage", bounded(per_page, PER_PAGE_MAX));
    faults.done()?;
    // Names and addresses come from another read model: both must have what the caller wrote.
    state.reader_for::<Users>(&caller).await?;
    let reader = state.reader_for::<Organizations>(&caller).await?;
    let (offset, limit) = (signed((page - 1) * per_page), signed(per_page));
    let (rows, total) = organizations::members(reader, id.uuid(), offset, limit).await?;
    let page = Page::of(u64::try_from(total).unwrap_or_default(), page, per_page);
    Answer::ok(rows.into_iter().map(MemberView::from).collect::<Vec<_>>()).page(page).respond()
}

/// Both factors are bounded far below the end of the range.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Gives a member another role.
#[utoipa::path(patch, path = "/agencies/{id}/members/{userId}", tag = "agencies",
    params(("id" = Uuid, Path), ("userId" = Uuid, Path)), request_body = RoleBody,
    responses((status = 200, description = "Changed", body = Success<RoleView>)))]
pub(crate) async fn change_role(
    state: web::Data<AppState>,
    caller: Caller,
    path: web::Path<(OrganizationId, UserId)>,
    Body(body): Body<RoleBody>,
) -> ApiResult {
    let (organization, user) = path.into_inner();
    let role: Role = body.role.parse().map_err(|error| ApiError::field("role", error))?;
    let changed =
        state.identity.change_role(&caller.context, caller.user_id, organization, user, role).await?;
    let view = RoleView { user_id: user.uuid(), role: role.as_str() };
    done(view, changed.position, changed.version)
}

/// Takes a member out of an organization.
#[utoipa::path(delete, path = "/agencies/{id}/members/{userId}", tag = "agencies",
    params(("id" = Uuid, Path), ("userId" = Uuid, Path)),
    responses((status = 200, description = "No longer a member", body = Success<IdView>)))]
pub(crate) async fn remove(
    state: web::Data<AppState>,
    caller: Caller,
    path: web::Path<(OrganizationId, UserId)>,
) -> ApiResult {
    let (organization, user) = path.into_inner();
    let removed = state.identity.remove_member(&caller.context, caller.user_id, organization, user).await?;
    done(IdView { id: user.uuid() }, removed.position, 0)
}

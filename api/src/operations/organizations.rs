//! `admin/organizations` and `admin/tiers`: who has which tier, what of it is used, and what a tier is.

use actix_web::web;
use annals_commands::identity::SetTier;
use annals_domain::kernel::{Month, OrganizationId, TierName};
use annals_projections::identity::Usage;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::input::{self, both};
use crate::{
    http::{Answer, ApiError, ApiResult, Body, Caller, FieldError, Page, Query, answer::Success},
    state::AppState,
    tiers::usage::{self, Listing, OrganizationUsage, TierView},
};

const SEARCH_CHARS_MAX: usize = 100;
const PER_PAGE_MAX: u64 = 100;
const PAGE_MAX: u64 = 1_000_000;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct OrganizationsQuery {
    /// A part of the name, or the id: at most 100 characters.
    q: Option<String>,
    /// Those of one tier; who has none of their own counts for the default.
    tier: Option<String>,
    /// From 1.
    page: Option<u64>,
    /// At most 100; 50 if it is left out.
    per_page: Option<u64>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct TierBody {
    /// One of `admin/tiers`.
    #[schema(example = "pro")]
    tier: String,
    /// Why: 1 to 500 characters on one line, kept in the log for ever. No names of people.
    #[schema(example = "their trial was extended")]
    reason: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TierSetView {
    id: Uuid,
    #[schema(example = "pro")]
    tier: String,
}

/// The organizations that are not closed, by name, with their tier and what they have of it.
#[utoipa::path(get, path = "/admin/organizations", tag = "admin", params(OrganizationsQuery),
    responses((status = 200, description = "A page of organizations", body = Success<Vec<OrganizationUsage>>)))]
pub(super) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    Query(query): Query<OrganizationsQuery>,
) -> ApiResult {
    let OrganizationsQuery { q, tier, page, per_page } = query;
    let listing = listing(&state, q.as_deref(), tier.as_deref(), page, per_page)?;
    let reader = state.reader_for::<Usage>(&caller).await?;
    let month = Month::of(state.clock.now());
    let (organizations, total) = usage::list(reader, state.bus.tiers(), &listing, &month).await?;
    Answer::ok(organizations).page(Page::of(total, listing.page, listing.per_page)).respond()
}

/// One organization, with its tier and what it has of it.
#[utoipa::path(get, path = "/admin/organizations/{id}", tag = "admin", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The organization", body = Success<OrganizationUsage>)))]
pub(super) async fn show(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<OrganizationId>,
) -> ApiResult {
    let reader = state.reader_for::<Usage>(&caller).await?;
    let month = Month::of(state.clock.now());
    let found = usage::one(reader, state.bus.tiers(), id.uuid(), &month).await?;
    let (organization, version) = found.ok_or_else(|| ApiError::not_found("organization"))?;
    Answer::ok(organization).version(version).respond()
}

/// Sets an organization's tier. A smaller one takes nothing away: what is there stays, what is new is refused
/// until there is room.
#[utoipa::path(put, path = "/admin/organizations/{id}/tier", tag = "admin", params(("id" = Uuid, Path)),
    request_body = TierBody,
    responses((status = 200, description = "It holds from now on", body = Success<TierSetView>)))]
pub(super) async fn set_tier(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<OrganizationId>,
    Body(body): Body<TierBody>,
) -> ApiResult {
    let tier = state.bus.tiers().named(&body.tier).map(|tier| tier.name.as_str().to_string());
    let tier = tier.map_err(|error| FieldError::new("tier", error));
    let (tier, reason) = both(tier, input::reason(&body.reason))?;
    let set = SetTier { organization_id: *id, tier: tier.clone(), reason, by: Some(caller.user_id) };
    let done = state.identity.set_tier(&caller.context, set).await?;
    let view = TierSetView { id: id.uuid(), tier };
    Answer::ok(view).position(done.position).version(done.version).respond()
}

/// Every tier of this installation, the smallest first.
#[utoipa::path(get, path = "/admin/tiers", tag = "admin",
    responses((status = 200, description = "The tiers", body = Success<Vec<TierView>>)))]
pub(super) async fn tiers(state: web::Data<AppState>, _caller: Caller) -> ApiResult {
    Answer::ok(usage::all(state.bus.tiers())).respond()
}

/// What is asked of the list, checked.
///
/// # Errors
/// 400 with all that is wrong with it.
pub(crate) fn listing(
    state: &AppState,
    search: Option<&str>,
    tier: Option<&str>,
    page: Option<u64>,
    per_page: Option<u64>,
) -> Result<Listing, ApiError> {
    let mut errors = Vec::new();
    let search = search.map(str::trim).filter(|search| !search.is_empty());
    if search.is_some_and(|search| search.chars().count() > SEARCH_CHARS_MAX) {
        errors.push(FieldError::new("q", format!("must have at most {SEARCH_CHARS_MAX} characters")));
    }
    let tier: Option<TierName> = tier.filter(|tier| !tier.is_empty()).and_then(|tier| {
        let named = state.bus.tiers().named(tier).map(|tier| tier.name.clone());
        named.map_err(|error| errors.push(FieldError::new("tier", error))).ok()
    });
    let (page, per_page) = (page.unwrap_or(1), per_page.unwrap_or(50));
    if !(1..=PAGE_MAX).contains(&page) {
        errors.push(FieldError::new("page", format!("must be 1 to {PAGE_MAX}")));
    }
    if !(1..=PER_PAGE_MAX).contains(&per_page) {
        errors.push(FieldError::new("perPage", format!("must be 1 to {PER_PAGE_MAX}")));
    }
    if errors.is_empty() {
        Ok(Listing { search: search.map(str::to_string), tier, page, per_page })
    } else {
        Err(ApiError::validation(errors))
    }
}

//! `agencies/{id}/usage`: what an organization may have, and what it has.

use actix_web::web;
use annals_domain::kernel::{Month, OrganizationId};
use annals_projections::identity::Usage;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    http::{
        Answer, ApiError, ApiResult, Caller, Query,
        answer::Success,
        config::{Rate, RateLimitPolicy},
    },
    state::AppState,
    tiers::usage::{self, CallsView, HeldTier, QuotaUse},
};

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageQuery {
    /// Whose posts are counted, such as `2026-12`: a month of UTC; this one if it is left out.
    month: Option<String>,
}

/// What an organization's tier lets it have, and what of that is used.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UsageView {
    tier: HeldTier,
    quotas: Vec<QuotaUse>,
    /// What holds; null: without a limit.
    calls_per_minute: CallsView,
    /// Whose posts are counted.
    #[schema(example = "2026-12")]
    month: String,
}

/// The organization's tier, its limits and what of them is used.
#[utoipa::path(get, path = "/agencies/{id}/usage", tag = "agencies", params(("id" = Uuid, Path), UsageQuery),
    responses((status = 200, description = "The tier and what is used of it", body = Success<UsageView>)))]
pub(crate) async fn usage(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<OrganizationId>,
    Query(query): Query<UsageQuery>,
) -> ApiResult {
    let month = match query.month.as_deref().map(Month::parse) {
        None => Month::of(state.clock.now()),
        Some(Ok(month)) => month,
        Some(Err(error)) => return Err(ApiError::field("month", error)),
    };
    let reader = state.reader_for::<Usage>(&caller).await?;
    let found = usage::one(reader, state.bus.tiers(), id.uuid(), &month).await?;
    let (organization, version) = found.ok_or_else(|| ApiError::not_found("organization"))?;
    let calls_per_minute = calls(&state.config.rate_limits, &organization.tier.name);
    let view = UsageView {
        // Why is between operators.
        tier: HeldTier { reason: None, ..organization.tier },
        quotas: organization.quotas,
        calls_per_minute,
        month: month.as_str().to_string(),
    };
    Answer::ok(view).version(version).respond()
}

/// What holds for the calls of a tier's organizations.
fn calls(policy: &RateLimitPolicy, tier: &str) -> CallsView {
    let of_tier = policy.by_tier.iter().find(|(name, _)| name.as_str() == tier).map(|(_, rates)| rates);
    let (user, api_key) = match of_tier {
        Some(rates) => (&rates.signed_in, &rates.api_key),
        None => (&policy.signed_in, &policy.api_key),
    };
    let per_minute = |rates: &[Rate]| {
        let rate = rates.iter().find(|rate| **rate == Rate::per_minute(rate.requests));
        rate.filter(|rate| policy.enabled && rate.requests > 0).map(|rate| rate.requests)
    };
    CallsView { user: per_minute(user), api_key: per_minute(api_key) }
}
